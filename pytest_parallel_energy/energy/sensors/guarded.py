"""A guard around the sensors of an installed plug-in: whatever they do becomes a reading or a reason, in time.

The plug-in is opened, read and closed in one thread of its own, because some libraries require that. A call that does
not return in time is left alone; until it returns, its plug-in's sensors have no readings. The built-in back ends are
read directly: the change of threads costs about 0.1 ms per reading.
"""

from __future__ import annotations

import math
import operator
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import SensorError, SensorUnavailableError
from ..sensor import Observation, Reading, Sensor, SensorDescription

__all__ = ["GuardedSensor", "Worker", "guarded_sensors"]

_OPEN_S = 10.0
_READ_S = 1.0
_CLOSE_S = 2.0
_LONGEST_MESSAGE = 300
_MOST_POWER_W = 1e9
"""More than any machine room takes: a greater power is a fault of the sensor."""
_MOST_COUNTS = 2**64
_NUMBERS = ("joules_per_count", "update_interval_s", "averaging_s", "gain_ratio", "offset_w", "max_w")


@dataclass(slots=True, kw_only=True)
class _Call:
    work: Callable[[], Any]
    done: threading.Event
    value: Any = None
    problem: BaseException | None = None


class Worker:
    """A daemon thread that does one call at a time for a caller that waits with a deadline."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._late: _Call | None = None
        self._thread: threading.Thread | None = None

    def run(self, work: Callable[[], Any], deadline_s: float) -> Any:
        """Return the value of a call.

        Raises:
            SensorError: the call raised anything, did not return within ``deadline_s`` seconds, or an earlier one has
                not returned yet.
        """
        if self._late is not None and not self._late.done.is_set():
            raise SensorError(f"the sensor did not return within {deadline_s:g} s, and has not returned since")
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"sensor-{self._name}", daemon=True)
            self._thread.start()
        call = _Call(work=work, done=threading.Event())
        self._calls.put(call)
        if not call.done.wait(deadline_s):
            self._late = call
            raise SensorError(f"the sensor did not return within {deadline_s:g} s")
        if call.problem is not None:
            raise SensorError(_in_one_line(call.problem)) from call.problem
        return call.value

    def stop(self) -> None:
        """Let the thread end after its call."""
        if self._thread is not None:
            self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call.value = call.work()
            except BaseException as problem:  # noqa: BLE001 - SystemExit of a plug-in must not end the measurement
                call.problem = problem
            call.done.set()


class GuardedSensor:
    """A sensor of a plug-in, read in the plug-in's thread.

    Args:
        sensor: the plug-in's sensor.
        description: its description, which is asked for once.
        worker: the plug-in's thread.
        read_s: seconds after which a reading is given up.
    """

    def __init__(
        self, sensor: Sensor, description: SensorDescription, worker: Worker, *, read_s: float = _READ_S
    ) -> None:
        self.description = description
        self._sensor = sensor
        self._worker = worker
        self._read_s = read_s
        self._closed = False

    def read(self) -> Reading:
        """Return the reading, with Python's own numbers.

        Raises:
            SensorError: the sensor raised, did not return in time, or returned something that is not a reading.
        """
        reading = self._worker.run(self._sensor.read, self._read_s)
        try:
            return Reading(
                counter=None if reading.counter is None else _count(reading.counter),
                power_w=None if reading.power_w is None else _power(reading.power_w),
                sensor_ns=None if reading.sensor_ns is None else operator.index(reading.sensor_ns),
            )
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            raise SensorError(f"the sensor returned no usable reading: {_in_one_line(error)}") from error

    def close(self) -> None:
        """Close the sensor; a second call does nothing.

        Raises:
            SensorError: it raised, or did not return in time.
        """
        if not self._closed:
            self._closed = True
            self._worker.run(self._sensor.close, _CLOSE_S)


class GuardedObserver(GuardedSensor):
    """A sensor of a plug-in that also reports the state of its device."""

    def observe(self) -> Observation:
        """Return the state of the device.

        Raises:
            SensorError: as for ``read``.
        """
        seen = self._worker.run(self._sensor.observe, self._read_s)  # type: ignore[attr-defined] # an Observer
        if not isinstance(seen, Observation):
            raise SensorError(f"observe() returned {type(seen).__name__}, which is not an Observation")
        return seen


def guarded_sensors(name: str, find: Callable[[], Sequence[Sensor]]) -> tuple[Sensor, ...]:
    """Open the sensors of a plug-in in a thread of their own.

    Args:
        name: the plug-in's name.
        find: opens the sensors.

    Raises:
        SensorUnavailableError: it says so, raises anything else, does not return within 10 s, or what it returns are
            not sensors.
    """
    worker = Worker(name)
    try:
        sensors = worker.run(lambda: tuple(find()), _OPEN_S)
        described = [(sensor, _description(sensor, worker)) for sensor in sensors]
    except SensorError as error:
        worker.stop()
        if isinstance(error.__cause__, SensorUnavailableError):
            raise error.__cause__ from None
        kind = f"{type(error.__cause__).__name__}: " if error.__cause__ is not None else ""
        raise SensorUnavailableError(f"it failed: {kind}{error}") from error
    return tuple(
        (GuardedObserver if hasattr(sensor, "observe") else GuardedSensor)(sensor, about, worker)
        for sensor, about in described
    )


def _description(sensor: Sensor, worker: Worker) -> SensorDescription:
    about = worker.run(lambda: sensor.description, _READ_S)
    if not isinstance(about, SensorDescription):
        raise SensorError(f"its description is a {type(about).__name__}, not a SensorDescription")
    for field in _NUMBERS:
        value = getattr(about, field)
        if value is not None and not math.isfinite(value):
            raise SensorError(f"{about.name}: {field} is {value!r}, which is not a finite number")
    return about


def _count(value: Any) -> int:
    count = operator.index(value)
    if abs(count) > _MOST_COUNTS:
        raise ValueError("a counter of more than 64 bits")
    return count


def _power(value: Any) -> float:
    power_w = float(value)
    if power_w > _MOST_POWER_W:
        raise ValueError(f"a power of {power_w:g} W is impossible")
    return power_w


def _in_one_line(problem: BaseException) -> str:
    text = " ".join(str(problem)[: 2 * _LONGEST_MESSAGE].split()) or type(problem).__name__
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}…"
