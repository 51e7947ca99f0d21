"""The energy of a window between two moments, from the updates of a counter around them.

A counter shows at each update the energy up to then. Between two updates the energy has grown by a known amount, at
times that are not known: each end of a window divides such an amount. The doubt about the division comes from the
power on both sides of the end, and is a hard bound as long as the power stays below ``cap_w``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..units import NS_PER_S
from .changes import ChangeLog, CounterPoint
from .sensor import SensorDescription

__all__ = ["CounterEnds", "CounterWindow"]

_PEAK_RATIO = 2.0
"""Power may rise to this multiple of the highest mean that was seen around: a convention. It holds what loads can do
that work for half of the time, and most windows of those that work for a fifth (benchmarks/coverage.py)."""
_INSIDE_RATIO = 3.0
"""The same for a window in which the counter did not change: one burst may fill it."""
_FINE_RATIO = 0.2
"""A counter whose step is above this share of the energy of an update does not change with every update."""
_LEAST_APART_RATIO = 0.8
_LOOSE_RATIO = 0.25
_MOST_POWERS = 4096
_RECTANGLE = 2 / math.sqrt(3)
"""Two standard deviations of an error that is equally likely within its bounds, over the bound (GUM, 4.3.7)."""


class CounterEnds(NamedTuple):
    """The energy between two ends, and what is not known about it."""

    joules: float
    doubt_j: float
    """Half-width at 95 % of what the two ends leave open."""
    between_updates: bool
    """Whether no update fell inside, so that the energy is that of the power around the window."""


class _Part(NamedTuple):
    """The energy from the point before an end to that end."""

    joules: float
    low_j: float
    high_j: float

    @property
    def doubt_j(self) -> float:
        """The greater distance to a bound."""
        return max(self.high_j - self.joules, self.joules - self.low_j, 0.0)


class CounterWindow:
    """One window of a counter, with everything that was read of it before and after.

    Args:
        about: the sensor.
        changes: the values that it showed.
        ends_ns: when the window opened and closed.
        update_s: the update interval.
        outside: the power changes at the window's ends (the window of a test), instead of anywhere.
    """

    __slots__ = ("_changes", "_closed_ns", "_fine", "_first", "_last", "_max_w", "_opened_ns", "_outside", "_per_count",
                 "_update_ns")  # fmt: skip

    def __init__(
        self, about: SensorDescription, changes: ChangeLog, ends_ns: tuple[int, int], update_s: float, *, outside: bool
    ) -> None:
        self._max_w = about.max_w
        self._per_count = about.joules_per_count or 0.0
        self._changes = changes
        self._opened_ns, self._closed_ns = ends_ns
        self._outside = outside
        self._update_ns = changes.update_ns(round(update_s * NS_PER_S))
        speed = changes.mean_counts_per_ns()
        self._fine = speed is None or about.resolution_counts < _FINE_RATIO * speed * self._update_ns
        self._first = changes.before(ends_ns[0], self._update_ns, fine=self._fine)
        self._last = changes.before(ends_ns[1], self._update_ns, fine=self._fine)

    @property
    def update_s(self) -> float:
        """The update interval, corrected by what was seen."""
        return self._update_ns / NS_PER_S

    @property
    def settled(self) -> bool:
        """Whether later readings can add nothing."""
        return self._changes.neighbours(self._last, self._last + 1)

    def energy(self) -> CounterEnds | None:
        """Return the energy; ``None`` where the counter was not seen to change around the window."""
        first, last = self._first, self._last
        if not self._changes.neighbours(first, last):
            return None
        if first == last:
            return self._between(first)
        head, tail = self._part(first, self._opened_ns), self._part(last, self._closed_ns)
        if head is None or tail is None:
            return None
        counted_j = (self._point(last).counts - self._point(first).counts) * self._per_count
        both_j = head.doubt_j + tail.doubt_j
        doubt_j = min(both_j, _RECTANGLE * math.hypot(head.doubt_j, tail.doubt_j))
        return CounterEnds(max(0.0, counted_j + tail.joules - head.joules), doubt_j, between_updates=False)

    def powers_w(self) -> list[float]:
        """Return the mean power of each update inside; of a long window the first ones."""
        powers_w = []
        for number in range(self._first, min(self._last, self._first + _MOST_POWERS)):
            if self._changes.neighbours(number, number + 1):
                joules, span_s = self._grown(number)
                updates = max(1, round(span_s / self.update_s))
                powers_w.append(joules / (updates * self.update_s))
        return powers_w

    def _between(self, number: int) -> CounterEnds | None:
        """Return the energy of a window in which the counter did not change: that of the power around it."""
        window_s = (self._closed_ns - self._opened_ns) / NS_PER_S
        before_w, after_w = self._power_w(number - 1), self._power_w(number + 1)
        cap_w = self._cap_w(number, _INSIDE_RATIO)
        if not self._changes.neighbours(number, number + 1):
            if before_w is None:
                return None
            joules = before_w * window_s
            return CounterEnds(joules, max(joules, cap_w * window_s - joules), between_updates=True)
        before, after = self._point(number), self._point(number + 1)
        between_j, _ = self._grown(number)
        head_s = (self._opened_ns - before.at_ns) / NS_PER_S
        tail_s = max(0.0, (after.at_ns - self._closed_ns) / NS_PER_S)
        joules = between_j * window_s / max(head_s + window_s + tail_s, 1e-9)
        if self._outside and before_w is not None and after_w is not None:
            joules = min(max(0.0, between_j - before_w * head_s - after_w * tail_s), between_j)
        blur_s = (before.doubt_ns + after.doubt_ns) / NS_PER_S
        low_j = max(0.0, between_j - cap_w * (head_s + tail_s + blur_s))
        high_j = min(between_j, cap_w * window_s)
        return CounterEnds(joules, max(high_j - joules, joules - low_j, 0.0), between_updates=True)

    def _part(self, number: int, at_ns: int) -> _Part | None:
        """Return the energy from a point to an end after it."""
        before = self._point(number)
        head_s, doubt_s = (at_ns - before.at_ns) / NS_PER_S, before.doubt_ns / NS_PER_S
        sides_w, cap_w = (self._power_w(number - 1), self._power_w(number + 1)), self._cap_w(number)
        if not self._changes.neighbours(number, number + 1):
            if sides_w[0] is None:
                return None
            most_j = cap_w * (head_s + doubt_s)
            return _Part(min(sides_w[0] * head_s, most_j), 0.0, most_j)
        after, (between_j, _) = self._point(number + 1), self._grown(number)
        tail_s = max(0.0, (after.at_ns - at_ns) / NS_PER_S)
        span_s = max(head_s + tail_s, 1e-9)
        if not self._outside:
            joules = _switched(between_j, sides_w, head_s, span_s)
        elif at_ns == self._opened_ns:
            joules = between_j * head_s / span_s if sides_w[0] is None else sides_w[0] * head_s
        else:
            joules = between_j * head_s / span_s if sides_w[1] is None else between_j - sides_w[1] * tail_s
        low_j = max(0.0, between_j - cap_w * (tail_s + after.doubt_ns / NS_PER_S))
        high_j = min(between_j, cap_w * (head_s + doubt_s))
        return _Part(min(max(joules, 0.0), between_j), low_j, high_j)

    def _point(self, number: int) -> CounterPoint:
        return self._changes.point(number, self._update_ns, fine=self._fine)

    def _grown(self, number: int) -> tuple[float, float]:
        """Return the joules and the seconds from a point to the next."""
        before, after = self._point(number), self._point(number + 1)
        span_ns, doubt_ns = after.at_ns - before.at_ns, before.doubt_ns + after.doubt_ns
        if self._fine and doubt_ns > _LOOSE_RATIO * span_ns:
            # two updates are about one interval apart, whatever their bounds allow
            span_ns = max(span_ns, round(_LEAST_APART_RATIO * self._update_ns))
        span_s = max(span_ns, 1) / NS_PER_S
        return (after.counts - before.counts) * self._per_count, span_s

    def _power_w(self, number: int) -> float | None:
        if not self._changes.neighbours(number, number + 1):
            return None
        joules, span_s = self._grown(number)
        return joules / span_s

    def _cap_w(self, number: int, ratio: float = _PEAK_RATIO) -> float:
        """Return the highest power that is assumed around a point."""
        around_w = [self._power_w(each) for each in (number - 1, number, number + 1)]
        peak_w = ratio * max((power_w for power_w in around_w if power_w is not None), default=0.0)
        return peak_w if self._max_w is None else min(peak_w, self._max_w)


def _switched(between_j: float, sides_w: tuple[float | None, float | None], head_s: float, span_s: float) -> float:
    """Return the energy of the head of an interval in which the power went over from one side's to the other's."""
    before_w, after_w = sides_w
    mean_w = between_j / span_s
    if before_w is None or after_w is None or not min(before_w, after_w) < mean_w < max(before_w, after_w):
        return mean_w * head_s
    switch_s = span_s * (mean_w - after_w) / (before_w - after_w)
    return before_w * min(head_s, switch_s) + after_w * max(0.0, head_s - switch_s)
