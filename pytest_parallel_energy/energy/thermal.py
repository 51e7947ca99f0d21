"""Temperatures of the CPU packages and GPUs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .sensor import Observer, Sensor

__all__ = ["read_temperatures_c"]

_CPU_CHIPS = {"coretemp", "k10temp", "zenpower"}
"""The hwmon drivers of CPU packages (Linux ``Documentation/hwmon``); their first input is the package."""
_MILLI = 1000


def read_temperatures_c(sensors: Iterable[Sensor] = (), *, sysfs_root: Path = Path("/sys")) -> dict[str, float]:
    """Degrees Celsius by device: ``cpu-0`` …, and the sensors that can tell. Empty where nothing can be read."""
    found: dict[str, float] = {}
    base = sysfs_root / "class" / "hwmon"
    for chip in sorted(base.iterdir()) if base.is_dir() else ():
        value_c = _package_c(chip)
        if value_c is not None:
            found[f"cpu-{len(found)}"] = value_c
    for sensor in sensors:
        if isinstance(sensor, Observer):
            temperature_c = sensor.observe().temperature_c
            if temperature_c is not None:
                found[sensor.description.name] = temperature_c
    return found


def _package_c(chip: Path) -> float | None:
    try:
        if (chip / "name").read_text(encoding="ascii").strip() not in _CPU_CHIPS:
            return None
        return int((chip / "temp1_input").read_text(encoding="ascii")) / _MILLI
    except (OSError, ValueError):
        return None
