"""Sensors of third parties: functions named in the entry-point group, each of which returns a sequence of sensors."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...errors import SensorUnavailableError
from ..sensor import Sensor

if TYPE_CHECKING:
    from importlib import metadata

__all__ = ["GROUP", "finders", "may_be_installed"]

GROUP = "pytest_parallel_energy.sensors"
_OTHER_LAYOUTS = (".egg", ".zip", ".whl")
_METADATA = (".dist-info", ".egg-info")


def finders() -> dict[str, Callable[[], Sequence[Sensor]]]:
    """Return by name the functions that open a plug-in's sensors or raise SensorUnavailableError."""
    if not may_be_installed(sys.path):
        return {}
    from importlib import metadata

    return {point.name: _finder(point) for point in metadata.entry_points(group=GROUP)}


def may_be_installed(paths: Sequence[str]) -> bool:
    """Return False where no distribution on these paths names the group; the import of importlib.metadata takes longer.

    Anything but a plain folder of distributions (an egg, a zip file) is left to importlib.metadata: the answer is True.
    """
    for path in paths:
        if path.endswith(_OTHER_LAYOUTS) and os.path.exists(path):  # noqa: PTH110 - pathlib costs more than the scan
            return True
        try:
            with os.scandir(path or ".") as entries:
                names = [entry.name for entry in entries]
        except OSError:
            continue
        if any(name.endswith(".egg") for name in names):
            return True
        if any(_names_group(os.path.join(path, name)) for name in names if name.endswith(_METADATA)):  # noqa: PTH118
            return True
    return False


def _names_group(distribution: str) -> bool:
    try:
        with open(f"{distribution}/entry_points.txt", "rb") as file:  # noqa: PTH123 - see above
            return GROUP.encode() in file.read()
    except OSError:
        return False


def _finder(point: metadata.EntryPoint) -> Callable[[], Sequence[Sensor]]:
    from .guarded import guarded_sensors  # queue and threads are needed by plug-ins alone

    def find() -> Sequence[Sensor]:
        sensors = tuple(point.load()())
        strange = [each for each in sensors if not isinstance(each, Sensor)]
        if strange:
            raise SensorUnavailableError(
                f"{point.value} returned {type(strange[0]).__name__}, which has no description, read() and close()"
            )
        return sensors

    return lambda: guarded_sensors(point.name, find)
