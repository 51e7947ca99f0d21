"""The report's charts as Vega-Lite specifications, made with Altair (extra ``report``)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...records.record import Record
from ...records.trace import Trace, thin
from ...statistics.analysis import (
    cells_by_setting,
    hyperparameter_effects,
    load_names,
    load_pairs,
    pareto_front,
)
from ...statistics.directions import better_is_higher
from ...statistics.grouping import Cell, Mean, all_metrics, mean_of
from ..layout import format_number
from ..load_lines import interval_words
from ..report import Report
from .axes import axis_and_scale, chart_data, finished, load_colour, load_scale, unit_of

__all__ = ["Chart", "energy_chart", "hyperparameter_charts", "load_chart", "pareto_charts", "trace_data", "trace_specs"]

_MOST_TRACE_POINTS = 40_000
"""Points of all traces together: about 0.6 MB of the file."""
_POINTS_A_LINE = 400
_MOST_CHARTS = 12
_CAPS = {"size": 8}
_TRACE_AXIS: dict[str, Any] = {"minExtent": 88, "maxExtent": 88}
"""Pixels left of each chart of a trace: they share one axis of time, so that they must begin at one place."""
_LEAST_POINTS = 3
"""Points below which a scatter chart shows nothing that the table does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart and the sentence that says what it shows: its accessible name."""

    key: str
    """Identifier in the page, unique among charts."""
    title: str
    caption: str = ""
    """The line above the chart; empty is the title."""
    description: str
    spec: dict[str, Any]


def energy_chart(cells: Sequence[Cell], labels: Sequence[str]) -> Chart | None:
    """Return each attempt's energy as a point, with mean, 95 % interval and n per cell; ``None`` without any energy."""
    import altair as alt

    unit, factor = unit_of([record.energy.total_j for cell in cells for record in cell.sample])
    named = [(cell, label) for cell, label in zip(cells, labels, strict=True) if cell.energy().value is not None]
    if not named:
        return None
    means = [{"name": label, **_mean_row(cell, factor)} for cell, label in named]
    points = [
        {"name": label, "energy": record.energy.total_j / factor, "load": load_names(cell), "rep": record.repetition}
        for cell, label in named
        for record in cell.sample
        if record.energy.total_j is not None
    ]
    y = alt.Y("name:N", sort=None, title=None, axis=alt.Axis(labelLimit=320))
    x_title = f"energy ({unit})"
    base = alt.Chart(chart_data(means)).encode(y=y)
    dots = alt.Chart(chart_data(points)).mark_point(size=45, opacity=0.7).encode(
        x=_energy_axis("x", "energy:Q", x_title),
        y=y,
        color=load_colour(means),
        tooltip=["name:N", alt.Tooltip("energy:Q", title=x_title), alt.Tooltip("rep:Q", title="repetition"), "load:N"],
    )  # fmt: skip
    whiskers = base.mark_errorbar(ticks=_CAPS, thickness=1.5).encode(x=alt.X("low:Q", title=x_title), x2="high:Q")
    ticks = base.mark_tick(thickness=3, size=16).encode(
        x="mean:Q",
        color=load_colour(means),
        tooltip=["name:N", "mean:Q", "low:Q", "high:Q", "n:Q", "quality:N", "load:N"],
    )
    counts = base.mark_text(align="left", dx=10, fontSize=10).encode(x="right:Q", text="count:N")
    chart = (dots + whiskers + ticks + counts).properties(width="container", height=24 * len(means) + 8)
    return Chart(
        key="energy",
        title="Energy per cell",
        caption="Energy of each attempt; bar and whiskers: mean and its 95 % interval",
        description=f"Strip chart of the energy of {len(points)} attempts in {len(means)} cells, with means and 95 % "
        "intervals",
        spec=finished(chart),
    )


def _mean_row(cell: Cell, factor: float) -> dict[str, Any]:
    """Return the mean of a cell and the ends of its interval, which are the mean itself where none is known."""
    mean = cell.energy()
    value, u95 = mean.value or 0.0, mean.u95 or 0.0
    most = max(record.energy.total_j or value for record in cell.sample)
    return {
        "mean": value / factor, "low": (value - u95) / factor, "high": (value + u95) / factor,
        "right": max(value + u95, most) / factor, "n": cell.n, "count": f"n = {cell.n}", "quality": cell.quality,
        "load": load_names(cell),
    }  # fmt: skip


def _energy_axis(channel: str, field: str, title: str) -> Any:
    import altair as alt

    if channel == "y":
        return alt.Y(field, title=title, scale=alt.Scale(zero=False, padding=8))
    axis = alt.Axis(tickCount=alt.ExprRef("ceil(width / 90)"), labelOverlap="greedy", labelSeparation=6)
    return alt.X(field, title=title, axis=axis, scale=alt.Scale(zero=False, padding=40))


def load_chart(cells: Sequence[Cell], labels: Sequence[str]) -> Chart | None:
    """Return each workload alone and alongside its load, joined by a line; ``None`` without such a pair."""
    import altair as alt

    names = {cell.cell: label for cell, label in zip(cells, labels, strict=True)}
    pairs = [pair for pair in load_pairs(cells) if pair.inflation is not None]
    if not pairs:
        return None
    unit, factor = unit_of([cell.energy().value for pair in pairs for cell in (pair.alone, pair.beside)])
    rows = [
        {"name": names[pair.beside.cell], "state": state, **_mean_row(cell, factor), "ratio": ratio}
        for pair in pairs
        for state, cell, ratio in (
            ("alone", pair.alone, ""),
            ("with the load", pair.beside, interval_words(pair.inflation)),
        )
    ]
    title = f"energy ({unit})"
    base = alt.Chart(chart_data(rows)).encode(y=alt.Y("name:N", sort=None, title=None, axis=alt.Axis(labelLimit=320)))
    lines = base.mark_line(strokeWidth=2, opacity=0.4).encode(x=_energy_axis("x", "mean:Q", title), detail="name:N")
    whiskers = base.mark_errorbar(ticks=_CAPS, thickness=1.5).encode(x=alt.X("low:Q", title=title), x2="high:Q")
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
        caption="Energy of the whole machine, alone and with the load, with 95 % intervals; ×: ratio of the two",
        description=f"Dot chart of the energy of {len(pairs)} cells alone and alongside a load",
        spec=finished(chart),
    )


def hyperparameter_charts(cells: Sequence[Cell]) -> Iterator[Chart]:
    """Yield one chart per hyperparameter that varies, at most a dozen."""
    import altair as alt

    by_name: dict[tuple[str, str], list[Any]] = {}
    for effect in hyperparameter_effects(cells):
        by_name.setdefault((effect.workload, effect.name), []).append(effect)
    for number, ((workload, name), effects) in enumerate(list(by_name.items())[:_MOST_CHARTS]):
        unit, factor = unit_of([point[1] for effect in effects for point in effect.points])
        rows = [
            {"x": value, **_mean_row(cell, factor), "load": effect.load}
            for effect in effects
            for value, _, cell in effect.points
        ]
        if len(rows) < _LEAST_POINTS:
            continue
        whole = all(_is_whole(cell, name) for effect in effects for _, _, cell in effect.points)
        x = alt.X("x:Q", title=name, **axis_and_scale([row["x"] for row in rows], whole=whole))
        base = alt.Chart(chart_data(rows)).encode(x=x)
        y_title = f"energy ({unit})"
        whiskers = base.mark_errorbar(ticks=_CAPS).encode(y=alt.Y("low:Q", title=y_title), y2="high:Q")
        dots = base.mark_point(filled=True, size=70, opacity=0.85).encode(
            y=_energy_axis("y", "mean:Q", y_title),
            color=load_colour(rows),
            shape=alt.Shape("load:N", title="load", scale=load_scale(rows)),
            tooltip=[alt.Tooltip("x:Q", title=name), "mean:Q", "low:Q", "high:Q", "load:N", "n:Q", "quality:N"],
        )
        rhos = "; ".join(_rho(effect) for effect in effects)
        yield Chart(
            key=f"hyperparameter-{number}",
            title=f"{name}: {workload}",
            description=f"Scatter chart of energy over {name} for {workload}. {rhos}",
            spec=finished((whiskers + dots).properties(width="container", height=240)),
        )


def _is_whole(cell: Cell, name: str) -> bool:
    workload = cell.sample[0].workload
    value = None if workload is None else workload.hyperparameters.get(name)
    return isinstance(value, int) and not isinstance(value, bool)


def pareto_charts(cells: Sequence[Cell], labels: Sequence[str]) -> Iterator[Chart]:
    """Yield energy against accuracy, one chart per workload and load, of one machine, code and way of measuring.

    At most a dozen charts. A cell with a load costs more than one alone for a reason that is no choice of the training.

    The metric is the one that most of the workload's cells report among those whose direction the registry knows; there
    is no front without a known direction.
    """
    names = dict(zip(map(id, cells), labels, strict=True))
    charts = (
        _pareto_chart(f"{group.workload}, {group.load}", [(cell, names[id(cell)]) for cell in group.cells])
        for group in cells_by_setting(cells)
    )
    for number, chart in enumerate(itertools.islice(filter(None, charts), _MOST_CHARTS)):
        yield replace(chart, key=f"pareto-{number}")


def _pareto_chart(workload: str, members: Sequence[tuple[Cell, str]]) -> Chart | None:
    metric, higher = _chosen_metric([cell for cell, _ in members])
    if metric is None:
        return None
    unit, factor = unit_of([cell.energy().value for cell, _ in members])
    rows = [
        {"name": label, **_mean_row(cell, factor), "value": value.value, "worst": value.value - (value.u95 or 0.0),
         "best": value.value + (value.u95 or 0.0)}
        for cell, label in members
        if cell.n and cell.energy().value is not None and (value := _metric_mean(cell, metric)).value is not None
    ]  # fmt: skip
    if len(rows) < _LEAST_POINTS:
        return None
    sign = 1.0 if higher else -1.0
    front = pareto_front([(row["mean"], sign * row["value"]) for row in rows]) if _any_differ(rows) else frozenset()
    for index, row in enumerate(rows):
        row["front"] = index in front
    said = f"ringed: no other cell has a better {metric} for less energy" if front else (
        "no front: the cells do not differ beyond their 95 % intervals"
    )  # fmt: skip
    ringed = f"; the {len(front)} that no other beats are ringed" if front else ", which do not differ"
    return Chart(
        key="pareto",
        title=f"{workload}: {metric}",
        caption=f"{workload}; {said}",
        description=f"Scatter chart of {metric} over energy for {len(rows)} cells{ringed}",
        spec=_pareto_spec(rows, metric, unit),
    )


def _metric_mean(cell: Cell, metric: str) -> Mean:
    """Return the mean of a metric with the interval that its spread over the repeats gives."""
    values = [all_metrics(record).get(metric) for record in cell.sample]
    return mean_of([(value, 0.0) for value in values])


def _any_differ(rows: Sequence[dict[str, Any]]) -> bool:
    """Return whether two cells differ in energy or metric by more than the intervals of both, in quadrature."""
    for first, second in itertools.combinations(rows, 2):
        for mean, high in (("mean", "high"), ("value", "best")):
            half_widths = math.hypot(first[high] - first[mean], second[high] - second[mean])
            if abs(first[mean] - second[mean]) > half_widths:
                return True
    return False


def _pareto_spec(rows: Sequence[dict[str, Any]], metric: str, unit: str) -> dict[str, Any]:
    import altair as alt

    x_title = f"energy ({unit})"
    base = alt.Chart(chart_data(rows))
    x, y = _energy_axis("x", "mean:Q", x_title), _energy_axis("y", "value:Q", metric)
    front = base.transform_filter("datum.front").encode(x=x, y=y)
    line = front.mark_line(interpolate="step-after", strokeDash=[5, 3], opacity=0.7)
    rings = front.mark_point(size=220, strokeWidth=2, filled=False)
    across = base.mark_errorbar(ticks=_CAPS).encode(x=alt.X("low:Q", title=x_title), x2="high:Q", y=y)
    upright = base.mark_errorbar(ticks=_CAPS).encode(x=x, y=alt.Y("worst:Q", title=metric), y2="best:Q")
    dots = base.mark_point(filled=True, size=70, opacity=0.85).encode(
        x=x,
        y=y,
        color=load_colour(rows),
        shape=alt.Shape("load:N", title="load", scale=load_scale(rows)),
        tooltip=["name:N", "mean:Q", alt.Tooltip("value:Q", title=metric), "n:Q", "quality:N", "front:N"],
    )
    return finished((line + across + upright + rings + dots).properties(width="container", height=260))


def trace_specs() -> dict[str, dict[str, Any]]:
    """Return the charts of one trace, one below the other on one axis of time; the page gives each its data ``rows``.

    ``power`` (t, v, name), ``heat`` (the same, in degrees), ``spans`` (start, end, row, name): windows and rounds.
    """
    import altair as alt

    seconds = "seconds since the window opened"
    colour = alt.Color("name:N", title=None, legend=alt.Legend(orient="top"))

    def lines(title: str, height: int) -> Any:
        chart = alt.Chart(alt.NamedData(name="rows")).mark_line(strokeWidth=1.5)
        shown = chart.encode(
            x=alt.X("t:Q", title=seconds),
            y=alt.Y("v:Q", title=title, axis=alt.Axis(**_TRACE_AXIS), scale=alt.Scale(zero=title.startswith("power"))),
            color=colour,
            tooltip=["name:N", "t:Q", "v:Q"],
        )
        return shown.properties(width="container", height=height)

    spans = alt.Chart(alt.NamedData(name="rows")).mark_rect(
        cornerRadius=2, opacity=0.75, stroke="white", strokeWidth=0.6
    )
    spans = spans.encode(
        x=alt.X("start:Q", title=seconds),
        x2="end:Q",
        y=alt.Y("row:N", title=" ", sort=None, axis=alt.Axis(labelLimit=80, **_TRACE_AXIS)),
        color=alt.Color("row:N", legend=None),
        tooltip=["row:N", "name:N", "start:Q", "end:Q"],
    )
    charts = {
        "power": lines("power (W)", 240),
        "heat": lines("temperature (°C)", 120),
        "spans": spans.properties(width="container", height=20),
    }
    return {name: finished(chart) for name, chart in charts.items()}


def trace_data(report: Report) -> dict[str, Any]:
    """Return by record id the thinned series (``lines``) and the ``spans`` of windows and rounds of the load."""
    records = [record for record in report.records if record.record_id in report.traces]
    count = sum(len(report.traces[record.record_id].names) for record in records)
    points = max(min(_POINTS_A_LINE, _MOST_TRACE_POINTS // max(count, 1)), 24)
    return {
        record.record_id: {"lines": _thinned(report.traces[record.record_id], points), "spans": _spans(record)}
        for record in records
    }


def _thinned(trace: Trace, points: int) -> dict[str, list[list[float]]]:
    return {
        name: [[round(t, 3), float(f"{v:.5g}")] for t, v in thin(trace.offsets_s, values, points)]
        for name, values in zip(trace.names, trace.values, strict=True)
    }


def _spans(record: Record) -> list[dict[str, Any]]:
    found = [
        {"row": "windows", "name": window.name, "start": window.start_s, "end": window.start_s + window.window_s}
        for window in record.energy.windows
        if window.start_s is not None and window.window_s is not None
    ]
    for load in record.background:
        for number, (start, end) in enumerate(load.round_spans_s, 1):
            row = {
                "row": load.name,
                "name": f"round {number}",
                "start": round(max(start, 0.0), 3),
                "end": round(end, 3),
            }
            found.append(row)
    return found


def _rho(effect: Any) -> str:
    found = effect.correlation
    if found is None:
        return f"{effect.load}: too few cells for a correlation"
    return f"{effect.load}: Spearman's rho {found.rho:+.2f}, p {format_number(found.p, 2)}, {found.n} cells"


def _chosen_metric(cells: Sequence[Cell]) -> tuple[str | None, bool | None]:
    """Return the metric that most cells report, and whether more of it is better; those that are come first."""
    counts: dict[str, int] = {}
    for cell in cells:
        for name, value in cell.metrics().items():
            if value is not None and math.isfinite(value):
                counts[name] = counts.get(name, 0) + 1
    directions = {name: better_is_higher(name, (cell.sample[0] for cell in cells)) for name in counts}
    known = [name for name in counts if directions[name] is not None]
    ranked = sorted(known, key=lambda name: (not directions[name], -counts[name]))
    return (ranked[0], directions[ranked[0]]) if ranked else (None, None)
