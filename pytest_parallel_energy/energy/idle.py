"""The idle leg: the power of the idle machine, and what its noise reveals about the sensors."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..host.cpu_time import BUSY_HOST_RATIO, machine_busy_s
from .assemble import Measurement
from .power_trace import TracePoint
from .uncertainty import K95

__all__ = ["FILTERED_CV_RATIO", "BusyMeter", "IdleLeg", "busy_or_none", "filtering_words", "idle_leg", "noise_cv_ratio"]

FILTERED_CV_RATIO = 0.10
"""Energy filtering (SGX, or bit 0 of MSR 0xBC) lifts the variation of idle power from 4–6 % to 17–19 %."""
_QUICK_S = 0.005
_LEAST_SAMPLES = 5
"""A spread of fewer says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleLeg:
    """Idle power by domain, and of the total."""

    mean_w: float | None
    """Of the boundary; ``None`` when a part is missing."""
    u95_w: float | None
    domains_w: Mapping[str, float]
    """Mean watts of each domain that was read."""
    cv_ratio: Mapping[str, float]
    """Coefficient of variation of each domain's power from sample to sample."""
    busy_ratio: float | None
    """Share of the machine's CPU time that was in use; ``None`` where unknown."""
    seconds: float
    scatter_w: float | None = None
    """Standard deviation of the total from sample to sample, watts; ``None`` with fewer than five samples."""
    samples: int = 0

    @property
    def scatter_u95_w(self) -> float:
        """Half-width of the 95 % interval of ``mean_w`` from its scatter alone, without the gain of the sensors."""
        if self.scatter_w is None or self.samples == 0:
            return self.u95_w or 0.0
        return K95 * self.scatter_w / math.sqrt(self.samples)

    @property
    def is_busy(self) -> bool:
        """``True`` where programs worked during the leg, so that its power is not that of an idle machine."""
        return self.busy_ratio is not None and self.busy_ratio > BUSY_HOST_RATIO

    @property
    def sigma_w(self) -> float:
        """Standard deviation of the total from sample to sample, watts; 0 where it is not known."""
        return math.hypot(*(cv * self.domains_w.get(name, 0.0) for name, cv in self.cv_ratio.items()))

    @property
    def filtered(self) -> tuple[str, ...]:
        """Domains whose noise looks like energy filtering: the host was quiet, and they were not."""
        if self.busy_ratio is None or self.busy_ratio > BUSY_HOST_RATIO:
            return ()
        return tuple(name for name, cv in self.cv_ratio.items() if cv > FILTERED_CV_RATIO)

    def flags(self) -> tuple[str, ...]:
        """Return the remarks that a reader of numbers based on this leg must know."""
        flags = [
            f"{name}: idle readings vary by {self.cv_ratio[name]:.0%}: a sign of energy filtering"
            for name in self.filtered
        ]
        if self.is_busy:
            flags.append(f"the machine was {self.busy_ratio:.0%} busy while its idle power was measured")
        return tuple(flags)


def idle_leg(measured: Measurement, busy_ratio: float | None) -> IdleLeg:
    """Return the leg from a window during which the machine was left idle."""
    result, seconds = measured.energy, measured.energy.window_s or 0.0
    known = {domain.name: domain.mean_w for domain in result.domains if domain.mean_w is not None}
    u95_w = None if result.total_u95_j is None or seconds <= 0 else result.total_u95_j / seconds
    quick = [
        (column, domain.name)
        for column, domain in enumerate(result.domains)
        # a lazier counter varies by its update interval alone
        if domain.update_interval_s is not None and domain.update_interval_s <= _QUICK_S
    ]
    totals = _totals_w(measured)
    cvs = {name: noise_cv_ratio(measured.trace, column) for column, name in quick}
    return IdleLeg(
        mean_w=result.mean_w,
        u95_w=u95_w,
        domains_w=known,
        cv_ratio={name: cv for name, cv in cvs.items() if cv is not None},
        busy_ratio=busy_ratio,
        seconds=seconds,
        scatter_w=statistics.stdev(totals) if len(totals) >= _LEAST_SAMPLES else None,
        samples=len(totals),
    )


def _totals_w(measured: Measurement) -> list[float]:
    """Return the power of the boundary at each sample at which all its parts are known."""
    counted = [column for column, domain in enumerate(measured.energy.domains) if domain.counted]
    rows = ([point.watts[column] for column in counted] for point in measured.trace)
    return [math.fsum(known) for row in rows if len(known := [watts for watts in row if watts is not None]) == len(row)]


def filtering_words(cv_ratio: float) -> str:
    """Return the flag for noise above the limit."""
    return f"idle power varies by {cv_ratio:.0%} from sample to sample: energy filtering (SGX) blurs this counter"


def noise_cv_ratio(trace: Sequence[TracePoint], column: int) -> float | None:
    """Return the coefficient of variation of one column; ``None`` with fewer than five points or no power."""
    watts = [point.watts[column] for point in trace]
    known = [value for value in watts if value is not None]
    if len(known) < _LEAST_SAMPLES or statistics.fmean(known) <= 0:
        return None
    return statistics.stdev(known) / statistics.fmean(known)


class BusyMeter:
    """The machine's busy share between two moments.

    Args:
        threads: hardware threads of the machine.
        clock_s: monotonic seconds.
        busy_s: the machine's CPU seconds so far, ``None`` when unknown.
    """

    def __init__(self, threads: int, *, clock_s: Callable[[], float], busy_s: Callable[[], float | None]) -> None:
        self._threads = threads
        self._clock_s = clock_s
        self._started_s = clock_s()
        self._read_busy_s = busy_s
        self._busy_s = busy_s()

    def ratio(self) -> float | None:
        """Return the busy share since this object was created, 0 to 1; ``None`` where it cannot be known."""
        now_s, busy_s = self._clock_s(), self._read_busy_s()
        if busy_s is None or self._busy_s is None or now_s <= self._started_s:
            return None
        return min(1.0, (busy_s - self._busy_s) / (now_s - self._started_s) / self._threads)


def busy_or_none() -> float | None:
    """Return the machine's CPU seconds so far, ``None`` where they cannot be read."""
    try:
        return machine_busy_s()
    except (OSError, ValueError, IndexError):
        return None
