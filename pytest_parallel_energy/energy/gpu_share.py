"""Who used a GPU: NVML's ring of per-process utilisation, read often enough that nothing falls out of it.

The ring holds 72 samples and wraps in 10 s, so that one comes about every 139 ms, each naming one process. Samples of
unknown processes, above 100 %, or not newer than the last are dropped (driver headers; nvtop). Not under MIG.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import SensorError
from .attribution import Shares, share_u95_ratio

__all__ = ["GpuShareCounter", "UtilisationSample", "nvml_utilisation"]

_SAMPLE_US = 139_000
_GAP_US = 2 * _SAMPLE_US
_RING_US = 10_000_000
_FULL = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class UtilisationSample:
    """One entry of the ring."""

    pid: int
    sm_percent: int
    at_us: int


class GpuShareCounter:
    """Adds up the ring's samples by process.

    Args:
        fetch: gives the samples after a time stamp (µs); raises SensorError when there is none or it cannot.
    """

    def __init__(self, fetch: Callable[[int], Sequence[UtilisationSample]]) -> None:
        self._fetch = fetch
        self._last_us = self._polled_us = 0
        self._first_us: int | None = None
        self._use: dict[int, int] = {}
        self.lost = False
        """Whether samples fell out of the ring between two polls."""

    def poll(self, now_us: int) -> None:
        """Take in what is new. Call it more often than every 10 s."""
        try:
            samples = sorted(self._fetch(self._last_us), key=lambda sample: sample.at_us)
        except SensorError:
            samples = []  # an idle GPU answers so
        fresh = [sample for sample in samples if sample.at_us > self._last_us and 0 <= sample.sm_percent <= _FULL]
        if self._first_us is None:
            # what the ring holds of the time before is nobody's business
            self._first_us = self._last_us = self._polled_us = now_us
            return
        if fresh and now_us - self._polled_us > _RING_US and fresh[0].at_us - self._last_us > _GAP_US:
            self.lost = True
        self._polled_us = now_us
        for sample in fresh:
            self._use[sample.pid] = self._use.get(sample.pid, 0) + sample.sm_percent
        self._last_us = max([self._last_us, *(sample.at_us for sample in fresh)])

    def shares(self, foreground: Collection[int], background: Collection[int]) -> Shares | None:
        """Who had how much of the use since the first poll; ``None`` if nothing was seen, or samples were lost."""
        total = sum(self._use.values())
        if not total or self.lost or self._first_us is None:
            return None
        mine = sum(use for pid, use in self._use.items() if pid in foreground) / total
        theirs = sum(use for pid, use in self._use.items() if pid in background) / total
        seen_s = (self._polled_us - self._first_us) / 1e6
        return Shares(foreground_ratio=mine, background_ratio=theirs, u95_ratio=share_u95_ratio(mine, seen_s))


def nvml_utilisation(ask: Callable[[int], Sequence[Any]]) -> Callable[[int], Sequence[UtilisationSample]]:
    """Turns NVML's structures into samples: ``ask`` calls ``nvmlDeviceGetProcessUtilization`` from a time stamp on."""

    def fetch(last_us: int) -> Sequence[UtilisationSample]:
        return [
            UtilisationSample(
                pid=getattr(entry, "pid", 0),
                sm_percent=getattr(entry, "smUtil", 0),
                at_us=getattr(entry, "timeStamp", 0),
            )
            for entry in ask(last_us)
        ]

    return fetch
