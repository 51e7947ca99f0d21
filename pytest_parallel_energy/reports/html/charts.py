"""The charts of cells as Vega-Lite specifications, made with Altair (extra ``report``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...statistics.analysis import load_names, load_pairs
from ...statistics.grouping import Cell
from ...units import count_of
from ..load_lines import interval_words
from .axes import chart_data, finished, load_colour, unit_of
from .chart_rows import CAPS, Chart, ends_of, energy_axis, footnote, mean_row

__all__ = ["energy_chart", "load_chart"]


def energy_chart(cells: Sequence[Cell], labels: Sequence[str], shared: str = "") -> Chart | None:
    """Return each attempt's energy as a point, with mean, 95 % interval and n per cell; ``None`` without any energy."""
    unit, factor = unit_of([record.energy.total_j for cell in cells for record in cell.sample])
    named = [(cell, label) for cell, label in zip(cells, labels, strict=True) if cell.energy().value is not None]
    if not named:
        return None
    means = [{"name": label, **mean_row(cell, factor)} for cell, label in named]
    points = [
        {"name": label, "energy": record.energy.total_j / factor, "load": load_names(cell), "rep": record.repetition}
        for cell, label in named
        for record in cell.sample
        if record.energy.total_j is not None
    ]
    subject = f"Energy ({shared})" if shared else "Energy"
    without = len(cells) - len(named)
    left_out = f"; {count_of(without, 'cell')} without a known energy left out" if without else ""
    chart = _energy_layers(means, points, f"energy ({unit})")
    return Chart(
        key="energy",
        title="Energy per cell",
        caption=f"{subject}: each attempt a point; bar and whiskers: mean and its 95 % interval{left_out}",
        description=f"Strip chart of the energy of {len(points)} attempts in {len(means)} cells, with means and 95 % "
        "intervals",
        spec=finished(chart.properties(width="container", height=24 * len(means) + 8)),
        footnote=footnote([cell for cell, _ in named]),
        sortable=True,
    )


def _energy_layers(means: list[dict[str, Any]], points: list[dict[str, Any]], x_title: str) -> Any:
    """Return attempts, means and their intervals as an Altair chart, one line per cell."""
    import altair as alt

    y = alt.Y("name:N", sort=None, title=None, axis=alt.Axis(labelLimit=0))
    base = alt.Chart(chart_data(means)).encode(y=y)
    dots = alt.Chart(chart_data(points)).mark_point(size=45, opacity=0.7).encode(
        x=energy_axis("x", "energy:Q", x_title, ends_of(means), len(means)),
        y=y,
        color=load_colour(means),
        tooltip=["name:N", alt.Tooltip("energy:Q", title=x_title), alt.Tooltip("rep:Q", title="repetition"), "load:N"],
    )  # fmt: skip
    whiskers = base.mark_errorbar(ticks=CAPS, thickness=1.5).encode(x=alt.X("low:Q", title=x_title), x2="high:Q")
    ticks = base.mark_tick(thickness=3, size=16).encode(
        x="mean:Q",
        color=load_colour(means),
        tooltip=["name:N", "mean:Q", "low:Q", "high:Q", "n:Q", "quality:N", "load:N"],
    )
    counts = base.mark_text(align="left", dx=10, fontSize=10).encode(x="right:Q", text="count:N")
    return dots + whiskers + ticks + counts


def load_chart(cells: Sequence[Cell], labels: Sequence[str], shared: str = "") -> Chart | None:
    """Return each workload alone and alongside its load, joined by a line; ``None`` without such a pair."""
    import altair as alt

    names = dict(zip(map(id, cells), labels, strict=True))
    pairs = [pair for pair in load_pairs(cells) if pair.inflation is not None]
    if not pairs:
        return None
    unit, factor = unit_of([cell.energy().value for pair in pairs for cell in (pair.alone, pair.beside)])
    rows = [
        {"name": names[id(pair.beside)], "state": state, **mean_row(cell, factor), "ratio": ratio}
        for pair in pairs
        for state, cell, ratio in (
            ("alone", pair.alone, ""),
            ("with the load", pair.beside, interval_words(pair.inflation)),
        )
    ]
    title = f"energy ({unit})"
    base = alt.Chart(chart_data(rows)).encode(y=alt.Y("name:N", sort=None, title=None, axis=alt.Axis(labelLimit=0)))
    lines = base.mark_line(strokeWidth=2, opacity=0.4).encode(
        x=energy_axis("x", "mean:Q", title, ends_of(rows), len(pairs)), detail="name:N"
    )
    whiskers = base.mark_errorbar(ticks=CAPS, thickness=1.5).encode(x=alt.X("low:Q", title=title), x2="high:Q")
    dots = base.mark_point(filled=True, size=80, opacity=1).encode(
        x="mean:Q",
        color=alt.Color("state:N", title=None, legend=alt.Legend(orient="top")),
        shape=alt.Shape("state:N", title=None),
        tooltip=["name:N", "state:N", "mean:Q", "low:Q", "high:Q", "n:Q", "quality:N"],
    )
    ratios = base.mark_text(align="left", dx=10, fontSize=10).encode(x="right:Q", text="ratio:N")
    chart = (lines + whiskers + dots + ratios).properties(width="container", height=26 * len(pairs) + 8)
    return Chart(
        key="load",
        title="Alone against co-running",
        caption=f"Energy of the whole machine{f' ({shared})' if shared else ''}, alone and with the load; "
        "×: ratio of the two with its 95 % interval",
        description=f"Dot chart of the energy of {len(pairs)} cells alone and alongside a load",
        spec=finished(chart),
        footnote=footnote([cell for pair in pairs for cell in (pair.alone, pair.beside)]),
        sortable=True,
    )
