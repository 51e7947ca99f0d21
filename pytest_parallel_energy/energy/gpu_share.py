"""The use of a GPU by process: NVML's ring of per-process utilisation, read often enough that nothing falls out of it.

The ring holds 72 samples and wraps in 10 s, so that one comes about every 139 ms, each naming one process. Samples of
unknown processes, above 100 %, or not newer than the last are dropped (driver headers; nvtop). Not under MIG.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from ..errors import ParallelEnergyError, SensorError
from ..processes.guard.ring import RingSample, UtilisationRing
from .sensor import Sensor
from .shares import Shares, share_u95_ratio

__all__ = ["GpuShareCounter", "GpuWatch", "Polled", "Utilised"]

_SAMPLE_US = 139_000
_GAP_US = 2 * _SAMPLE_US
_RING_US = 10_000_000


class GpuShareCounter:
    """Adds up the ring's samples by owner.

    Args:
        fetch: gives the samples after a time stamp (µs); raises SensorError when there is none or it cannot.
        owner_of: returns a process's owner: ``foreground``, ``background`` or another; called once per process.
    """

    def __init__(self, fetch: Callable[[int], Sequence[RingSample]], owner_of: Callable[[int], str]) -> None:
        self._fetch = fetch
        self._owner_of = owner_of
        self._owners: dict[int, str] = {}
        self._ring = UtilisationRing()
        self._first_poll_us: int | None = None
        self._polled_us = 0
        self._use: dict[str, int] = {}
        self.lost = False
        """``True`` when samples fell out of the ring between two polls."""

    def poll(self, now_us: int) -> None:
        """Take in what is new. Call it more often than every 10 s.

        Args:
            now_us: monotonic microseconds; the samples' own time stamps are of another clock.
        """
        before_us = self._ring.last_us
        try:
            fresh = self._ring.take(self._fetch(before_us))
        except SensorError:
            fresh = []  # an idle GPU answers so
        gap_us, self._polled_us = now_us - self._polled_us, now_us
        if self._first_poll_us is None:
            # samples in the ring from before the first poll belong to no window
            self._first_poll_us = now_us
            return
        if fresh and before_us and gap_us > _RING_US and fresh[0].at_us - before_us > _GAP_US:
            self.lost = True
        for sample in fresh:
            try:
                owner = self._owners.get(sample.pid) or self._owner_of(sample.pid)
            except ParallelEnergyError:  # a load that does not answer: the owner is unknown
                self.lost = True
                return
            self._owners[sample.pid] = owner
            self._use[owner] = self._use.get(owner, 0) + sample.sm_percent

    def shares(self) -> Shares | None:
        """Return the shares of the use since the first poll; 0 for an unused GPU, ``None`` if samples were lost."""
        if self.lost or self._first_poll_us is None:
            return None
        total = sum(self._use.values())
        if not total:
            return Shares(foreground_ratio=0.0, background_ratio=0.0, used=False)
        mine = self._use.get("foreground", 0) / total
        seen_s = (self._polled_us - self._first_poll_us) / 1e6
        return Shares(
            foreground_ratio=mine,
            background_ratio=self._use.get("background", 0) / total,
            u95_ratio=share_u95_ratio(mine, seen_s),
        )


@runtime_checkable
class Utilised(Protocol):
    """A sensor of a GPU that can tell which process used it."""

    def utilisation(self, last_us: int) -> Sequence[RingSample]:
        """Return the samples after a time stamp.

        Raises:
            SensorError: there is none, or the driver cannot tell.
        """
        ...


class Polled(Protocol):
    """Something that a meter polls with each sample while a window is open."""

    def poll(self) -> None:
        """Read what is new."""
        ...


class GpuWatch:
    """Follows every GPU of a meter that can tell who uses it.

    Args:
        sensors: the meter's.
        owner_of: as in ``GpuShareCounter``.
        clock_ns: monotonic nanoseconds.
    """

    def __init__(
        self,
        sensors: Sequence[Sensor],
        owner_of: Callable[[int], str],
        *,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._clock_ns = clock_ns
        self._counters = {
            sensor.description.name: GpuShareCounter(sensor.utilisation, owner_of)
            for sensor in sensors
            if isinstance(sensor, Utilised)
        }
        self.poll()

    def poll(self) -> None:
        """Read the new samples of every GPU."""
        for counter in self._counters.values():
            counter.poll(self._clock_ns() // 1000)

    def shares(self, name: str) -> Shares | None:
        """Return the shares of one GPU by its sensor's name; ``None`` where they are not known."""
        counter = self._counters.get(name)
        return None if counter is None else counter.shares()
