"""The named windows inside the attempts of a cell, averaged over the attempts."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..records.record import Record, WindowResult
from .grouping import Cell, Mean, mean_of, worst_quality

__all__ = ["WindowMean", "window_means"]

_MOST_APART = 4
"""Numbered windows of one name, such as epochs, up to which each has its own mean."""
_NUMBERED = re.compile(r"(?P<stem>.*?)[-_ ]?(?P<number>\d+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowMean:
    """The windows of one name in a mean attempt of a cell: all of an attempt together."""

    name: str
    """With the names of the windows around it (``epoch/step``); of a long numbered series, the first and the last."""
    count: float
    """Windows per attempt."""
    energy: Mean
    """Joules per attempt; ``None`` inside where one is unknown, or an attempt lacks the window."""
    seconds: float | None
    share_ratio: float | None
    """Part of the attempt's total, 0 to 1; of nested windows the same joules are in each level."""
    quality: str


def window_means(cell: Cell, *, nested: bool = False) -> tuple[WindowMean, ...]:
    """Return the windows of a cell in the order in which they first opened; empty without any.

    Joules of one name are added up within an attempt, and so are the half-widths, because most of a meter's error is
    gain, which is the same in each window.

    Args:
        cell: the cell.
        nested: also return windows inside windows.
    """
    attempts = [list(_named(record.energy, nested=nested)) for record in cell.sample]
    labels = _labels([name for attempt in attempts for name, _ in attempt])
    series = dict.fromkeys(labels.values())
    return tuple(_mean(label, [_of(label, labels, attempt) for attempt in attempts], cell.sample) for label in series)


def _named(energy: WindowResult, place: str = "", *, nested: bool) -> Iterator[tuple[str, WindowResult]]:
    for window in sorted(energy.windows, key=lambda window: window.start_s or 0.0):
        path = f"{place}{window.name}"
        yield path, window
        if nested:
            yield from _named(window, f"{path}/", nested=True)


def _labels(names: Sequence[str]) -> dict[str, str]:
    """Return the label of each name: itself, or of a long numbered series its first and last.

    >>> _labels(["load", *(f"epoch-{i}" for i in range(1, 6))])["epoch-3"]
    'epoch-1 … epoch-5'
    """
    stems: dict[str, dict[int, str]] = {}
    for name in dict.fromkeys(names):
        if found := _NUMBERED.fullmatch(name):
            stems.setdefault(found["stem"], {})[int(found["number"])] = name
    labels = {name: name for name in names}
    for members in stems.values():
        if len(members) > _MOST_APART:
            label = f"{members[min(members)]} … {members[max(members)]}"
            labels |= dict.fromkeys(members.values(), label)
    return labels


def _of(label: str, labels: dict[str, str], attempt: Sequence[tuple[str, WindowResult]]) -> list[WindowResult]:
    return [window for name, window in attempt if labels[name] == label]


def _mean(label: str, attempts: Sequence[Sequence[WindowResult]], records: Sequence[Record]) -> WindowMean:
    pairs = [(_sum([w.total_j for w in found]), _sum([w.total_u95_j for w in found])) for found in attempts]
    energy = mean_of(pairs)
    totals = [record.energy.total_j for record in records]
    known = [total for total in totals if total is not None]
    total_j = statistics.fmean(known) if known and len(known) == len(totals) else None
    seconds = [_sum([window.window_s for window in found]) for found in attempts]
    known_s = [value for value in seconds if value is not None]
    return WindowMean(
        name=label,
        count=statistics.fmean(map(len, attempts)),
        energy=energy,
        seconds=statistics.fmean(known_s) if known_s and len(known_s) == len(seconds) else None,
        share_ratio=energy.value / total_j if energy.value is not None and total_j else None,
        quality=worst_quality(window for found in attempts for window in found),
    )


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None
