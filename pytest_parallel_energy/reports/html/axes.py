"""Axes, scales and colours that the report's charts share."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "TICKS_X",
    "axis_and_scale",
    "chart_data",
    "finished",
    "is_logarithmic",
    "load_colour",
    "load_shape",
    "log_ticks",
    "unit_of",
    "whole_axis",
]

_LEAST_LOG_SPAN = 8.0
"""Below this ratio of the largest to the smallest value a logarithmic axis shows nothing more than a linear one."""
_MOST_TICKS = 8
TICKS_X = "ceil(width / 90)"
"""Number of ticks of a horizontal axis, in the language of Vega: their labels do not collide."""
_LOG_STEPS = ((1, 2, 5), (1, 3), (1,))


def axis_and_scale(values: Sequence[float], *, whole: bool) -> dict[str, Any]:
    """Return the keyword arguments ``axis`` and ``scale`` of a channel that shows a hyperparameter's values.

    Args:
        values: the values of the points.
        whole: whether the hyperparameter takes whole numbers only: the ticks are whole numbers, too.
    """
    import altair as alt

    distinct = sorted(set(values))
    settings: dict[str, Any] = {"labelOverlap": "greedy", "labelSeparation": 6}
    if whole:
        settings |= {"format": "d", "tickMinStep": 1}
    if whole and len(distinct) <= _MOST_TICKS:
        settings |= {"values": distinct}
    if not is_logarithmic(values):
        settings.setdefault("tickCount", alt.ExprRef(TICKS_X))
        return {"axis": alt.Axis(**settings), "scale": alt.Scale(zero=False, nice=False, padding=12)}
    settings = {"format": "~g", "values": log_ticks(distinct[0], distinct[-1]), **settings}
    return {"axis": alt.Axis(**settings), "scale": alt.Scale(type="log", nice=False, padding=12)}


def whole_axis(last: int) -> Any:
    """Return the axis of whole numbers from 1 to ``last``, with ticks at whole numbers alone.

    Vega's ``tickMinStep`` gives halves on short axes: their labels would be one number twice.
    """
    import altair as alt

    if last <= _MOST_TICKS:
        return alt.Axis(format="d", values=list(range(1, last + 1)))
    return alt.Axis(format="d", tickMinStep=1, tickCount=alt.ExprRef(TICKS_X))


def is_logarithmic(values: Sequence[float]) -> bool:
    """Return whether the values lie more evenly on a logarithmic axis, as those of a log-uniform distribution do.

    The median is compared with the middle of the range on both axes.
    """
    low, high = min(values), max(values)
    if low <= 0 or high / low < _LEAST_LOG_SPAN:
        return False
    median = statistics.median(values)
    linear = (median - low) / (high - low)
    logarithmic = math.log(median / low) / math.log(high / low)
    return abs(logarithmic - 0.5) <= abs(linear - 0.5)


def log_ticks(low: float, high: float) -> list[float]:
    """Return at most eight round numbers from ``low`` to ``high``; the ends where there are fewer than two.

    >>> log_ticks(0.0002, 0.03)
    [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02]
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    decades = range(first, last + 1)
    for steps in _LOG_STEPS:
        found = [float(f"{step}e{decade}") for decade in decades for step in steps]
        inside = [value for value in found if low <= value <= high]
        if 2 <= len(inside) <= _MOST_TICKS:  # noqa: PLR2004 - one tick shows no scale
            return inside
    every = max(len(decades) // _MOST_TICKS, 1) if len(decades) > _MOST_TICKS else 0
    return [10.0**decade for decade in decades if decade % (every + 1) == 0] if every else [low, high]


def load_colour(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return the colour of the load, with its legend above the chart."""
    import altair as alt

    return alt.Color("load:N", title="load", scale=_load_scale(rows), legend=_load_legend(rows))


def load_shape(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return the shape of the load, which shares the legend of its colour."""
    import altair as alt

    return alt.Shape("load:N", title="load", scale=_load_scale(rows), legend=_load_legend(rows))


def _load_legend(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return the legend of the loads that a chart shows; none for a single one, which its title names."""
    import altair as alt

    shown = sorted({row["load"] for row in rows}, key=_alone_first)
    return alt.Legend(orient="top", columns=4, values=shown, symbolOpacity=1) if len(shown) > 1 else None


def _load_scale(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return the scale of colours or shapes in which ``alone`` is the same in each chart."""
    import altair as alt

    names: set[str] = {row["load"] for row in rows}
    if not any(map(_is_alone, names)):
        names.add("alone")
    domain: list[str] = sorted(names, key=_alone_first)
    return alt.Scale(domain=domain)


def _is_alone(load: str) -> bool:
    """Return whether there is no load; what else tells its cells from others may stand behind a comma."""
    return load.partition(",")[0] == "alone"


def _alone_first(load: str) -> tuple[bool, str]:
    return not _is_alone(load), load


def chart_data(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return rows as Altair's data."""
    import altair as alt

    return alt.Data(values=rows)  # type: ignore[no-untyped-call]


def finished(chart: Any) -> dict[str, Any]:
    """Return the specification without what the page itself decides: colours and schema address."""
    spec: dict[str, Any] = chart.to_dict()
    spec.pop("config", None)
    spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    return spec


def unit_of(joules: Sequence[float | None]) -> tuple[str, float]:
    """Return the unit in which the largest value reads best, and the joules in it."""
    most = max((abs(value) for value in joules if value is not None), default=0.0)
    return next(((unit, factor) for unit, factor in (("MJ", 1e6), ("kJ", 1e3)) if most >= factor), ("J", 1.0))
