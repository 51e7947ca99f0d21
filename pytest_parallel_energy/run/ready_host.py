"""The preparation of the host for a measured test: its lock, the governor, the idle power, the cool-down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..host.slurm_job import shared_node_flag

if TYPE_CHECKING:
    from ..host.cooldown import Rest
    from ..host.governor import Governor
    from ..host.lock import HostLock
    from ..plan.settings import Settings
    from .session import Run

__all__ = ["ReadyHost"]


class ReadyHost:
    """The host, prepared for one measured test at a time.

    Args:
        run: what the experiments share.
        tell: is called with one line when a wait takes long.
    """

    def __init__(self, run: Run, tell: Callable[[str], None]) -> None:
        self._run = run
        self._tell = tell
        self._lock: HostLock | None = None
        self._governor: Governor | None = None
        self._leg_flags: tuple[str, ...] = ()

    def enter(self, settings: Settings) -> tuple[str, ...]:
        """Wait until the test may be measured, and return the remarks for its record.

        Raises:
            ParallelEnergyError: another process is measuring, and the settings say not to wait (any longer).
            ConfigError: the lock cannot be opened, or the kernel does not know the governor.
        """
        self._host_lock().acquire()
        flags = [*self._set_governor(settings.governor), *self._measure_idle()]
        if (shared := shared_node_flag(self._run.slurm)) is not None:
            flags.append(shared)
        if settings.cooldown is not None:
            flag = self._rest().take(settings.cooldown).flag
            flags += [flag] if flag else []
        return tuple(flags)

    def leave(self) -> None:
        """Restore the governor and release the lock for the next test."""
        governor, self._governor = self._governor, None
        try:
            if governor is not None:
                self._run.note_governor_change()
                governor.restore()
        finally:
            if self._lock is not None:
                self._lock.release()

    def _host_lock(self) -> HostLock:
        if self._lock is None:
            from ..host.lock import HostLock

            settings = self._run.settings
            self._lock = HostLock(
                None if settings.host_lock_dir is None else Path(settings.host_lock_dir),
                mode=settings.host_lock,
                deadline_s=settings.host_lock_timeout,
                tell=self._tell,
            )
        return self._lock

    def _set_governor(self, name: str | None) -> tuple[str, ...]:
        """Set the governor that this test requires, for as long as the lock is held, and return the remarks."""
        if name is None:
            return ()
        from ..host.governor import Governor

        self._governor = Governor(name, sysfs_root=Path(self._run.settings.sysfs_root))
        self._governor.set()
        self._run.note_governor_change()
        return () if self._governor.problem is None else (self._governor.problem,)

    def _measure_idle(self) -> tuple[str, ...]:
        """Measure idle power once per run, before the run draws power; an estimate has no idle power to measure."""
        meter, seconds = self._run.open_meter(), self._run.settings.idle
        rank = self._run.rank
        if rank is not None and rank.local_size > 1:  # they wait for this one, and many libraries wait busily
            return ("idle power was not measured: the other ranks of this node are running",) if seconds > 0 else ()
        if meter.idle is None and seconds > 0 and self._run.has_measured_sensor:
            self._leg_flags = meter.measure_idle(seconds).flags()
        return self._leg_flags

    def _rest(self) -> Rest:
        from ..energy.thermal import read_temperatures_c
        from ..host.cooldown import Rest

        meter, root = self._run.open_meter(), Path(self._run.settings.sysfs_root)
        idle = meter.idle
        return Rest(
            power_w=meter.mean_power_w,
            temperatures_c=lambda: read_temperatures_c(meter.sensors, sysfs_root=root),
            idle_w=None if idle is None else idle.mean_w,
            idle_sigma_w=0.0 if idle is None else idle.sigma_w,
        )
