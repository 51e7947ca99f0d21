"""RAPL through the kernel's powercap tree: one sensor per zone, the descriptor kept open.

Sources: Linux ``Documentation/power/powercap/powercap.rst`` and ``drivers/powercap/intel_rapl_common.c``.

- Zones ``intel-rapl:N`` are packages or psys, ``intel-rapl:N:M`` their parts. AMD: the same names, packages only.
- ``intel-rapl-mmio`` repeats ``intel-rapl`` through another register: the first of a name is kept.
- psys contains package contains core and uncore: core and uncore are not read; psys beside packages is not counted.
- ``energy_uj`` is readable by root alone since Linux 5.10 (CVE-2020-8694).
- In a KVM guest the counters stand still, often at 0: such a zone is not used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ...errors import SensorError, SensorUnavailableError
from ...host.cpu_info import is_virtual
from ...units import J_PER_UJ
from ..sensor import Reading, Sensor, SensorDescription
from .presence import powercap_folder
from .rapl import RaplZone, rapl_description, refuse_still

__all__ = ["PowercapSensor", "Zone", "find_zones", "open_powercap"]

_ZONE = re.compile(r"intel-rapl[a-z-]*(:\d+)+")
_pread = os.pread
_PARTS = ("package", "dram", "psys")
_READ_BYTES = 32
"""More than the 20 digits of the largest 64-bit counter and its newline."""


class Zone(NamedTuple):
    """One zone of the tree, before it is opened."""

    path: Path
    measures: RaplZone


class PowercapSensor:
    """One zone's ``energy_uj``. Reading is one ``pread`` on a kept descriptor: 4–5 µs on a real tree."""

    __slots__ = ("_description", "_fd", "_path")

    def __init__(self, path: Path, description: SensorDescription) -> None:
        self._path = path / "energy_uj"
        self._description = description
        self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)

    @property
    def description(self) -> SensorDescription:
        """The description of this zone."""
        return self._description

    def read(self) -> Reading:
        """Return the counter in microjoules.

        Raises:
            SensorError: the file cannot be read any more, or does not hold a number.
        """
        try:
            return Reading(int(_pread(self._fd, _READ_BYTES, 0)))
        except OSError as error:
            raise SensorError(f"{self._path}: {error.strerror}") from error
        except ValueError as error:
            raise SensorError(f"{self._path} does not hold a number") from error

    def close(self) -> None:
        """Close the descriptor."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def open_powercap(sysfs_root: Path) -> tuple[Sensor, ...]:
    """Open every package, DRAM and psys zone of the tree.

    Raises:
        SensorUnavailableError: no tree, no zone, no permission, or counters that stand still.
    """
    zones = find_zones(sysfs_root)
    sensors: list[Sensor] = []
    try:
        virtual = is_virtual(sysfs_root)
        sensors.extend(_open_zone(zone, virtual=virtual) for zone in zones)
        refuse_still(sensors)
    except BaseException:
        for sensor in sensors:
            sensor.close()
        raise
    return tuple(sensors)


def find_zones(sysfs_root: Path) -> tuple[Zone, ...]:
    """Return the zones to read, each once, packages first; core and uncore are inside the package and left out.

    Raises:
        SensorUnavailableError: there is no powercap tree, or no RAPL zone in it.
    """
    base = powercap_folder(sysfs_root)
    zones: dict[str, Zone] = {}
    for directory in sorted(_zone_directories(base), key=_zone_order):
        zone = _describe_zone(directory)
        if zone is not None and zone.part in _PARTS:
            # the mmio twin comes last and bears the same name
            zones.setdefault(zone.name, Zone(path=directory, measures=zone))
    if not zones:
        raise SensorUnavailableError(
            f"{base} contains no RAPL zone; Docker hides them, and most virtual machines have none",
            "on hardware: modprobe intel_rapl_msr; in Docker: -v /sys/class/powercap:/sys/class/powercap:ro",
        )
    return tuple(sorted(zones.values(), key=lambda zone: (_PARTS.index(zone.measures.part), zone.measures.name)))


def _zone_directories(base: Path) -> Iterator[Path]:
    """Yield zone directories, flat as in ``/sys/class`` and nested as in ``/sys/devices``, each once."""
    seen: set[Path] = set()
    waiting = sorted(base.iterdir(), reverse=True)
    while waiting:
        directory = waiting.pop()
        if not directory.name.startswith("intel-rapl") or not directory.is_dir():
            continue
        real = directory.resolve()
        if real in seen:
            continue
        seen.add(real)
        if _ZONE.fullmatch(directory.name) and (directory / "energy_uj").exists():
            yield directory
        waiting.extend(sorted((child for child in directory.iterdir() if not child.is_symlink()), reverse=True))


def _zone_order(directory: Path) -> tuple[bool, list[int], str]:
    """Return the sort key: plain ``intel-rapl`` before ``intel-rapl-mmio``, and by zone number, not by text."""
    kind, *numbers = directory.name.split(":")
    return kind != "intel-rapl", [int(number) for number in numbers], kind


def _describe_zone(directory: Path) -> RaplZone | None:
    name = _text(directory / "name")
    if name is None:
        return None
    if name == "psys":
        return RaplZone(name="psys", part="psys", socket=None)
    if name.startswith("package-"):
        # "package-1-die-0" on multi-die packages: the whole tail tells zones apart
        return RaplZone(name=name, part="package", socket=name.removeprefix("package-"))
    parent = _parent_name(directory)
    socket = parent.removeprefix("package-") if parent else None
    return RaplZone(name=f"{name}-{socket}" if socket else name, part=name, socket=socket)


def _parent_name(directory: Path) -> str | None:
    """Return the name of the parent zone: by its number, because ``/sys/class`` lists all zones side by side."""
    parent_id = directory.name.rpartition(":")[0]
    for place in (directory.parent / parent_id, directory.resolve().parent):
        name = _text(place / "name")
        if name is not None:
            return name
    return None


def _open_zone(zone: Zone, *, virtual: bool) -> Sensor:
    limit_uj = _number(zone.path / "max_energy_range_uj")
    description = rapl_description(
        zone.measures,
        source="powercap",
        joules_per_count=J_PER_UJ,
        # the range is the largest value, 2³² - 1 hardware steps, and the counter wraps one step above;
        # a range of 0, or none, allows no correction
        wraps_at_counts=limit_uj + max(1, round(limit_uj / 0xFFFF_FFFF)) if limit_uj else None,
        virtual=virtual,
    )
    try:
        return PowercapSensor(zone.path, description)
    except PermissionError as error:
        raise SensorUnavailableError(
            f"{zone.path / 'energy_uj'} can be read only by root (since Linux 5.10, CVE-2020-8694)",
            "sudo chmod a+r /sys/class/powercap/intel-rapl*/energy_uj /sys/class/powercap/intel-rapl*/*/energy_uj "
            "(until the next boot; it lets every user of this machine see the counters)",
        ) from error
    except OSError as error:
        raise SensorUnavailableError(f"{zone.path / 'energy_uj'} cannot be opened: {error.strerror}") from error


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text is not None and text.isdecimal() else None
