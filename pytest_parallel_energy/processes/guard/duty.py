"""Duty cycle of a load that is held at a level: all its processes are stopped and continued, many times a second.

``intensity`` is the share of time during which the load may run. A target of GPU utilisation is reached by the same
means, with the share moved by what is measured.
"""

from __future__ import annotations

import math

__all__ = ["Duty", "LevelTally"]

_PERIOD_S = 0.1
_LONGEST_STOP_S = 1.0
_LEAST_SHARE = 0.02
_LEAST_SWITCH_S = 0.002  # shorter stops are neither kept by the clock nor felt by the load
_STEP_PER_POINT = 0.005  # half of the way per second: below the gain at which a loop with one second of delay swings


class Duty:
    """The moments at which to stop and continue a load. Times are seconds on the monotonic clock.

    What a late timer gives too much or too little is made up for in the next periods, so that the share that was
    reached goes to the share that was asked for.

    Args:
        share: of the time that the load runs, above 0 to 1.
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self.frozen = False
        self._since_s: float | None = None
        self._on_s = 0.0
        self._off_s = 0.0
        self._debt_s = 0.0

    @property
    def running(self) -> bool:
        """``True`` while the clock of the duty runs."""
        return self._since_s is not None

    def begin(self, now_s: float) -> None:
        """Begin to count, with the load running."""
        if self._since_s is None:
            self._since_s = now_s

    def pause(self, now_s: float) -> None:
        """Count nothing until the next round."""
        self._account(now_s)
        self._since_s = None

    def switch(self, now_s: float) -> float:
        """Change between running and stopped when it is time, and return when to ask again."""
        self._account(now_s)
        # Positive: the load has run too little. A full second of debt is enough to remember.
        on_s = min(_PERIOD_S, max(0.0, self.share * _PERIOD_S + self._debt_s))
        if not self.frozen and _PERIOD_S - on_s > _LEAST_SWITCH_S and self._debt_s <= 0:
            self.frozen = True
            return now_s + max(_LEAST_SWITCH_S, min(_LONGEST_STOP_S, -self._debt_s / self.share + self._rest_s()))
        self.frozen = False
        return now_s + max(_LEAST_SWITCH_S, on_s)

    def _rest_s(self) -> float:
        return (1.0 - self.share) * _PERIOD_S

    def _account(self, now_s: float) -> None:
        if self._since_s is None:
            return
        passed_s = now_s - self._since_s
        self._since_s = now_s
        if self.frozen:
            self._off_s += passed_s
            self._debt_s += self.share * passed_s
        else:
            self._on_s += passed_s
            self._debt_s -= (1.0 - self.share) * passed_s
        self._debt_s = min(1.0, max(-1.0, self._debt_s))

    def reached(self) -> float | None:
        """Return the share of time during which the load really ran; ``None`` before it began."""
        total_s = self._on_s + self._off_s
        return self._on_s / total_s if total_s > 0 else None

    def steer(self, measured_percent: float, target_percent: float) -> None:
        """Move the share towards what would give ``target_percent``; once a second."""
        moved = self.share + _STEP_PER_POINT * (target_percent - measured_percent)
        self.share = min(1.0, max(_LEAST_SHARE, moved))


class LevelTally:
    """The mean of the levels that were measured, with its error."""

    def __init__(self) -> None:
        self._count = 0
        self._sum = 0.0
        self._squares = 0.0
        self._products = 0.0
        """Sum of the products of each reading with the one before it."""
        self._first = self._last = 0.0

    def add(self, level: float) -> None:
        """Add a reading."""
        if self._count:
            self._products += level * self._last
        else:
            self._first = level
        self._last = level
        self._count += 1
        self._sum += level
        self._squares += level * level

    def mean(self) -> float | None:
        """Return their mean; ``None`` without a reading."""
        return self._sum / self._count if self._count else None

    def u95(self) -> float | None:
        """Return the half-width of the mean's 95 % interval, from the scatter of the readings; ``None`` below two.

        Readings that follow each other resemble each other, because a level is steered: with a correlation of r between
        neighbours, n readings count as n (1 - r) / (1 + r) (Bayley and Hammersley, J. R. Stat. Soc. Suppl. 8, 1946).
        """
        n = self._count
        if n < 2:  # noqa: PLR2004 - a scatter needs two
            return None
        mean = self._sum / n
        squares = max(0.0, self._squares - n * mean * mean)
        if squares <= 1e-12 * self._squares:
            return 0.0
        products = self._products - mean * (2 * self._sum - self._first - self._last) + (n - 1) * mean * mean
        r = products / squares
        r = min(1 - 2 / n, max(0.0, r + (1 + 3 * r) / n))  # its bias in short series: Kendall, Biometrika 41, 1954
        return 2.0 * math.sqrt(squares / (n - 1) / n * (1 + r) / (1 - r))
