"""The windows inside a test, summed by name, with their share of the test's energy."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence

from msgspec import Struct

from ..records.energy_values import WindowResult
from ..records.record import Record
from .grouping import mean_or_none

__all__ = ["WindowShare", "mean_shares", "window_shares"]

_NUMBER = re.compile(r"\s+\d+$")


class WindowShare(Struct, frozen=True, kw_only=True):
    """All windows of one name inside a test, together; ``epoch 1``, ``epoch 2``, … have the name ``epoch``."""

    name: str
    """With the names of the windows around it, separated by slashes."""
    count: float
    """Number of windows; a mean where it is of several attempts."""
    seconds: float
    total_j: float | None
    """``None`` where the energy of one window is unknown."""
    share_ratio: float | None
    """Share of the energy of the test's window, 0 to 1."""


def window_shares(energy: WindowResult) -> tuple[WindowShare, ...]:
    """Return the windows inside a test's window, in the order in which each name first closed."""
    grouped: dict[str, list[WindowResult]] = {}
    for path, window in _inside(energy, ""):
        grouped.setdefault(path, []).append(window)
    return tuple(_sum(path, windows, energy.total_j) for path, windows in grouped.items())


def mean_shares(records: Sequence[Record]) -> tuple[WindowShare, ...]:
    """Return the means over the records that have windows of a name; unknown where one of them is unknown."""
    grouped: dict[str, list[WindowShare]] = {}
    for record in records:
        for share in window_shares(record.energy):
            grouped.setdefault(share.name, []).append(share)
    return tuple(
        WindowShare(
            name=name,
            count=statistics.fmean(share.count for share in shares),
            seconds=statistics.fmean(share.seconds for share in shares),
            total_j=mean_or_none([share.total_j for share in shares]),
            share_ratio=mean_or_none([share.share_ratio for share in shares]),
        )
        for name, shares in grouped.items()
    )


def _inside(energy: WindowResult, above: str) -> Iterator[tuple[str, WindowResult]]:
    """Yield each inner window with its path, in which numbers of repeated names are left out."""
    stems = Counter(_NUMBER.sub("", window.name) for window in energy.windows)
    for window in energy.windows:
        stem = _NUMBER.sub("", window.name)
        name = stem if stems[stem] > 1 else window.name
        path = f"{above}/{name}" if above else name
        yield path, window
        yield from _inside(window, path)


def _sum(name: str, windows: Sequence[WindowResult], whole_j: float | None) -> WindowShare:
    joules = [window.total_j for window in windows if window.total_j is not None]
    total_j = sum(joules) if len(joules) == len(windows) else None
    return WindowShare(
        name=name,
        count=len(windows),
        seconds=sum(window.window_s or 0.0 for window in windows),
        total_j=total_j,
        share_ratio=None if total_j is None or not whole_j else total_j / whole_j,
    )
