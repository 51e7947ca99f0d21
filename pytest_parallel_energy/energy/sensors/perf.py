"""RAPL through perf events: for machines where powercap is not readable.

One event a domain and socket on the ``power`` PMU, opened with ``perf_event_open`` (perf_event_open(2)); the PMU's
``cpumask`` names one CPU a package, ``events/energy-*`` the codes, scales and units
(Linux ``arch/x86/events/rapl.c``; sysfs ABI ``testing/sysfs-bus-event_source-devices-events``).

- ``energy-psys`` is read together with ``energy-pkg`` but not added to it; cores and gpu are inside the package.
- The kernel adds up 32-bit differences with their sign: at 2⁻¹⁶ J and more than 200 W a step of 164 s turns negative.
  The meter reads more often, and a counter that falls is a fault.
- Needs ``perf_event_paranoid`` of 0 or less, or CAP_PERFMON (``Documentation/admin-guide/perf-security.rst``).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...errors import SensorError, SensorUnavailableError
from ...host.cpu_info import is_virtual
from ..sensor import Reading, Sensor, SensorDescription
from .presence import perf_folder
from .rapl import RaplZone, rapl_description, refuse_still

__all__ = ["PerfEvent", "PerfSensor", "find_events", "open_perf"]

_SYSCALL_NUMBERS = {"x86_64": 298, "aarch64": 241}
"""``__NR_perf_event_open`` (arch/x86/entry/syscalls/syscall_64.tbl; include/uapi/asm-generic/unistd.h)."""
_ATTR_SIZE_VER5 = 112
"""PERF_ATTR_SIZE_VER5, Linux 4.1: has all that is set here; the kernel takes older sizes for ever."""
_PARTS = {"energy-pkg": "package", "energy-ram": "dram", "energy-psys": "psys"}
_FLAG_FD_CLOEXEC = 8
_COUNTER_BYTES = 8
_REMEDY = "sudo sysctl kernel.perf_event_paranoid=0   (until the next boot), or give the program CAP_PERFMON"


class PerfEvent(NamedTuple):
    """One event on one package, before it is opened."""

    zone: RaplZone
    pmu_type: int
    config: int
    cpu: int
    joules_per_count: float


class PerfSensor:
    """One event's counter, read with an 8-byte ``read`` on a kept descriptor."""

    def __init__(self, event: PerfEvent, *, virtual: bool = False) -> None:
        self._event = event
        self._description = rapl_description(
            event.zone, source="perf", joules_per_count=event.joules_per_count, wraps_at_counts=None, virtual=virtual
        )
        self._fd = _perf_event_open(event)

    @property
    def description(self) -> SensorDescription:
        """The description of this event."""
        return self._description

    def read(self) -> Reading:
        """Return the counter in the event's own unit; it starts at 0 when the event is opened.

        Raises:
            SensorError: the kernel gives no value, or the sensor is closed.
        """
        try:
            raw = os.read(self._fd, _COUNTER_BYTES)
        except OSError as error:
            raise SensorError(f"perf event {self._event.zone.name}: {error.strerror}") from error
        if len(raw) != _COUNTER_BYTES:
            raise SensorError(f"perf event {self._event.zone.name}: its CPU {self._event.cpu} went offline")
        return Reading(int.from_bytes(raw, "little", signed=True))

    def close(self) -> None:
        """Close the event."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def open_perf(sysfs_root: Path) -> tuple[Sensor, ...]:
    """Open every package, DRAM and psys event of the power PMU.

    Raises:
        SensorUnavailableError: no PMU, no permission, or counters that stand still.
    """
    sensors: list[Sensor] = []
    try:
        virtual = is_virtual(sysfs_root)
        sensors.extend(_open(event, virtual=virtual) for event in find_events(sysfs_root))
        refuse_still(sensors)
    except BaseException:
        for sensor in sensors:
            sensor.close()
        raise
    return tuple(sensors)


def find_events(sysfs_root: Path) -> tuple[PerfEvent, ...]:
    """Return the events to open, packages first.

    Raises:
        SensorUnavailableError: there is no power PMU, or its description cannot be understood.
    """
    base = perf_folder(sysfs_root)
    try:
        pmu_type = int((base / "type").read_text(encoding="ascii"))
        cpus = _cpu_list((base / "cpumask").read_text(encoding="ascii"))
        return tuple(
            PerfEvent(
                zone=RaplZone(name=_name(part, socket), part=part, socket=None if part == "psys" else str(socket)),
                pmu_type=pmu_type,
                config=_config((base / "events" / event).read_text(encoding="ascii")),
                cpu=cpu,
                joules_per_count=_scale(base / "events", event),
            )
            for event, part in _PARTS.items()
            if (base / "events" / event).exists()
            for socket, cpu in enumerate(cpus)
            # psys is the whole machine: one CPU's counter is all of it
            if part != "psys" or socket == 0
        )
    except (OSError, ValueError) as error:
        raise SensorUnavailableError(f"{base} cannot be understood: {error}") from error


def _name(part: str, socket: int) -> str:
    return part if part == "psys" else f"{part}-{socket}"


def _config(text: str) -> int:
    """Return the event's code from ``event=0x02``."""
    key, _, value = text.strip().partition("=")
    if key != "event":
        raise ValueError(f"an event reads 'event=…', not {text.strip()!r}")
    return int(value, 0)


def _scale(folder: Path, event: str) -> float:
    unit = (folder / f"{event}.unit").read_text(encoding="ascii").strip()
    if unit != "Joules":
        raise ValueError(f"{event} counts {unit!r}, not Joules")
    scale = float((folder / f"{event}.scale").read_text(encoding="ascii"))
    if not scale > 0:
        raise ValueError(f"{event} has a scale of {scale}")
    return scale


def _cpu_list(text: str) -> list[int]:
    """Return the CPU numbers from a kernel list.

    >>> _cpu_list("0,24-25")
    [0, 24, 25]
    """
    cpus: list[int] = []
    for part in text.strip().split(","):
        first, dash, last = part.partition("-")
        cpus.extend(range(int(first), int(last if dash else first) + 1))
    return cpus


def _open(event: PerfEvent, *, virtual: bool) -> Sensor:
    try:
        return PerfSensor(event, virtual=virtual)
    except OSError as error:
        if error.errno in {errno.EACCES, errno.EPERM}:
            raise SensorUnavailableError("perf events on whole CPUs are not permitted", _REMEDY) from error
        raise SensorUnavailableError(f"perf event {event.zone.name}: {error.strerror}") from error


def _perf_event_open(event: PerfEvent) -> int:
    """Open a counting event of all processes on one CPU; return its descriptor.

    Raises:
        OSError: the kernel refused.
    """
    number = _SYSCALL_NUMBERS.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, f"no perf_event_open known for {platform.machine()}")
    libc = ctypes.CDLL(None, use_errno=True)
    # struct perf_event_attr: type and size (u32), config (u64), the rest zero: counting, enabled, no sampling
    attributes = struct.pack("=IIQ", event.pmu_type, _ATTR_SIZE_VER5, event.config).ljust(_ATTR_SIZE_VER5, b"\0")
    buffer = ctypes.create_string_buffer(attributes, _ATTR_SIZE_VER5)
    everybody, no_group = -1, -1
    fd = libc.syscall(number, buffer, everybody, event.cpu, ctypes.c_long(no_group), ctypes.c_ulong(_FLAG_FD_CLOEXEC))
    if fd < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(fd)


def agree(first: Sequence[float | None], second: Sequence[float | None], *, within_ratio: float = 0.02) -> bool | None:
    """Return whether two ways of reading the same zones agree; ``None`` where either lacks a value.

    >>> agree([100.0], [101.0]), agree([100.0], [150.0]), agree([None], [1.0])
    (True, False, None)
    """
    known = [value for value in (*first, *second) if value is not None]
    if len(known) != len(first) + len(second) or not known:
        return None
    total, other = sum(known[: len(first)]), sum(known[len(first) :])
    return abs(total - other) <= within_ratio * max(total, other)
