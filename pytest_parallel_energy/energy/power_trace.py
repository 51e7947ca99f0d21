"""The power that the sampler saw while windows were open: one row per tick, in flat arrays (a day stays small)."""

from __future__ import annotations

import bisect
import itertools
import math
from array import array
from collections.abc import Sequence
from typing import NamedTuple

from ..units import NS_PER_S

__all__ = ["PowerTrace", "TracePoint"]


class TracePoint(NamedTuple):
    """Mean watts of each domain between the previous point and ``offset_s`` (seconds since the window opened)."""

    offset_s: float
    watts: tuple[float | None, ...]
    """One value per domain, in the order of ``WindowResult.domains``; ``None`` where there was no reading."""


class PowerTrace:
    """Mean watts of each track between one sampler tick and the next.

    8 bytes per value: 10 MB per day for ten tracks at 1 Hz.

    Args:
        columns: number of tracks.
    """

    __slots__ = ("_columns", "_cpu_ns", "_from_ns", "_to_ns", "_watts")

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._from_ns = array("q")
        self._to_ns = array("q")
        self._cpu_ns = array("q")
        self._watts = array("d")

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._to_ns)

    def add(self, from_ns: int, to_ns: int, cpu_ns: int, watts: Sequence[float | None]) -> None:
        """Append one row: the span, the CPU time that the sampler took for it, and watts (``None`` for no reading)."""
        self._from_ns.append(from_ns)
        self._to_ns.append(to_ns)
        self._cpu_ns.append(cpu_ns)
        self._watts.extend([math.nan if value is None else value for value in watts])

    def points(self, from_ns: int, to_ns: int) -> tuple[TracePoint, ...]:
        """Return the rows that lie inside a window."""
        return tuple(
            TracePoint(
                offset_s=(self._to_ns[row] - from_ns) / NS_PER_S,
                watts=tuple(None if math.isnan(value) else value for value in self._row(row)),
            )
            for row in self._inside(from_ns, to_ns)
        )

    def cpu_s(self, from_ns: int, to_ns: int) -> float:
        """Return the CPU seconds of the sampler for the ticks that fell into a window."""
        first = bisect.bisect_right(self._to_ns, from_ns)
        last = bisect.bisect_right(self._to_ns, to_ns)
        return sum(self._cpu_ns[first:last]) / NS_PER_S

    def max_gap_s(self, from_ns: int, to_ns: int) -> float:
        """Return the longest time between two readings of a window, its two ends included, in seconds."""
        first = bisect.bisect_right(self._to_ns, from_ns)
        last = bisect.bisect_left(self._to_ns, to_ns)
        at = [from_ns, *self._to_ns[first:last], to_ns]
        return max(later - earlier for earlier, later in itertools.pairwise(at)) / NS_PER_S

    def _inside(self, from_ns: int, to_ns: int) -> range:
        first = bisect.bisect_left(self._from_ns, from_ns)
        return range(first, max(first, bisect.bisect_right(self._to_ns, to_ns)))

    def _row(self, row: int) -> array[float]:
        return self._watts[row * self._columns : (row + 1) * self._columns]
