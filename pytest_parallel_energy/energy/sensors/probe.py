"""Which sensors work here: an ordered table of back ends, each of which gives sensors or the reason why not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...errors import ConfigError, SensorUnavailableError, did_you_mean
from ..sensor import Sensor

__all__ = ["BACKENDS", "Backend", "Probe", "Refusal", "backends", "close_sensors", "probe_sensors"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A back end that cannot run here."""

    name: str
    reason: str
    remedy: str = ""
    """What would mend it; empty when nothing would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a probing found. The sensors are open: whoever probes closes them."""

    found: tuple[Sensor, ...]
    refused: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One row of the table."""

    name: str
    find: Callable[[Path], Sequence[Sensor]]
    """Opens the sensors below a sysfs root; raises SensorUnavailableError with reason and remedy."""
    covers_cpu: bool
    """Several of these would measure the same joules: the first that works is taken."""


def _powercap(root: Path) -> Sequence[Sensor]:
    from .powercap import open_powercap

    return open_powercap(root)


def _perf(root: Path) -> Sequence[Sensor]:
    from .perf import open_perf

    return open_perf(root)


def _nvml(_root: Path) -> Sequence[Sensor]:
    from .nvml import open_nvml

    return open_nvml()


def _amd(_root: Path) -> Sequence[Sensor]:
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
"""In the order of ``auto``; the sensors of third parties come behind."""


def backends() -> tuple[Backend, ...]:
    """Our own back ends and those of installed plug-ins; a plug-in cannot replace one of ours."""
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
        except SensorUnavailableError as error:
            refused.append(Refusal(name=backend.name, reason=error.reason, remedy=error.remedy))
        except Exception as error:  # noqa: BLE001 - a sensor plug-in may raise anything; measuring goes on without it
            refused.append(Refusal(name=backend.name, reason=f"it broke: {type(error).__name__}: {error}"))
        else:
            found.extend(sensors)
            if backend.covers_cpu and sensors:
                cpu_from = backend.name
    return Probe(found=tuple(found), refused=tuple(refused))


def close_sensors(sensors: Sequence[Sensor]) -> None:
    """Close all of them; one that raises does not keep the others open."""
    for sensor in sensors:
        with suppress(Exception):
            sensor.close()


def _chosen(names: Sequence[str]) -> Iterator[Backend]:
    ours = {backend.name: backend for backend in BACKENDS}
    # plug-ins are looked up only when one may be meant: it takes milliseconds
    table = ours if names and set(names) <= ours.keys() else {backend.name: backend for backend in backends()}
    asked = [name.strip() for name in names if name.strip()]
    if not asked:
        raise ConfigError(f"no sensor is named; write 'auto', or some of: {', '.join(table)}")
    for name in asked:
        if name != "auto" and name not in table:
            raise ConfigError(f"there is no sensor {name!r}; {did_you_mean(name, [*table, 'auto'])}")
    for name in dict.fromkeys(asked):
        yield from table.values() if name == "auto" else (table[name],)
