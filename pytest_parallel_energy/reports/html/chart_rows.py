"""A chart of the report, and what the rows and footnotes of several charts share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct

from ...statistics.grouping import Cell
from ...statistics.like_cells import load_names
from ...units import count_of
from .axes import TICKS_X

__all__ = ["CAPS", "Chart", "density", "ends_of", "energy_axis", "footnote", "mean_row"]

CAPS = {"size": 8}
"""Whiskers end in caps, so that an end that is not drawn cannot be taken for one."""
_MOST_LINES = 24
"""Rows above which a chart is higher than a window."""
_MANY_POINTS = 40
"""Points above which whiskers and marks are pale, because they cover each other."""


class Chart(Struct, frozen=True, kw_only=True):
    """One chart and the sentence that says what it shows: its accessible name."""

    key: str
    """Identifier in the page, unique among charts."""
    title: str
    caption: str = ""
    """The line above the chart; empty is the title."""
    description: str
    spec: dict[str, Any]
    footnote: str = ""
    """What a saved picture must say of itself besides the run: quality, intervals, number of attempts."""
    sortable: bool = False
    """Whether its rows are cells, which a reader may sort by energy or name."""


def footnote(cells: Sequence[Cell], shown: str = "mean and 95 % interval of") -> str:
    """Return what a saved chart of these cells must say of itself: the qualities of its joules, intervals and n."""
    counts = sorted({cell.n for cell in cells})
    n = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    none = "" if counts[0] else " (where none passed, of the failed attempts)"
    return f"joules: {_qualities(cells)} · {shown} n = {n} per cell{none} · {count_of(len(cells), 'cell')}"


def _qualities(cells: Sequence[Cell]) -> str:
    """Return the qualities in words, the most frequent first, with the numbers of cells where there are several."""
    found = Counter(cell.quality for cell in cells)
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{quality} ({count_of(count, 'cell')})" for quality, count in found.most_common())


def density(rows: Sequence[Any]) -> dict[str, float]:
    """Return the opacity of whiskers and of marks for so many rows."""
    many = len(rows) > _MANY_POINTS
    return {"whiskers": 0.25 if many else 1.0, "marks": 0.55 if many else 0.9}


def mean_row(cell: Cell, factor: float) -> dict[str, Any]:
    """Return the mean of a cell and the ends of its interval, which are the mean itself where none is known.

    An energy is not below 0, and neither is the end of a whisker.
    """
    mean = cell.energy()
    value, u95 = mean.value or 0.0, mean.u95 or 0.0
    low, high = mean.ends or (max(value - u95, 0.0), value + u95)
    most = max(record.energy.total_j or value for record in cell.sample)
    return {
        "mean": value / factor, "low": low / factor, "high": high / factor,
        "right": max(high, most) / factor, "n": cell.n, "count": f"n = {cell.n}" if cell.n else "none passed",
        "quality": cell.quality, "load": load_names(cell),
    }  # fmt: skip


def ends_of(rows: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Return the ends of an axis of energy for rows of :func:`mean_row`: all whiskers and points, and never below 0."""
    low, high = min(row["low"] for row in rows), max(row["right"] for row in rows)
    span = (high - low) or high or 1.0
    return max(low - 0.05 * span, 0.0), high + 0.05 * span


def energy_axis(channel: str, field: str, title: str, ends: tuple[float, float], lines: int = 0) -> Any:
    """Return the channel ``x`` or ``y`` of an energy between two ends; the page adds room for texts at the right.

    A chart of many ``lines`` is higher than a window: its axis stands above, where a reader sees it first.
    """
    import altair as alt

    low, high = ends
    if channel == "y":
        return alt.Y(field, title=title, scale=alt.Scale(domain=[low, high], nice=False))
    side: Literal["top", "bottom"] = "top" if lines > _MOST_LINES else "bottom"
    axis = alt.Axis(orient=side, tickCount=alt.ExprRef(TICKS_X), labelOverlap="greedy", labelSeparation=6)
    return alt.X(field, title=title, axis=axis, scale=alt.Scale(domain=[low, high], nice=False))
