"""NVML's ring of GPU utilisation by process: which samples are new, and what they add up to.

The driver keeps 72 samples in 10 s, each naming one process that used the GPU; nothing is kept while nothing used it.
Samples above 100 % or not newer than the last are dropped (driver headers; nvtop).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

__all__ = ["RingSample", "UtilisationRing"]

_FULL = 100


class RingSample(NamedTuple):
    """The use of a GPU by one process in one period of the driver."""

    pid: int
    sm_percent: int
    at_us: int


class UtilisationRing:
    """The samples of one GPU, from reading to reading."""

    def __init__(self) -> None:
        self.last_us = 0
        """Time stamp of the newest sample so far; the driver returns newer ones."""
        self._by_pid_us: dict[int, int] = {}
        self._period_us: int | None = None
        self._was_idle = True

    def take(self, samples: Iterable[RingSample]) -> list[RingSample]:
        """Return the samples that are new and possible, oldest first, and remember the newest."""
        fresh = sorted(
            (sample for sample in samples if sample.at_us > self.last_us and 0 <= sample.sm_percent <= _FULL),
            key=lambda sample: sample.at_us,
        )
        if fresh:
            self.last_us = fresh[-1].at_us
        return fresh

    def percent(self, samples: Iterable[RingSample], pids: Collection[int]) -> float | None:
        """Return the utilisation by some processes together since the last reading, in percent, 0 to 100.

        Periods in which none of them used the GPU count as 0.

        Args:
            samples: what the driver returned.
            pids: the processes.

        Returns:
            ``None`` where no sample is new.
        """
        before_us = self.last_us
        fresh = self.take(samples)
        if not fresh:
            return None
        for sample in fresh:
            gap_us = sample.at_us - self._by_pid_us.get(sample.pid, 0)
            if sample.pid in self._by_pid_us and gap_us > 0:
                self._period_us = min(gap_us, self._period_us or gap_us)
            self._by_pid_us[sample.pid] = sample.at_us
        periods = max(Counter(sample.pid for sample in fresh).values())
        if self._period_us is not None:
            passed_us = self.last_us - (fresh[0].at_us - self._period_us if self._was_idle else before_us)
            periods = max(periods, round(passed_us / self._period_us))
        self._was_idle = False
        return min(float(_FULL), sum(sample.sm_percent for sample in fresh if sample.pid in pids) / periods)

    def note_idle(self) -> float | None:
        """Note that no process used the GPU since the last reading; return 0 %, ``None`` before the first sample."""
        self._was_idle = True
        return 0.0 if self.last_us else None
