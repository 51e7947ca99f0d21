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
from ...statistics.grouping import Cell
from ..layout import format_number
from ..report import Report

__all__ = ["Chart", "energy_chart", "hyperparameter_charts", "load_chart", "pareto_charts", "trace_data", "trace_specs"]

_MOST_TRACE_POINTS = 40_000
"""Points of all traces together: about 0.6 MB of the file."""
_POINTS_A_LINE = 400
_LOG_SPAN = 100.0
"""A range from which on an axis is logarithmic."""
_MOST_CHARTS = 12
_LEAST_POINTS = 3
"""Points below which a scatter chart shows nothing that the table does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart and the sentence that says what it shows: its accessible name."""

    key: str
    """Identifier in the page, unique among charts."""
    title: str
    caption: str = ""
    """What stands above the chart; empty is the title."""
    description: str
    spec: dict[str, Any]


def energy_chart(cells: Sequence[Cell], labels: Sequence[str]) -> Chart | None:
    """Mean joules of each cell with its 95 % interval; ``None`` where no cell has any."""
    import altair as alt

    unit, factor = _unit([cell.energy().value for cell in cells])
    rows = []
    for cell, label in zip(cells, labels, strict=True):
        mean = cell.energy()
        if mean.value is None:
            continue
        u95 = mean.u95 or 0.0
        rows.append({
            "cell": cell.cell, "name": label, "mean": mean.value / factor, "low": (mean.value - u95) / factor,
            "high": (mean.value + u95) / factor, "n": cell.n, "quality": cell.quality, "load": load_names(cell),
        })  # fmt: skip
    if not rows:
        return None
    base = alt.Chart(_data(rows)).encode(
        y=alt.Y("name:N", sort=None, title=None, axis=alt.Axis(labelLimit=320)),
        tooltip=["name:N", "mean:Q", "low:Q", "high:Q", "n:Q", "quality:N", "load:N"],
    )
    bars = base.mark_bar(height={"band": 0.6}, opacity=0.85).encode(
        x=alt.X("mean:Q", title=f"energy ({unit})"),
        color=_load_colour(rows),
    )
    whiskers = base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q")
    spec = _finished((bars + whiskers).properties(width="container", height=22 * len(rows) + 8))
    text = f"Bar chart of the mean energy of {len(rows)} cells with 95 % intervals"
    caption = "Mean energy of one attempt, whiskers: 95 % interval"
    return Chart(key="energy", title="Energy per cell", caption=caption, description=text, spec=spec)


def load_chart(cells: Sequence[Cell], labels: Sequence[str]) -> Chart | None:
    """Each workload alone and beside its load, joined by a line; ``None`` without such a pair."""
    import altair as alt

    names = {cell.cell: label for cell, label in zip(cells, labels, strict=True)}
    pairs = [pair for pair in load_pairs(cells) if pair.inflation is not None]
    if not pairs:
        return None
    unit, factor = _unit([cell.energy().value for pair in pairs for cell in (pair.alone, pair.beside)])
    rows = [
        {"name": names[pair.beside.cell], "state": state, "energy": (cell.energy().value or 0.0) / factor}
        for pair in pairs
        for state, cell in (("alone", pair.alone), ("beside the load", pair.beside))
    ]
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("energy:Q", title=f"energy ({unit})"),
        y=alt.Y("name:N", sort=None, title=None, axis=alt.Axis(labelLimit=320)),
    )
    lines = base.mark_line(strokeWidth=2, opacity=0.5).encode(detail="name:N")
    dots = base.mark_point(filled=True, size=90, opacity=1).encode(
        color=alt.Color("state:N", title=None, legend=alt.Legend(orient="top")),
        shape=alt.Shape("state:N", title=None),
        tooltip=["name:N", "state:N", "energy:Q"],
    )
    text = f"Dot chart of the energy of {len(pairs)} cells alone and beside a load"
    spec = _finished((lines + dots).properties(width="container", height=26 * len(pairs) + 8))
    caption = "Energy of the whole machine, alone and beside the load"
    return Chart(key="load", title="Alone against co-running", caption=caption, description=text, spec=spec)


def hyperparameter_charts(cells: Sequence[Cell]) -> Iterator[Chart]:
    """One chart a hyperparameter that varies, at most a dozen."""
    import altair as alt

    by_name: dict[tuple[str, str], list[Any]] = {}
    for effect in hyperparameter_effects(cells):
        by_name.setdefault((effect.workload, effect.name), []).append(effect)
    for number, ((workload, name), effects) in enumerate(list(by_name.items())[:_MOST_CHARTS]):
        unit, factor = _unit([point[1] for effect in effects for point in effect.points])
        rows = [
            {"x": value, "energy": joules / factor, "load": effect.load, "cell": cell.cell, "n": cell.n}
            for effect in effects
            for value, joules, cell in effect.points
        ]
        if len(rows) < _LEAST_POINTS:
            continue
        dots = alt.Chart(_data(rows)).mark_point(filled=True, size=70, opacity=0.85).encode(
            x=alt.X("x:Q", title=name, scale=_scale([row["x"] for row in rows])),
            y=alt.Y("energy:Q", title=f"energy ({unit})", scale=alt.Scale(zero=False)),
            color=_load_colour(rows),
            shape=alt.Shape("load:N", title="load", scale=_load_scale(rows)),
            tooltip=[alt.Tooltip("x:Q", title=name), "energy:Q", "load:N", "n:Q"],
        )  # fmt: skip
        spec = _finished(dots.properties(width="container", height=240))
        rhos = "; ".join(_rho(effect) for effect in effects)
        text = f"Scatter chart of energy over {name} for {workload}. {rhos}"
        yield Chart(key=f"hyperparameter-{number}", title=f"{name}: {workload}", description=text, spec=spec)


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
    found = [(cell, label, cell.energy().value, cell.metrics().get(metric)) for cell, label in members if cell.n]
    known = [
        (cell, label, joules, value) for cell, label, joules, value in found if joules is not None and value is not None
    ]
    if len(known) < _LEAST_POINTS:
        return None
    sign = 1.0 if higher else -1.0
    front = pareto_front([(joules, sign * value) for _, _, joules, value in known])
    unit, factor = _unit([joules for _, _, joules, _ in known])
    rows = [
        {"name": label, "energy": joules / factor, "value": value, "load": load_names(cell), "front": i in front}
        for i, (cell, label, joules, value) in enumerate(known)
    ]
    text = (
        f"Scatter chart of {metric} over energy for {len(rows)} cells; the {len(front)} that no other beats are ringed"
    )
    return Chart(
        key="pareto",
        title=f"{workload}: {metric}",
        caption=f"{workload}; ringed: no other cell has a better {metric} for less energy",
        description=text,
        spec=_pareto_spec(rows, metric, unit),
    )


def _pareto_spec(rows: Sequence[dict[str, Any]], metric: str, unit: str) -> dict[str, Any]:
    import altair as alt

    base = alt.Chart(_data(rows)).encode(
        x=alt.X("energy:Q", title=f"energy ({unit})", scale=alt.Scale(zero=False)),
        y=alt.Y("value:Q", title=metric, scale=alt.Scale(zero=False)),
    )
    line = base.transform_filter("datum.front").mark_line(interpolate="step-after", strokeDash=[5, 3], opacity=0.7)
    rings = base.transform_filter("datum.front").mark_point(size=220, strokeWidth=2, filled=False)
    dots = base.mark_point(filled=True, size=70, opacity=0.85).encode(
        color=_load_colour(rows),
        shape=alt.Shape("load:N", title="load", scale=_load_scale(rows)),
        tooltip=["name:N", "energy:Q", alt.Tooltip("value:Q", title=metric), "front:N"],
    )
    return _finished((line + rings + dots).properties(width="container", height=260))


def trace_specs() -> dict[str, dict[str, Any]]:
    """The charts of one trace, one below the other on one axis of time; the page gives each its data set ``rows``.

    ``power`` (t, v, name), ``heat`` (the same, in degrees), ``spans`` (start, end, row, name): windows and rounds.
    """
    import altair as alt

    seconds = "seconds since the window opened"
    colour = alt.Color("name:N", title=None, legend=alt.Legend(orient="top"))

    def lines(title: str, height: int) -> Any:
        chart = alt.Chart(alt.NamedData(name="rows")).mark_line(strokeWidth=1.5)
        shown = chart.encode(
            x=alt.X("t:Q", title=seconds),
            y=alt.Y("v:Q", title=title, scale=alt.Scale(zero=title.startswith("power"))),
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
        y=alt.Y("row:N", title=None, sort=None, axis=alt.Axis(labelLimit=110)),
        color=alt.Color("row:N", legend=None),
        tooltip=["row:N", "name:N", "start:Q", "end:Q"],
    )
    charts = {
        "power": lines("power (W)", 240),
        "heat": lines("temperature (°C)", 120),
        "spans": spans.properties(width="container", height=20),
    }
    return {name: _finished(chart) for name, chart in charts.items()}


def trace_data(report: Report) -> dict[str, Any]:
    """By record id: thinned series (``lines``), and the ``spans`` of windows and rounds of the load under them."""
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


def _load_colour(rows: Sequence[dict[str, Any]]) -> Any:
    import altair as alt

    return alt.Color("load:N", title="load", scale=_load_scale(rows), legend=alt.Legend(orient="top", columns=4))


def _load_scale(rows: Sequence[dict[str, Any]]) -> Any:
    """The same colour and shape for ``alone`` in each chart."""
    import altair as alt

    return alt.Scale(domain=sorted({row["load"] for row in rows} | {"alone"}, key=lambda name: (name != "alone", name)))


def _data(rows: Sequence[dict[str, Any]]) -> Any:
    import altair as alt

    return alt.Data(values=rows)  # type: ignore[no-untyped-call]


def _finished(chart: Any) -> dict[str, Any]:
    """The specification without what the page itself decides: colours and schema address."""
    spec: dict[str, Any] = chart.to_dict()
    spec.pop("config", None)
    spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    return spec


def _unit(joules: Sequence[float | None]) -> tuple[str, float]:
    """The unit in which the largest value reads best."""
    most = max((abs(value) for value in joules if value is not None), default=0.0)
    return next(((unit, factor) for unit, factor in (("MJ", 1e6), ("kJ", 1e3)) if most >= factor), ("J", 1.0))


def _scale(values: Sequence[float]) -> Any:
    import altair as alt

    positive = min(values) > 0
    logarithmic = positive and max(values) / min(values) >= _LOG_SPAN
    return alt.Scale(type="log") if logarithmic else alt.Scale(zero=False)


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
