"""What is followed during a window, apart from its energy: CPU time and GPU use by owner."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from ..errors import SensorError
from ..host.cpu_use import CpuUse
from ..units import NS_PER_S

if TYPE_CHECKING:
    from ..energy.meter import EnergyMeter
    from ..energy.shares import Shares
    from ..load.background import BackgroundLoad

__all__ = ["CpuMoment", "WindowWatch"]

_TEST_VARIABLE = "PYTEST_CURRENT_TEST"
"""pytest sets it for the processes that a test starts."""


class CpuMoment(Struct, frozen=True, kw_only=True):
    """CPU seconds by owner up to one moment, since the watch began."""

    at_s: float
    """The meter's clock."""
    foreground_s: float
    loads_s: Mapping[str, float]
    machine_s: float | None

    def until(self, later: CpuMoment) -> CpuUse | None:
        """Return the use between two moments of one watch; ``None`` where no time lies between them."""
        if later.at_s <= self.at_s:
            return None
        known = self.machine_s is not None and later.machine_s is not None
        return CpuUse(
            seconds=later.at_s - self.at_s,
            foreground_s=later.foreground_s - self.foreground_s,
            background_s=sum(later.loads_s.values()) - sum(self.loads_s.values()),
            machine_s=(later.machine_s or 0.0) - (self.machine_s or 0.0) if known else None,
        )


class WindowWatch:
    """Follows CPU time and GPU use by owner; the meter polls it with every sample.

    Args:
        meter: gives the clock and the GPUs.
        loads: returns the background loads, also those that the test has started meanwhile.
        root: as for ``ProcessTimes``.
    """

    def __init__(
        self,
        meter: EnergyMeter,
        loads: Callable[[], Sequence[BackgroundLoad]],
        *,
        root: int | None = None,
    ) -> None:
        from ..energy.idle import busy_or_none
        from ..host.process_times import ProcessTimes

        self._clock_ns = meter.clock_ns
        self._loads = loads
        test = os.environ.get(_TEST_VARIABLE, "").rpartition(" (")[0]  # without its phase, which changes
        marker = f"{_TEST_VARIABLE}={test} (" if test else ""
        self._gpus = None
        if any(sensor.description.kind == "gpu" for sensor in meter.sensors):
            from ..energy.gpu_share import GpuWatch

            self._gpus = GpuWatch(meter.sensors, self._owner_of)
        self._times = ProcessTimes(self._guards, marker=marker, root=root)
        self.began = CpuMoment(at_s=self._clock_ns() / NS_PER_S, foreground_s=0.0, loads_s={}, machine_s=busy_or_none())
        """The moment at which the watch began."""

    def poll(self) -> None:
        """Look at all processes. Called by the meter's sampler, in its thread."""
        if self._gpus is not None:
            self._gpus.poll()
        self._times.look()

    def moment(self) -> CpuMoment:
        """Return the CPU seconds up to now; orphans are looked for."""
        from ..energy.idle import busy_or_none
        from ..host.process_times import FOREGROUND

        if self._gpus is not None:
            self._gpus.poll()
        self._times.look(thorough=True)
        used_s = self._times.used_s()
        return CpuMoment(
            at_s=self._clock_ns() / NS_PER_S,
            foreground_s=used_s.pop(FOREGROUND, 0.0),
            loads_s=used_s,
            machine_s=busy_or_none(),
        )

    def gpu_shares(self, name: str) -> Shares | None:
        """Return the shares of one GPU by its sensor's name since the watch began; ``None`` where not known."""
        return None if self._gpus is None else self._gpus.shares(name)

    def _guards(self) -> Mapping[int, str]:
        pids = {load.guard_pid: f"load {number}" for number, load in enumerate(self._loads(), 1)}
        return {pid: owner for pid, owner in pids.items() if pid is not None}

    def _owner_of(self, pid: int) -> str:
        """Return the owner of a process that uses a GPU.

        Raises:
            SensorError: the driver's pid is of another PID namespace.
        """
        from ..host.cpu_time import descends, pid_is_meant

        if not pid_is_meant(pid):
            raise SensorError(f"the driver names process {pid}, which is not known in this container")
        if any(pid in load.pids for load in self._loads()):
            return "background"
        return "foreground" if descends(pid, os.getpid()) else "other"
