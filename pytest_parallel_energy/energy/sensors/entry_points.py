"""Sensors of third parties: functions named in the entry-point group, each of which gives a sequence of sensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import metadata

from ...errors import SensorUnavailableError
from ..sensor import Sensor

__all__ = ["GROUP", "finders"]

GROUP = "pytest_parallel_energy.sensors"


def finders() -> dict[str, Callable[[], Sequence[Sensor]]]:
    """By name: functions that open a plug-in's sensors, raising SensorUnavailableError where they cannot."""
    return {point.name: _finder(point) for point in metadata.entry_points(group=GROUP)}


def _finder(point: metadata.EntryPoint) -> Callable[[], Sequence[Sensor]]:
    def find() -> Sequence[Sensor]:
        sensors = tuple(point.load()())
        strange = [one for one in sensors if not isinstance(one, Sensor)]
        if strange:
            raise SensorUnavailableError(
                f"{point.value} gave {type(strange[0]).__name__}, which has no description, read() and close()"
            )
        return sensors

    return find
