"""The update interval of a sensor, measured by watching it."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable

from msgspec import Struct

from ..energy.sensor import Reading, Sensor
from ..errors import SensorError
from ..units import NS_PER_S, format_seconds

__all__ = ["UpdatePeriod", "watch_updates"]

_PAUSE_S = 20e-6


class UpdatePeriod(Struct, frozen=True, kw_only=True):
    """Intervals between changes of one sensor's value, seconds, in order."""

    intervals_s: tuple[float, ...]

    @property
    def median_s(self) -> float | None:
        """The median interval; ``None`` when fewer than two changes were seen."""
        return statistics.median(self.intervals_s) if self.intervals_s else None

    def words(self) -> str:
        """Return the intervals as one line for people."""
        if self.median_s is None:
            return "did not change twice while it was watched"
        low, high = format_seconds(min(self.intervals_s)), format_seconds(max(self.intervals_s))
        return f"changes every {format_seconds(self.median_s)} ({low} to {high}, {len(self.intervals_s)} seen)"


def watch_updates(
    sensor: Sensor,
    *,
    for_s: float = 1.0,
    changes: int = 50,
    clock_ns: Callable[[], int] = time.monotonic_ns,
    sleep: Callable[[float], None] = time.sleep,
) -> UpdatePeriod:
    """Poll a sensor until it has changed ``changes`` times or ``for_s`` seconds have passed.

    Raises:
        SensorError: the sensor cannot be read.
    """
    deadline_ns = clock_ns() + round(for_s * NS_PER_S)
    last = _value(sensor.read())
    if last is None:
        raise SensorError("the sensor returned no value")
    at_ns: list[int] = []
    while clock_ns() < deadline_ns and len(at_ns) <= changes:
        sleep(_PAUSE_S)
        value = _value(sensor.read())
        if value != last:
            last = value
            at_ns.append(clock_ns())
    pairs = itertools.pairwise(at_ns)
    return UpdatePeriod(intervals_s=tuple((later - earlier) / NS_PER_S for earlier, later in pairs))


def _value(reading: Reading) -> float | None:
    return reading.power_w if reading.counter is None else reading.counter
