"""The CPU seconds of a stretch of time by owner, and how sure they are."""

from __future__ import annotations

import math

from msgspec import Struct

from .cpu_info import TICK_S

__all__ = ["CpuUse"]

_HIDDEN_RATIO = 0.9
"""Where ``/proc/stat`` shows less than this share of what this program's own processes used, it hides the machine."""


class CpuUse(Struct, frozen=True, kw_only=True):
    """CPU seconds used during ``seconds`` of time: of the foreground, of the loads, and of the whole machine."""

    seconds: float
    """Length of the stretch, more than 0."""
    foreground_s: float
    background_s: float = 0.0
    machine_s: float | None = None
    """Of all programs, from ``/proc/stat``; ``None`` where it cannot be read."""

    @property
    def own_s(self) -> float:
        """CPU seconds of the foreground and the loads."""
        return self.foreground_s + self.background_s

    @property
    def other_s(self) -> float | None:
        """CPU seconds of all other programs; ``None`` where they are unknown (some containers hide the machine)."""
        if self.machine_s is None or self.machine_s + self.other_u95_s < _HIDDEN_RATIO * self.own_s:
            return None
        return max(0.0, self.machine_s - self.own_s)

    @property
    def other_u95_s(self) -> float:
        """Half-width of the 95 % interval of ``other_s``: each busy CPU counts in ticks at both ends."""
        busy_cpus = max(self.machine_s or 0.0, self.own_s) / self.seconds
        return 2 * TICK_S * math.sqrt(1 + busy_cpus)

    @property
    def other_ratio(self) -> float | None:
        """Share of all CPU time that other programs used, 0 to 1; ``None`` where it is unknown."""
        other_s = self.other_s
        if other_s is None:
            return None
        return other_s / (self.own_s + other_s) if self.own_s + other_s > 0 else 0.0

    def within(self, window_s: float) -> CpuUse:
        """Return the use in a window that lies inside this stretch.

        The foreground works in the window alone, the loads and all others work all the time: before it the meter waits
        for its sensors, and after it again.
        """
        ratio = min(1.0, window_s / self.seconds)
        others_s = None if self.machine_s is None else (self.machine_s - self.foreground_s) * ratio
        return CpuUse(
            seconds=window_s,
            foreground_s=self.foreground_s,
            background_s=self.background_s * ratio,
            machine_s=None if others_s is None else self.foreground_s + others_s,
        )

    def other_excess_s(self, usual_cores: float) -> float:
        """Return the CPU seconds of other programs beyond a usual number of cores, negative below it.

        0 where they are unknown, and where the difference is below what ``/proc/stat`` can tell.
        """
        if self.other_s is None:
            return 0.0
        excess_s = self.other_s - usual_cores * self.seconds
        return excess_s if abs(excess_s) > self.other_u95_s else 0.0
