"""What RAPL is, whichever way it is read: one description a zone, with the published limits of its accuracy."""

from __future__ import annotations

from dataclasses import dataclass

from .result import Quality
from .sensor import SensorDescription

__all__ = ["RAPL_READ_AT_LEAST_S", "RAPL_UPDATE_S", "RaplZone", "rapl_description"]

RAPL_UPDATE_S = 0.001
"""The counters change about every millisecond (Intel SDM vol. 3B, 16.10.1)."""
RAPL_READ_AT_LEAST_S = 30.0
"""Read at least this often: a counter in units of 2⁻¹⁶ J wraps after 164 s at 400 W."""
_HARDWARE_STEP_J = 2.0**-14
"""The usual energy unit (61 µJ); some servers use 2⁻¹⁶ J for DRAM, so that this is the larger of the two."""
_PSYS_STEP_J = 1.0
"""Sapphire and Emerald Rapids count psys in joules (intel_rapl_common.c, ``rapl_defaults_spr_server``)."""
_GAIN_RATIO = 0.04
"""Standard deviation. 3–5 % is practice, without a source."""
_KINDS = {"package": "cpu", "dram": "dram", "psys": "psys"}
_COVERS = {"package": "CPU packages", "dram": "DRAM", "psys": "platform (psys)"}
_MAX_W = {"package": 1000.0, "dram": 500.0, "psys": 10_000.0}
"""Above any part that is sold; only there to tell a jump from a load."""
_VIRTUAL_NOTE = "a hypervisor runs this machine: its RAPL counters are a share of the host's, not a measurement of it"


@dataclass(frozen=True, slots=True, kw_only=True)
class RaplZone:
    """Which part of the machine a zone measures."""

    name: str
    """Unique, with its socket: ``package-0``, ``dram-0``, ``psys``."""
    part: str
    """``package``, ``dram`` or ``psys``; others are not turned into sensors."""
    socket: str | None


def rapl_description(
    zone: RaplZone, *, source: str, joules_per_count: float, wraps_at_counts: int | None, virtual: bool = False
) -> SensorDescription:
    """The description of one zone.

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
