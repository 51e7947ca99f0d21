"""Temperatures of the CPU packages and GPUs."""

from __future__ import annotations

import bisect
import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from .sensor import Sensor

__all__ = ["ThermalLog", "read_temperatures_c"]

_CPU_CHIPS = {"coretemp", "k10temp", "zenpower"}
"""The hwmon drivers of CPU packages (Linux ``Documentation/hwmon``); their first input is the package."""
_MILLI = 1000


def read_temperatures_c(sensors: Iterable[Sensor] = (), *, sysfs_root: Path = Path("/sys")) -> dict[str, float]:
    """Return degrees Celsius by device: ``cpu-0`` …, and the GPUs. Empty where nothing can be read."""
    found: dict[str, float] = {}
    for file in _package_inputs(sysfs_root):
        try:
            found[f"cpu-{len(found)}"] = int(file.read_text(encoding="ascii")) / _MILLI
        except (OSError, ValueError):
            continue
    for sensor in sensors:
        if hasattr(sensor, "observe"):  # isinstance of a protocol takes ten times as long
            temperature_c = _device_c(sensor)
            if temperature_c is not None:
                found[sensor.description.name] = temperature_c
    return found


def _device_c(sensor: Sensor) -> float | None:
    try:
        temperature_c: float | None = sensor.observe().temperature_c  # type: ignore[attr-defined] # an Observer
    except Exception:  # noqa: BLE001 - a third party's sensor may raise anything; a temperature is not worth a test
        return None
    return temperature_c


class ThermalLog:
    """Temperatures through one window, for the file of its power trace. ``note`` may be called from another thread.

    Args:
        read: gives degrees Celsius by device.
        clock_s: monotonic seconds.
    """

    def __init__(self, read: Callable[[], Mapping[str, float]], clock_s: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock_s = clock_s
        self._opened_s = 0.0
        self._noted: list[tuple[float, Mapping[str, float]]] = []

    def open(self) -> None:
        """Begin: the first reading, just before the window opens."""
        self._opened_s = self._clock_s()
        self._noted = []
        self.note()

    def note(self) -> None:
        """Read once more."""
        self._noted.append((self._clock_s() - self._opened_s, self._read()))

    @property
    def ends(self) -> tuple[Mapping[str, float], Mapping[str, float]]:
        """The first and the last reading; empty where there is none."""
        return (self._noted[0][1], self._noted[-1][1]) if self._noted else ({}, {})

    def columns(self, offsets_s: Sequence[float]) -> dict[str, list[float | None]]:
        """Return one series per device: the last reading at or before each offset, ``None`` where it was unknown."""
        noted = list(self._noted)
        at_s = [offset_s for offset_s, _ in noted]
        rows = [noted[max(0, bisect.bisect_right(at_s, offset_s) - 1)][1] for offset_s in offsets_s if noted]
        return {name: [row.get(name) for row in rows] for name in dict.fromkeys(n for _, row in noted for n in row)}


@functools.cache
def _package_inputs(sysfs_root: Path) -> tuple[Path, ...]:
    """Return the files of the packages' temperatures, found once per process: each window reads them twice."""
    base = sysfs_root / "class" / "hwmon"
    return tuple(chip / "temp1_input" for chip in (sorted(base.iterdir()) if base.is_dir() else ()) if _is_cpu(chip))


def _is_cpu(chip: Path) -> bool:
    try:
        return (chip / "name").read_text(encoding="ascii").strip() in _CPU_CHIPS
    except (OSError, ValueError):
        return False
