"""The interval of a modelled energy: one factor at idle, another under load, neither of them symmetric."""

from __future__ import annotations

import math
from typing import NamedTuple

__all__ = ["ModelBounds"]

_NONLINEAR_RATIO = 0.13
"""A straight line from idle to full load is 10–13 % off in the middle (SPECpower_ssj2008 results)."""


class ModelBounds(NamedTuple):
    """A machine's modelled power at idle and under full load, each with the ends of its 95 % interval as factors."""

    idle_w: float
    full_w: float
    idle_factors: tuple[float, float]
    full_factors: tuple[float, float]
    threads_per_core: int | None = None
    """``None`` where the processors do not say."""

    def load_ratio(self, joules: float, seconds: float) -> float:
        """Return the share of the machine's CPU time that was in use, 0 to 1, from the modelled energy."""
        if seconds <= 0:
            return 0.0
        above_w = joules / seconds - self.idle_w
        return min(1.0, max(0.0, above_w / (self.full_w - self.idle_w)))

    def interval_j(self, joules: float, seconds: float) -> tuple[float, float]:
        """Return the ends of the 95 % interval of a modelled energy, joules.

        The errors at idle and under load are one server's, and go together.
        """
        load = self.load_ratio(joules, seconds)
        idle_j, full_j = (1 - load) * self.idle_w * seconds, load * self.full_w * seconds
        bent_j = 4 * load * (1 - load) * _NONLINEAR_RATIO * joules
        ends = [
            idle_j * (1 - at_idle) + full_j * (1 - at_full)
            for at_idle, at_full in zip(self.idle_factors, self.full_factors, strict=True)
        ]
        return max(0.0, joules - math.hypot(ends[0], bent_j)), joules + math.hypot(ends[1], bent_j)
