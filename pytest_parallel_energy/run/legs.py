"""The legs of one run (idle, loads alone, foreground alone, both together) and the energy attribution of a test."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..records.record import Attribution, WindowResult

if TYPE_CHECKING:
    from ..energy.attribution import Leg, Legs, Shares
    from ..energy.gpu_share import GpuWatch
    from ..energy.idle import IdleLeg
    from ..energy.meter import EnergyMeter
    from ..load.background import BackgroundLoad

__all__ = ["BesideLoad", "LegBook"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuMoment:
    """CPU seconds up to one moment. Cheap: two system calls and one line of ``/proc/stat``."""

    at_s: float
    """The monotonic clock."""
    own_s: float
    """Of this process and its children that have ended: a training is one of them when its window closes."""
    machine_s: float | None

    @classmethod
    def now(cls) -> CpuMoment:
        """Read the times."""
        from ..energy.idle import busy_or_none

        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        own_s = time.process_time() + ended.ru_utime + ended.ru_stime  # os.times counts in ticks of 10 ms
        return cls(at_s=time.monotonic(), own_s=own_s, machine_s=busy_or_none())


@dataclass(slots=True, kw_only=True)
class BesideLoad:
    """Notes on one test with loads: the leg of the loads alone, and the CPU times around the window."""

    solo_w: float | None = None
    """Mean power of the machine while only the loads ran."""
    solo_rate: float | None = None
    """CPU seconds of the loads per second, alone."""
    opened: CpuMoment | None = None
    closed: CpuMoment | None = None
    loads_opened_s: float | None = None
    loads_closed_s: float | None = None
    gpus: GpuWatch | None = None

    @property
    def loads_cpu_s(self) -> float | None:
        """CPU seconds of the loads between the two moments, which lie just outside of the window."""
        if self.loads_opened_s is None or self.loads_closed_s is None:
            return None
        return self.loads_closed_s - self.loads_opened_s

    @property
    def loads_rate(self) -> float | None:
        """CPU seconds of the loads per second, during the test."""
        cpu_s = self.loads_cpu_s
        if cpu_s is None or self.opened is None or self.closed is None or self.closed.at_s <= self.opened.at_s:
            return None
        return cpu_s / (self.closed.at_s - self.opened.at_s)


@dataclass(slots=True, kw_only=True)
class LegBook:
    """Keeps the solo legs of a run, so that a loaded test can be compared with the same training alone.

    Args:
        meter: the run's meter.
        leg_s: length of the leg of a load alone, seconds; 0: not measured.
    """

    meter: EnergyMeter
    leg_s: float
    _alone: dict[str, Leg] = field(default_factory=dict)

    def measure_loads(self, loads: Sequence[BackgroundLoad]) -> BesideLoad:
        """Measure the loads alone, just before the test, where idle power is known too."""
        noted = BesideLoad()
        if not loads or self.meter.idle is None or self.leg_s <= 0:
            return noted
        before_s = _cpu_s(loads)
        noted.solo_w = self.meter.mean_power_w(self.leg_s)
        after_s = _cpu_s(loads)
        if before_s is not None and after_s is not None:
            noted.solo_rate = (after_s - before_s) / self.leg_s
        return noted

    def open_window(self, noted: BesideLoad, loads: Sequence[BackgroundLoad]) -> None:
        """Note the CPU time just before the window opens."""
        if loads and any(sensor.description.kind == "gpu" for sensor in self.meter.sensors):
            from ..energy.gpu_share import GpuWatch

            noted.gpus = self.meter.watch = GpuWatch(self.meter.sensors, _Owners(loads).owner_of)
        noted.loads_opened_s, noted.opened = _cpu_s(loads), CpuMoment.now()
        noted.loads_closed_s = noted.closed = None  # those of an earlier attempt

    def close_window(self) -> None:
        """Stop following the use of the GPUs."""
        self.meter.watch = None

    def note_end(self, noted: BesideLoad, loads: Sequence[BackgroundLoad]) -> None:
        """Note the CPU time just after the end of the window.

        A load that has ended by then is among the ended children of this process, so its time cannot be separated.
        """
        if noted.gpus is not None:
            noted.gpus.poll()
        ended = any(not load.alive for load in loads)
        noted.loads_closed_s, noted.closed = None if ended else _cpu_s(loads), CpuMoment.now()

    def attribute(self, result: WindowResult, what: str, noted: BesideLoad | None) -> Attribution:
        """Return the joules of a test by owner: from legs where they were measured, else from shares of use.

        Args:
            result: the test's window.
            what: names the foreground's work, the same for each test that does the same.
            noted: ``None`` for a test without loads.
        """
        from ..energy.attribution import attribute_legs, interaction

        if result.total_j is None or result.mean_w is None or not result.window_s:
            return Attribution()
        if noted is None:
            if result.above_idle_j is None:
                return Attribution()
            return Attribution(
                foreground_j=result.above_idle_j, background_j=0.0, idle_j=result.idle_j, method="alone above idle"
            )
        legs = self._legs(result.mean_w, result.window_s, what, noted)
        if legs is None:
            return _by_shares(result, result.window_s, noted, self.meter.idle)
        found, effect = attribute_legs(legs, result.window_s), interaction(legs)
        if effect is None:
            return found
        interference_j = effect.interference_w * result.window_s
        return replace(found, interference_j=interference_j, slowdown_ratio=effect.slowdown_ratio)

    def remember(self, result: WindowResult, what: str) -> None:
        """Keep the window of a test that passed without loads, as the foreground's leg of later tests with loads.

        Args:
            result: the test's window.
            what: as for :meth:`attribute`.
        """
        from ..energy.attribution import Leg

        if result.mean_w is not None and result.window_s:
            self._alone[what] = Leg(mean_w=result.mean_w, foreground_rate=1 / result.window_s)

    def _legs(self, mean_w: float, window_s: float, what: str, noted: BesideLoad) -> Legs | None:
        """Return the legs of a test; ``None`` without the power of the idle machine or of the loads alone."""
        from ..energy.attribution import Leg, Legs

        idle_w = None if self.meter.idle is None else self.meter.idle.mean_w
        if idle_w is None or noted.solo_w is None:
            return None
        both = Leg(
            mean_w=mean_w,
            foreground_rate=1 / window_s,
            # the load's CPU time stands for its work: rounds are too long to count in a leg of seconds
            background_rate=None if noted.solo_rate is None else noted.loads_rate,
        )
        background = Leg(mean_w=noted.solo_w, background_rate=noted.solo_rate)
        return Legs(idle_w=idle_w, both=both, foreground=self._alone.get(what), background=background)


def _by_shares(result: WindowResult, window_s: float, noted: BesideLoad, idle: IdleLeg | None) -> Attribution:
    """Split each counted GPU by the use of its processes, and everything else by CPU time."""
    from ..energy.attribution import attribute_shares, combine

    parts, resources = [], set()
    for domain in result.domains:
        if not domain.counted or domain.joules is None:
            continue
        on_gpu = domain.kind in {"gpu", "module"}
        gpu_shares = None if noted.gpus is None else noted.gpus.shares(domain.name)
        shares = gpu_shares if on_gpu else _cpu_shares(noted)
        if shares is None:
            return Attribution()
        idle_w = None if idle is None else idle.domains_w.get(domain.name)
        idle_j = None if idle_w is None else idle_w * window_s
        parts.append(attribute_shares(domain.joules, idle_j, shares))
        resources.add("GPU use" if on_gpu else "CPU time")
    method = f"share of {' and '.join(sorted(resources))}"
    return combine(parts, method if idle is not None else f"{method}, idle power included")


def _cpu_shares(noted: BesideLoad) -> Shares | None:
    from ..energy.attribution import Shares

    loads_s = noted.loads_cpu_s
    if loads_s is None or noted.opened is None or noted.closed is None:
        return None
    own_s = noted.closed.own_s - noted.opened.own_s
    machine_s = 0.0
    if noted.closed.machine_s is not None and noted.opened.machine_s is not None:
        machine_s = noted.closed.machine_s - noted.opened.machine_s
    # in a container /proc/stat may show less than all, and it counts in ticks
    busy_s = max(machine_s, own_s + loads_s)
    if busy_s <= 0:
        return None
    return Shares(foreground_ratio=own_s / busy_s, background_ratio=loads_s / busy_s)


class _Owners:
    """The owner of a process that uses a GPU."""

    def __init__(self, loads: Sequence[BackgroundLoad]) -> None:
        self._loads = loads

    def owner_of(self, pid: int) -> str:
        """Return ``background`` for a load's process, ``foreground`` for this one and its children, else ``other``."""
        from ..host.cpu_time import descends

        if any(pid in load.pids for load in self._loads):
            return "background"
        return "foreground" if descends(pid, os.getpid()) else "other"


def _cpu_s(loads: Sequence[BackgroundLoad]) -> float | None:
    """Return the CPU seconds of all loads so far; ``None`` when those of one are unknown."""
    seconds = [load.report().cpu_s for load in loads]
    known = [each for each in seconds if each is not None]
    return sum(known) if len(known) == len(seconds) else None
