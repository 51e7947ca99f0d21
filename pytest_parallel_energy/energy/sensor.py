"""The interface of a sensor: it describes itself, reads, and closes. Third parties implement it for their own meters.

A wall meter in ten lines::

    class WallMeter:
        description = SensorDescription(
            name="wall", kind="wall", source="my-meter", quality=Quality.INTEGRATED, covers="whole machine at the wall",
            contains=frozenset({"cpu", "dram", "gpu"}), update_interval_s=1.0, gain_ratio=0.01)

        def read(self):
            return Reading(power_w=my_meter.watts())

        def close(self):
            my_meter.disconnect()

Name a function that returns a sequence of such objects in the entry-point group ``pytest_parallel_energy.sensors``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from ..errors import ConfigError
from ..records.energy_values import Quality
from .model import ModelBounds

__all__ = ["KINDS", "Observation", "Observer", "Reading", "Sensor", "SensorDescription"]

KINDS = ("cpu", "dram", "gpu", "gpu-memory", "psys", "module", "server", "wall")
"""The kinds of sensors. ``server`` is the modelled share of a whole server; ``wall`` is measured at the plug."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorDescription:
    """The properties of a sensor; they never change.

    Raises:
        ConfigError: an unknown kind, or a number that no sensor can have.
    """

    name: str
    """Unique among the sensors of one meter: ``package-0``, ``gpu-1``."""
    kind: str
    """One of ``KINDS``."""
    source: str
    """The back end: ``powercap``, ``perf``, ``nvml`` …"""
    quality: Quality
    """The best quality that a window of this sensor can have."""
    covers: str
    """The boundary in words, plural, without number: ``CPU packages``."""
    device: str | None = None
    """Socket number, GPU UUID."""
    parts: tuple[str, ...] = ()
    """Names of parts of the device under which a program may select it: the MIG instances of a GPU."""
    contains: frozenset[str] = frozenset()
    """Kinds whose joules are inside this sensor's too."""
    joules_per_count: float | None = None
    """Resolution of the energy counter; ``None`` when the sensor gives power only."""
    wraps_at_counts: int | None = None
    """The counter runs from 0 to one less than this; ``None`` when it never wraps: then a decrease is a reset."""
    resolution_counts: int = 1
    """Least step of the counter in its own counts (powercap counts microjoules, the hardware 61 µJ or 1 J)."""
    update_interval_s: float | None = None
    """Seconds between two changes of the value; ``None`` when unknown."""
    averaging_s: float | None = None
    """The time over which a power reading averages; ``None`` when unknown."""
    gain_ratio: float = 0.0
    """Standard deviation (one sigma) of the relative error that is the same in all readings."""
    offset_w: float = 0.0
    """Standard deviation (one sigma) of the constant error, in watts."""
    gain_group: str | None = None
    """Sensors of one group share their gain error: their errors add up instead of averaging out."""
    idle_w: float | None = None
    """The part of every reading that a model adds for an idle machine, watts; ``None`` for a sensor that measures."""
    model: ModelBounds | None = None
    """The interval of a modelled energy, in place of gain and offset; ``None`` for a measurement."""
    max_w: float | None = None
    """A power above 1.2 times this is rejected; ``None`` when no limit is known."""
    notes: tuple[str, ...] = ()
    """Remarks about every number of this sensor; they become flags of its windows."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"sensor {self.name!r}: kind {self.kind!r} is unknown; known: {', '.join(KINDS)}")
        for field in ("joules_per_count", "wraps_at_counts", "update_interval_s", "averaging_s", "max_w"):
            value = getattr(self, field)
            if value is not None and not value > 0:
                raise ConfigError(f"sensor {self.name!r}: {field} is {value!r}; it is more than 0, or None if unknown")
        for field in ("gain_ratio", "offset_w"):
            if not getattr(self, field) >= 0:
                raise ConfigError(f"sensor {self.name!r}: {field} is {getattr(self, field)!r}; it is 0 or more")

    @property
    def quantum_j(self) -> float:
        """Joules of the counter's least step; 0 for a sensor without counter."""
        return (self.joules_per_count or 0.0) * self.resolution_counts


class Reading(NamedTuple):
    """One reading (a named tuple, because two of them a zone are the cost of a window).

    At least one of ``counter`` and ``power_w`` is there.
    """

    counter: int | None = None
    """The energy counter, in its own unit, 0 or more."""
    power_w: float | None = None
    """Power, watts, 0 or more."""
    sensor_ns: int | None = None
    """The sensor's own time stamp of the power value: an unchanged one means that nothing is new."""


@runtime_checkable
class Sensor(Protocol):
    """One source of readings. Not thread-safe: the meter takes care of that."""

    @property
    def description(self) -> SensorDescription:
        """The description of this sensor; the same object each time."""
        ...

    def read(self) -> Reading:
        """Return the current reading.

        Raises:
            SensorError: the sensor cannot be read; the message says why. Other errors are treated alike.
        """
        ...

    def close(self) -> None:
        """Release the resources of the sensor; a second call does nothing."""
        ...


class Observation(NamedTuple):
    """The state of a device besides its energy; ``None`` where it is not reported."""

    temperature_c: float | None = None
    throttle: tuple[str, ...] = ()
    """Reasons for which the device runs slower than it could, in words."""
    process_ids: tuple[int, ...] = ()
    """Processes that use the device."""


@runtime_checkable
class Observer(Protocol):
    """A sensor that also reports the state of its device, read at the ends of a window and every few seconds."""

    def observe(self) -> Observation:
        """Return the current state of the device; values that cannot be read are ``None``."""
        ...
