"""The charts of one attempt over time: power, temperature, windows and rounds of the loads."""

from __future__ import annotations

from typing import Any

from ...records.record import Record
from ...records.trace import Trace, thin
from ..report import Report
from .axes import TICKS_X, finished

__all__ = ["trace_data", "trace_specs"]

_MOST_TRACE_POINTS = 40_000
"""Points of all traces together: about 0.6 MB of the file."""
_POINTS_A_LINE = 400
_NAME_FITS = "length(datum.name) * 7 + 8 <= scale('x', datum.end) - scale('x', datum.start)"
"""Whether the name of a window or round has room in its bar, in the language of Vega."""


def trace_specs() -> dict[str, dict[str, Any]]:
    """Return the charts of one trace, one below the other on one axis of time; the page gives each its data ``rows``.

    They share one axis of time: the page makes the axes left of them equally wide, so that they begin at one place.
    ``power`` (t, v, name), ``heat`` (the same, in degrees), ``spans`` (start, end, row, name): windows and rounds.
    """
    import altair as alt

    seconds = "time in the window (s)"
    time = alt.Axis(tickCount=alt.ExprRef(TICKS_X))
    colour = alt.Color("name:N", title=None, legend=alt.Legend(orient="top"))

    def lines(title: str, height: int) -> Any:
        chart = alt.Chart(alt.NamedData(name="rows")).mark_line(strokeWidth=1.5)
        shown = chart.encode(
            x=alt.X("t:Q", title=seconds, axis=time),
            y=alt.Y("v:Q", title=title, scale=alt.Scale(zero=title.startswith("power"))),
            color=colour,
            tooltip=["name:N", "t:Q", "v:Q"],
        )
        return shown.properties(width="container", height=height)

    base = alt.Chart(alt.NamedData(name="rows")).encode(
        x=alt.X("start:Q", title=seconds, axis=time),
        y=alt.Y("row:N", title=" ", sort=None),
        tooltip=["row:N", "name:N", "start:Q", "end:Q"],
    )
    bars = base.mark_rect(cornerRadius=2, opacity=0.4, strokeWidth=1).encode(
        x2="end:Q", color=alt.Color("row:N", legend=None), stroke=alt.Stroke("row:N", legend=None)
    )
    names = base.mark_text(align="left", dx=5, fontSize=10, style="span", opacity=alt.ExprRef(f"{_NAME_FITS} ? 1 : 0"))
    spans = bars + names.encode(text="name:N")
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
