"""Counters that never move: many virtual machines show RAPL zones that stay at 0."""

from __future__ import annotations

import time

from ..errors import SensorError, SensorUnavailableError
from .sensor import Sensor

__all__ = ["refuse_still"]

_FIRST_LOOK_S = 0.02
"""A counter that reads 0 gets this long to move: twenty updates of RAPL's 1 ms."""


def refuse_still(sensors: list[Sensor]) -> None:
    """Close and drop the sensors that read 0 and stay there.

    Raises:
        SensorUnavailableError: no other is left that covers the CPU.
    """
    still = [sensor for sensor in sensors if _stands_at_zero(sensor)]
    if still:
        time.sleep(_FIRST_LOOK_S)
        still = [sensor for sensor in still if _stands_at_zero(sensor)]
    for sensor in still:
        sensor.close()
        sensors.remove(sensor)
    if not any(sensor.description.kind in {"cpu", "psys"} for sensor in sensors):
        raise SensorUnavailableError("the RAPL counters read 0 and do not move, as in most virtual machines")


def _stands_at_zero(sensor: Sensor) -> bool:
    try:
        return sensor.read().counter == 0
    except SensorError:
        return False  # one that exists and cannot be read stays: its domain will be missing, with the reason
