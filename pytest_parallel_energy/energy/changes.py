"""The changes of a counter as its readings show them: points of the energy over time, each with its doubt in time."""

from __future__ import annotations

import bisect
from array import array
from typing import NamedTuple

__all__ = ["ChangeLog", "CounterPoint"]

_JITTER_RATIO = 0.1
"""An update comes late or early by up to this share of the interval (a convention; the bench uses 5 %)."""
_TIGHT_RATIO = 0.1
"""A point that is known to this share of the update interval shows where its neighbours lie."""


class CounterPoint(NamedTuple):
    """An update of the counter: from ``earliest_ns`` to ``latest_ns`` it began to show ``counts``."""

    earliest_ns: int
    latest_ns: int
    counts: int

    @property
    def at_ns(self) -> int:
        """The middle of the two bounds."""
        return (self.earliest_ns + self.latest_ns) // 2

    @property
    def doubt_ns(self) -> int:
        """Half the time between the two bounds."""
        return (self.latest_ns - self.earliest_ns) // 2


class ChangeLog:
    """The values that one counter showed, in order, from the first reading of an outermost window on.

    16 bytes and one integer per value that differs from the one before. Times are monotonic nanoseconds.
    """

    __slots__ = ("_closest_ns", "_counts", "_faults", "_first_ns", "_last_ns", "_widest_ns", "interval_s")

    def __init__(self) -> None:
        self._first_ns = array("q")
        """When each value was read first."""
        self._last_ns = array("q")
        """When each value was read last."""
        self._counts: list[int] = []
        self._faults: list[int] = []
        self._widest_ns = 0
        self._closest_ns = 0
        self.interval_s: float | None = None
        """The update interval as it was measured while a window waited for edges."""

    def __len__(self) -> int:
        """Return the number of values."""
        return len(self._counts)

    def note(self, at_ns: int, counts: int, faults: int) -> None:
        """Add a sound reading. Between values with different numbers of faults the difference is not known."""
        if self._counts and self._counts[-1] == counts and self._faults[-1] == faults:
            self._last_ns[-1] = at_ns
            self._widest_ns = max(self._widest_ns, at_ns - self._first_ns[-1])
        else:
            self._first_ns.append(at_ns)
            self._last_ns.append(at_ns)
            self._counts.append(counts)
            self._faults.append(faults)
            if len(self._counts) > 2:  # noqa: PLR2004 - two changes make an interval
                apart_ns = at_ns - self._last_ns[-3]
                self._closest_ns = min(self._closest_ns or apart_ns, apart_ns)

    def update_ns(self, described_ns: int) -> int:
        """Return the update interval, from its description and from what was seen.

        Two changes that were seen within less bound it from above, a value that stood still for longer from below.
        """
        return max(min(described_ns, self._closest_ns or described_ns), self._widest_ns, 1)

    def mean_counts_per_ns(self) -> float | None:
        """Return the mean speed of the counter; ``None`` where it was not seen to change."""
        if len(self._counts) < 2:  # noqa: PLR2004 - a difference
            return None
        return (self._counts[-1] - self._counts[0]) / (self._first_ns[-1] - self._first_ns[0])

    def before(self, at_ns: int, update_ns: int, *, fine: bool) -> int:
        """Return the number of the last point that is not later than a moment; -1 where there is none."""
        number = bisect.bisect_right(self._first_ns, at_ns)
        # the reading that closes a window may come a moment after its end, and show an update from before it
        if number < len(self._counts) and self.point(number, update_ns, fine=fine).at_ns <= at_ns:
            return number
        return number - 1

    def neighbours(self, first: int, second: int) -> bool:
        """Return whether both points exist, and the counter had no fault between them."""
        return 0 <= first < len(self._counts) > second >= 0 and self._faults[first] == self._faults[second]

    def point(self, number: int, update_ns: int, *, fine: bool) -> CounterPoint:
        """Return one point, with the narrowest bounds in time that the readings around it allow.

        Args:
            number: from 0 to one less than the length.
            update_ns: the update interval.
            fine: whether every update changes the value; a coarse counter may need several.
        """
        plain = self._bounds(number, update_ns, fine=fine)
        if not fine:
            return plain
        for step in (1, -1, 2, -2):
            there = number + step
            if 0 <= there < len(self._counts):
                known = self._bounds(there, update_ns, fine=True)
                if known.doubt_ns < _TIGHT_RATIO * update_ns < plain.doubt_ns:
                    return _on_the_grid(plain, known, update_ns)
        return plain

    def _bounds(self, number: int, update_ns: int, *, fine: bool) -> CounterPoint:
        first_ns, last_ns = self._first_ns[number], self._last_ns[number]
        # the value that a reading shows is not older than one update
        shown_ns = (last_ns if fine else first_ns) - update_ns
        earliest_ns = shown_ns if shown_ns < first_ns else first_ns - update_ns
        if number:
            earliest_ns = max(earliest_ns, self._last_ns[number - 1])
        return CounterPoint(min(earliest_ns, first_ns), first_ns, self._counts[number])


def _on_the_grid(plain: CounterPoint, known: CounterPoint, update_ns: int) -> CounterPoint:
    """Narrow a point: updates lie whole intervals from one that is known."""
    updates = round((plain.at_ns - known.at_ns) / update_ns)
    doubt_ns = known.doubt_ns + round(_JITTER_RATIO * update_ns * min(abs(updates), 1))
    middle_ns = known.at_ns + updates * update_ns
    earliest_ns = max(plain.earliest_ns, middle_ns - doubt_ns)
    latest_ns = min(plain.latest_ns, middle_ns + doubt_ns)
    if abs(updates) not in {1, 2} or earliest_ns > latest_ns:
        return plain
    return CounterPoint(earliest_ns, latest_ns, plain.counts)
