"""A powercap tree on disk, in the kernel's layout, with counters that run at known watts."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import Struct

from ..units import NS_PER_S

__all__ = ["FakeZone", "PowercapTree"]

_RANGE_UJ = 262_143_328_850
"""As Intel servers show it: 2³² - 1 steps of 61 µJ."""
_WIDTH = 20
"""Digits of a 64-bit counter: a write of fixed width in place is never seen half done."""


class FakeZone(Struct, frozen=True, kw_only=True):
    """One zone: ``path`` as the kernel numbers it (``intel-rapl:0:1``), ``name`` as it calls it (``dram``)."""

    path: str
    name: str
    watts: float = 0.0
    start_uj: int = 1_000_000
    range_uj: int = _RANGE_UJ


_TWO_SOCKETS = (
    FakeZone(path="intel-rapl:0", name="package-0", watts=50.0),
    FakeZone(path="intel-rapl:0:0", name="dram", watts=8.0),
    FakeZone(path="intel-rapl:1", name="package-1", watts=70.0),
)


class PowercapTree:
    """Makes ``root/class/powercap`` (with links into ``root/devices``, as in sysfs), and runs the counters on request.

    Args:
        root: an existing folder, to be given as ``sysfs_root``.
        zones: the zones; by default two packages and one DRAM.

    Inside ``with`` a thread writes every zone's counter each ``interval_s``.
    """

    def __init__(self, root: Path, zones: Sequence[FakeZone] = _TWO_SOCKETS, *, interval_s: float = 0.001) -> None:
        self.root = root
        self.zones = tuple(zones)
        self._interval_s = interval_s
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._shift_uj = {zone.path: zone.start_uj for zone in self.zones}
        self._broken: set[str] = set()
        self._started_ns = time.monotonic_ns()
        links = root / "class" / "powercap"
        links.mkdir(parents=True)
        for zone in self.zones:
            folder = self.folder(zone.path)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "name").write_text(f"{zone.name}\n", encoding="ascii")
            (folder / "max_energy_range_uj").write_text(f"{zone.range_uj}\n", encoding="ascii")
            (folder / "enabled").write_text("1\n", encoding="ascii")
            self.write(zone.path, zone.start_uj)
            (links / zone.path).symlink_to(folder)
        for control_type in {zone.path.partition(":")[0] for zone in self.zones}:
            place = root / "devices" / "virtual" / "powercap" / control_type
            (links / control_type).symlink_to(place)
            (place / "subsystem").symlink_to(links)

    def folder(self, path: str) -> Path:
        """Return the folder of a zone: ``…/intel-rapl/intel-rapl:0/intel-rapl:0:1``."""
        place = self.root / "devices" / "virtual" / "powercap" / path.partition(":")[0]
        parts = path.split(":")
        for depth in range(2, len(parts) + 1):
            place /= ":".join(parts[:depth])
        return place

    def write(self, path: str, energy_uj: int) -> None:
        """Set one counter, in place."""
        fd = os.open(self.folder(path) / "energy_uj", os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.pwrite(fd, _line(energy_uj), 0)
        finally:
            os.close(fd)

    def break_zone(self, path: str) -> None:
        """Empty one counter's file for good, as a vanished device shows itself to a kept descriptor."""
        self._broken.add(path)
        os.truncate(self.folder(path) / "energy_uj", 0)

    def set_now(self, path: str, energy_uj: int) -> None:
        """Set a running counter to this value, from which it continues."""
        (zone,) = (zone for zone in self.zones if zone.path == path)
        self._shift_uj[path] = energy_uj - self._passed_uj(zone)

    def __enter__(self) -> Self:
        self._stopping.clear()
        self._started_ns = time.monotonic_ns()
        self._thread = threading.Thread(target=self._run, name="powercap-writer", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        files = [
            (os.open(self.folder(zone.path) / "energy_uj", os.O_WRONLY), zone) for zone in self.zones if zone.watts
        ]
        try:
            while not self._stopping.wait(self._interval_s):
                for fd, zone in files:
                    if zone.path in self._broken:
                        continue
                    value_uj = self._shift_uj[zone.path] + self._passed_uj(zone)
                    os.pwrite(fd, _line(value_uj % (zone.range_uj + 1)), 0)
        finally:
            for fd, _ in files:
                os.close(fd)

    def _passed_uj(self, zone: FakeZone) -> int:
        return round(zone.watts * (time.monotonic_ns() - self._started_ns) / NS_PER_S * 1e6)


def _line(energy_uj: int) -> bytes:
    return f"{energy_uj:0{_WIDTH}d}\n".encode("ascii")
