"""The leg of the loads alone: their power and their CPU time, just before the test."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from ..units import format_seconds
from .window_watch import CpuMoment, WindowWatch

if TYPE_CHECKING:
    from ..energy.meter import EnergyMeter
    from ..host.cpu_use import CpuUse

__all__ = ["LoadLeg", "measure_load_leg"]

_SAMPLE_S = 0.2
_MOST_SAMPLES, _LEAST_SAMPLES = 50, 5
_OWN_WORK_RATIO = 0.05
"""CPU time of the test's processes above this share of the load's changes the leg of the load."""


class LoadLeg(Struct, frozen=True, kw_only=True):
    """The loads alone, just before the test."""

    mean_w: float | None
    """Mean power of the machine."""
    u95_w: float = 0.0
    """Half-width of its 95 % interval, without the gain of the sensors."""
    use: CpuUse | None = None
    """CPU time of the leg: ``background_s`` is the loads' and ``foreground_s`` that of the test's processes."""

    @property
    def rate(self) -> float | None:
        """CPU seconds of the loads per second; ``None`` where it is unknown or they used none."""
        return None if self.use is None or self.use.background_s <= 0 else self.use.background_s / self.use.seconds

    def flags(self) -> tuple[str, ...]:
        """Return the remark on a leg in which the test's own processes worked."""
        if self.use is None:
            return ()
        own_s = self.use.foreground_s
        if own_s <= _OWN_WORK_RATIO * self.use.background_s + self.use.other_u95_s:
            return ()
        flag = (
            f"while the loads were measured alone, processes of the test used {format_seconds(own_s)} of CPU time in "
            f"{format_seconds(self.use.seconds)}; start threads and pools in the test itself, not before it"
        )
        return (flag,)


def measure_load_leg(meter: EnergyMeter, watch: WindowWatch, leg_s: float) -> LoadLeg:
    """Measure the machine for ``leg_s`` seconds, while the loads of ``watch`` run and the test does not. Blocks."""
    count = max(_LEAST_SAMPLES, min(_MOST_SAMPLES, round(leg_s / _SAMPLE_S)))
    window = meter.begin("power", edges=True)
    marks = [(watch.moment(), window.total_j)]
    for _ in range(count):
        meter.pause(leg_s / count)
        marks.append((watch.moment(), window.total_j))
    result = window.end()
    idle_w = 0.0 if meter.idle is None else meter.idle.mean_w or 0.0
    return LoadLeg(mean_w=result.mean_w, u95_w=_scatter_u95_w(marks, idle_w), use=marks[0][0].until(marks[-1][0]))


def _scatter_u95_w(marks: Sequence[tuple[CpuMoment, float | None]], idle_w: float) -> float:
    """Return the half-width of the mean power of a leg, from the scatter of its samples around power per CPU second.

    The power is divided by the CPU time later, so that a load that pauses between rounds scatters in both alike (ratio
    estimator: Cochran, Sampling Techniques, 1977, section 6.3).
    """
    samples = []
    for (before, before_j), (after, after_j) in itertools.pairwise(marks):
        use = before.until(after)
        if use is not None and before_j is not None and after_j is not None:
            samples.append(((after_j - before_j) / use.seconds - idle_w, use.background_s / use.seconds))
    if len(samples) < _LEAST_SAMPLES:
        return 0.0
    n = len(samples)
    mean_w, mean_cores = (math.fsum(values) / n for values in zip(*samples, strict=True))
    by_cores = mean_w / mean_cores if mean_cores > 0 else 0.0
    rest_w2 = [(watts - mean_w - by_cores * (cores - mean_cores)) ** 2 for watts, cores in samples]
    return 2 * math.sqrt(math.fsum(rest_w2) / (n - 1) / n)
