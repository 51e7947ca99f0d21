"""Flags from the state of devices: throttling, and processes of others that use the same device."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from ..host.cpu_time import descends, pid_is_meant
from .sensor import Observation, Observer, Sensor

__all__ = ["device_flags"]

_NAMED = 5
"""The number of foreign processes that a flag names; of further ones it says how many."""


def device_flags(sensors: Sequence[Sensor]) -> tuple[str, ...]:
    """Return the flags of all devices that report their state. Takes milliseconds with a GPU."""
    flags: list[str] = []
    for sensor in sensors:
        if isinstance(sensor, Observer):
            try:
                flags.extend(_flags(sensor.description.name, sensor.observe()))
            except Exception as error:  # noqa: BLE001 - a third party's; its energy is judged by its readings
                flags.append(f"{sensor.description.name}: its state cannot be read ({error})")
    return tuple(flags)


def _flags(name: str, seen: Observation) -> Iterator[str]:
    if seen.throttle:
        yield f"{name} ran slower than it could: {', '.join(seen.throttle)}"
    foreign = _foreign(seen.process_ids)
    if foreign:
        more = f" and {len(foreign) - _NAMED} more" if len(foreign) > _NAMED else ""
        yield f"{name} was also used by other processes: {', '.join(foreign[:_NAMED])}{more}"


def _foreign(pids: Sequence[int]) -> list[str]:
    """Return the processes that are neither this one nor its descendants, with their names.

    Pids of another PID namespace say nothing here and are left out.
    """
    known = [pid for pid in pids if pid_is_meant(pid)]
    return [f"{pid} ({_program(pid)})" for pid in known if not descends(pid, os.getpid())]


def _program(pid: int) -> str:
    import psutil

    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return "of another user or container"
