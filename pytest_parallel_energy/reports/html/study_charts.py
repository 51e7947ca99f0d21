"""The charts of a study: energy over hyperparameters, and energy against accuracy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from ...statistics.analysis import cells_by_setting, hyperparameter_effects, pareto_front
from ...statistics.directions import better_is_higher
from ...statistics.grouping import Cell, Mean, all_metrics, mean_of
from ..layout import format_number
from .axes import axis_and_scale, chart_data, finished, load_colour, load_shape, unit_of
from .chart_rows import CAPS, Chart, density, ends_of, energy_axis, footnote, mean_row

__all__ = ["hyperparameter_charts", "pareto_charts"]

_MOST_CHARTS = 12
_LEAST_POINTS = 3
"""Points below which a scatter chart shows nothing that the table does not."""


def hyperparameter_charts(cells: Sequence[Cell]) -> Iterator[Chart]:
    """Yield one chart per hyperparameter that varies, at most a dozen."""
    import altair as alt

    by_name: dict[tuple[str, str], list[Any]] = {}
    for effect in hyperparameter_effects(cells):
        by_name.setdefault((effect.workload, effect.name), []).append(effect)
    for number, ((workload, name), effects) in enumerate(list(by_name.items())[:_MOST_CHARTS]):
        unit, factor = unit_of([point[1] for effect in effects for point in effect.points])
        rows = [
            {"x": value, **mean_row(cell, factor), "load": effect.load}
            for effect in effects
            for value, _, cell in effect.points
        ]
        if len(rows) < _LEAST_POINTS:
            continue
        whole = all(_is_whole(cell, name) for effect in effects for _, _, cell in effect.points)
        x = alt.X("x:Q", title=name, **axis_and_scale([row["x"] for row in rows], whole=whole))
        base = alt.Chart(chart_data(rows)).encode(x=x)
        y_title = f"energy ({unit})"
        pale = density(rows)
        whiskers = base.mark_errorbar(ticks=CAPS, opacity=pale["whiskers"]).encode(
            y=energy_axis("y", "low:Q", y_title, ends_of(rows)), y2="high:Q"
        )
        dots = base.mark_point(filled=True, size=70, opacity=pale["marks"]).encode(
            y=energy_axis("y", "mean:Q", y_title, ends_of(rows)),
            color=load_colour(rows),
            shape=load_shape(rows),
            tooltip=[alt.Tooltip("x:Q", title=name), "mean:Q", "low:Q", "high:Q", "load:N", "n:Q", "quality:N"],
        )
        rhos = "; ".join(_rho(effect) for effect in effects)
        yield Chart(
            key=f"hyperparameter-{number}",
            title=f"{name}: {workload}",
            caption=f"Energy of {workload} over {name}, one point per cell",
            description=f"Scatter chart of energy over {name} for {workload}. {rhos}",
            spec=finished((whiskers + dots).properties(width="container", height=240)),
            footnote=footnote([cell for effect in effects for _, _, cell in effect.points]),
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
        {"name": label, **mean_row(cell, factor), "value": value.value, "worst": value.value - (value.u95 or 0.0),
         "best": value.value + (value.u95 or 0.0)}
        for cell, label in members
        if cell.n and cell.energy().value is not None and (value := _metric_mean(cell, metric)).value is not None
    ]  # fmt: skip
    if len(rows) < _LEAST_POINTS:
        return None
    sign = 1.0 if higher else -1.0
    front = pareto_front([(row["mean"], sign * row["value"]) for row in rows]) if _any_differ(rows) else frozenset()
    front = frozenset(index for index in front if not any(_beats(row, rows[index], sign) for row in rows))
    for index, row in enumerate(rows):
        row["front"] = index in front
    said = "ringed: no other cell beats it by more than the intervals" if front else (
        "no front: the cells do not differ beyond their 95 % intervals"
    )  # fmt: skip
    ringed = f"; the {len(front)} that no other beats are ringed" if front else ", which do not differ"
    return Chart(
        key="pareto",
        title=f"{workload}: {metric}",
        caption=f"{metric} over energy of {workload}; {said}",
        description=f"Scatter chart of {metric} over energy for {len(rows)} cells{ringed}",
        spec=_pareto_spec(rows, metric, unit),
        footnote=footnote([cell for cell, _ in members]),
    )


def _metric_mean(cell: Cell, metric: str) -> Mean:
    """Return the mean of a metric with the interval that its spread over the repeats gives."""
    values = [all_metrics(record).get(metric) for record in cell.sample]
    return mean_of([(value, 0.0) for value in values])


def _any_differ(rows: Sequence[dict[str, Any]]) -> bool:
    """Return whether two cells differ in energy or metric."""
    return any(
        _direction(first, second, quantity)
        for first, second in itertools.combinations(rows, 2)
        for quantity in ("mean", "value")
    )


def _beats(first: dict[str, Any], second: dict[str, Any], sign: float) -> bool:
    """Return whether a cell is better than another in energy or metric, and not worse in the other one."""
    gains = -_direction(first, second, "mean"), sign * _direction(first, second, "value")
    return max(gains) > 0 and min(gains) >= 0


def _direction(first: dict[str, Any], second: dict[str, Any], quantity: str) -> int:
    """Return 1 where the first cell has more, -1 for less, 0 within the intervals of both, in quadrature."""
    high = {"mean": "high", "value": "best"}[quantity]
    half_widths = math.hypot(first[high] - first[quantity], second[high] - second[quantity])
    difference: float = first[quantity] - second[quantity]
    return int(difference > half_widths) - int(difference < -half_widths)


def _pareto_spec(rows: Sequence[dict[str, Any]], metric: str, unit: str) -> dict[str, Any]:
    import altair as alt

    x_title = f"energy ({unit})"
    base = alt.Chart(chart_data(rows))
    x = energy_axis("x", "mean:Q", x_title, ends_of(rows))
    y = alt.Y("value:Q", title=metric, scale=alt.Scale(zero=False, padding=8))
    front = base.transform_filter("datum.front").encode(x=x, y=y)
    line = front.mark_line(interpolate="step-after", strokeDash=[5, 3], opacity=0.7)
    rings = front.mark_point(size=220, strokeWidth=1.5, filled=False, style="ring")
    pale = density(rows)
    across = base.mark_errorbar(ticks=CAPS, opacity=pale["whiskers"]).encode(
        x=alt.X("low:Q", title=x_title), x2="high:Q", y=y
    )
    upright = base.mark_errorbar(ticks=CAPS, opacity=pale["whiskers"]).encode(
        x=x, y=alt.Y("worst:Q", title=metric), y2="best:Q"
    )
    dots = base.mark_point(filled=True, size=70, opacity=pale["marks"]).encode(
        x=x,
        y=y,
        color=load_colour(rows),
        shape=load_shape(rows),
        tooltip=["name:N", "mean:Q", alt.Tooltip("value:Q", title=metric), "n:Q", "quality:N", "front:N"],
    )
    return finished((line + across + upright + rings + dots).properties(width="container", height=260))


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
