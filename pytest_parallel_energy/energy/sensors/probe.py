"""The sensors that work on this machine: an ordered table of back ends, each with sensors or the reason for none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ...errors import ConfigError, SensorUnavailableError, did_you_mean
from ..sensor import Sensor
from .presence import amd_binding, nvml_is_loadable, perf_folder, powercap_folder

__all__ = ["BACKENDS", "Backend", "Probe", "Refusal", "backends", "probe_sensors"]


_OTHER_NAMES = {
    "rapl": "powercap or perf, which both read RAPL",
    "msr": "powercap or perf, which read the same counters",
    "intel": "powercap or perf",
    "cpu": "powercap or perf",
    "gpu": "nvml (NVIDIA) or amd",
    "nvidia": "nvml",
    "nvidia-smi": "nvml",
    "pynvml": "nvml",
    "cuda": "nvml",
    "rocm": "amd",
    "amdsmi": "amd",
    "rocm-smi": "amd",
    "model": "estimate",
}
"""Names under which people know what a sensor reads, and the sensors that are meant."""


class Refusal(NamedTuple):
    """A back end that cannot run here."""

    name: str
    reason: str
    remedy: str = ""
    """The command or change that fixes it; empty where there is none."""


class Probe(NamedTuple):
    """The result of a probe. The sensors are open: the caller closes them."""

    found: tuple[Sensor, ...]
    refused: tuple[Refusal, ...]


class Backend(NamedTuple):
    """One row of the table."""

    name: str
    find: Callable[[Path], Sequence[Sensor]]
    """Open the sensors below a sysfs root; raise SensorUnavailableError with reason and remedy."""
    covers_cpu: bool
    """Several of these would measure the same joules: only the first that works is used."""


def _powercap(root: Path) -> Sequence[Sensor]:
    powercap_folder(root)
    from .powercap import open_powercap

    return open_powercap(root)


def _perf(root: Path) -> Sequence[Sensor]:
    perf_folder(root)
    from .perf import open_perf

    return open_perf(root)


def _nvml(_root: Path) -> Sequence[Sensor]:
    nvml_is_loadable()
    from .nvml import open_nvml

    return open_nvml()


def _amd(_root: Path) -> Sequence[Sensor]:
    amd_binding()
    from .amd import open_amd

    return open_amd()


def _estimate(_root: Path) -> Sequence[Sensor]:
    from .estimate import open_estimate

    return open_estimate()


BACKENDS: tuple[Backend, ...] = (
    Backend(name="powercap", find=_powercap, covers_cpu=True),
    Backend(name="perf", find=_perf, covers_cpu=True),
    Backend(name="nvml", find=_nvml, covers_cpu=False),
    Backend(name="amd", find=_amd, covers_cpu=False),
    Backend(name="estimate", find=_estimate, covers_cpu=True),
)
"""In the order of ``auto``; the sensors of third parties follow."""


def backends() -> tuple[Backend, ...]:
    """Return the built-in back ends and those of installed plug-ins; a plug-in cannot replace a built-in one."""
    from .entry_points import finders

    ours = {backend.name for backend in BACKENDS}
    plugins = (
        Backend(name=name, find=lambda _root, find=find: find(), covers_cpu=False)  # type: ignore[misc] # bound now
        for name, find in finders().items()
        if name not in ours
    )
    return (*BACKENDS, *plugins)


def probe_sensors(names: Sequence[str] = ("auto",), *, sysfs_root: Path = Path("/sys")) -> Probe:
    """Open every sensor that the names allow.

    Args:
        names: back ends in order of preference; ``auto`` stands for all of them in the order of the table. Of the
            back ends that cover the CPU the first that works is taken, so the estimate serves only without a counter.
        sysfs_root: the root under which powercap and perf trees are looked for.

    Raises:
        ConfigError: a name that is not in the table, or no name at all.
    """
    found: list[Sensor] = []
    refused: list[Refusal] = []
    cpu_from: str | None = None
    for backend in _chosen(names):
        if backend.covers_cpu and cpu_from is not None:
            refused.append(Refusal(name=backend.name, reason=f"not needed: {cpu_from} covers the CPU"))
            continue
        try:
            sensors = backend.find(sysfs_root)
            _refuse_taken_names(sensors, found)
        except SensorUnavailableError as error:
            refused.append(Refusal(name=backend.name, reason=error.reason, remedy=error.remedy))
        except Exception as error:  # noqa: BLE001 - a sensor plug-in may raise anything; measuring goes on without it
            refused.append(Refusal(name=backend.name, reason=f"it failed: {type(error).__name__}: {error}"))
        else:
            found.extend(sensors)
            if backend.covers_cpu and sensors:
                cpu_from = backend.name
    return Probe(found=tuple(found), refused=tuple(refused))


def _refuse_taken_names(sensors: Sequence[Sensor], found: Sequence[Sensor]) -> None:
    """Close the sensors of a back end that repeats the name of a sensor, because records tell sensors by their names.

    Raises:
        SensorUnavailableError: a name is taken.
    """
    sources = {each.description.name: each.description.source for each in found}
    taken = next((each.description for each in sensors if each.description.name in sources), None)
    if taken is not None:
        for each in sensors:
            each.close()
        raise SensorUnavailableError(
            f"its sensor {taken.name!r} has the name of a sensor of {sources[taken.name]!r}",
            f"leave one of them out of --energy-sensors, or rename the sensor of {taken.source!r}",
        )


def _chosen(names: Sequence[str]) -> Iterator[Backend]:
    ours = {backend.name: backend for backend in BACKENDS}
    # plug-ins are looked up only when one may be meant: it takes milliseconds
    table = ours if names and set(names) <= ours.keys() else {backend.name: backend for backend in backends()}
    wanted = [name.strip() for name in names if name.strip()]
    if not wanted:
        raise ConfigError(f"the list of sensors is empty; write 'auto', or some of: {', '.join(table)}")
    for name in wanted:
        if name != "auto" and name not in table:
            meant = _OTHER_NAMES.get(name.lower())
            remedy = f"use {meant}" if meant else did_you_mean(name, [*table, "auto"])
            raise ConfigError(f"there is no sensor {name!r}; {remedy}")
    chosen = {each: table[each] for name in wanted for each in (table if name == "auto" else (name,))}
    yield from chosen.values()  # each once: "auto" already contains the plug-ins
