"""The description of RAPL zones, the same for every way to read them, with the published limits of their accuracy."""

from __future__ import annotations

import time
from typing import NamedTuple

from ...errors import SensorError, SensorUnavailableError
from ...records.energy_values import Quality
from ..sensor import Sensor, SensorDescription

__all__ = ["RAPL_UPDATE_S", "RaplZone", "rapl_description", "refuse_still"]

RAPL_UPDATE_S = 0.001
"""The counters change about every millisecond (Intel SDM vol. 3B, 16.10.1)."""
_HARDWARE_STEP_J = 2.0**-14
"""The usual energy unit (61 µJ); some servers use 2⁻¹⁶ J for DRAM, so that this is the larger of the two."""
_PSYS_STEP_J = 1.0
"""Sapphire and Emerald Rapids count psys in joules (intel_rapl_common.c, ``rapl_defaults_spr_server``)."""
_GAIN_RATIO = 0.04
"""Standard deviation. 3–5 % is common practice without a published source."""
_KINDS = {"package": "cpu", "dram": "dram", "psys": "psys"}
_COVERS = {"package": "CPU packages", "dram": "DRAM", "psys": "platform (psys)"}
_MAX_W = {"package": 1000.0, "dram": 500.0, "psys": 10_000.0}
"""Above any part that is sold; only there to tell a jump from a load."""
_FIRST_LOOK_S = 0.02
"""A counter that reads 0 gets this long to move: twenty updates of RAPL's 1 ms."""
_VIRTUAL_NOTE = "a hypervisor runs this machine: its RAPL counters are a share of the host's, not a measurement of it"


class RaplZone(NamedTuple):
    """The part of the machine that a zone measures."""

    name: str
    """Unique, with its socket: ``package-0``, ``dram-0``, ``psys``."""
    part: str
    """``package``, ``dram`` or ``psys``; others are not turned into sensors."""
    socket: str | None


def rapl_description(
    zone: RaplZone, *, source: str, joules_per_count: float, wraps_at_counts: int | None, virtual: bool = False
) -> SensorDescription:
    """Return the description of one zone.

    Args:
        zone: what it measures.
        source: the back end that reads it.
        joules_per_count: unit of the readings.
        wraps_at_counts: where the readings wrap; ``None`` when they do not, or the place is unknown.
        virtual: a hypervisor runs this machine: QEMU's RAPL is a share of the host's by CPU time.
    """
    step_j = _PSYS_STEP_J if zone.part == "psys" else _HARDWARE_STEP_J
    return SensorDescription(
        name=zone.name,
        kind=_KINDS[zone.part],
        device=zone.socket,
        source=source,
        quality=Quality.APPORTIONED if virtual else Quality.COUNTER,
        covers=_COVERS[zone.part],
        contains=frozenset({"cpu", "dram"}) if zone.part == "psys" else frozenset(),
        joules_per_count=joules_per_count,
        wraps_at_counts=wraps_at_counts,
        resolution_counts=max(1, round(step_j / joules_per_count)),
        update_interval_s=RAPL_UPDATE_S,
        gain_ratio=_GAIN_RATIO,
        gain_group="rapl",
        max_w=_MAX_W[zone.part],
        notes=(_VIRTUAL_NOTE,) if virtual else (),
    )


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
        raise SensorUnavailableError("the RAPL counters stay at 0, as in most virtual machines")


def _stands_at_zero(sensor: Sensor) -> bool:
    try:
        return sensor.read().counter == 0
    except SensorError:
        return False  # one that exists and cannot be read stays: its domain will be missing, with the reason
