"""What happens before a measured test may begin: the host's lock, rest, the idle leg, the governor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..host.cooldown import Rest
    from ..host.governor import Governor
    from ..host.lock import HostLock
    from ..plan.settings import Settings
    from .session import Run

__all__ = ["ReadyHost"]


class ReadyHost:
    """Lets one measured test at a time through on this host.

    Args:
        session: what the experiments share.
        tell: is given one line when a wait takes long.
    """

    def __init__(self, session: Run, tell: Callable[[str], None]) -> None:
        self._session = session
        self._tell = tell
        self._lock: HostLock | None = None
        self._governor: Governor | None = None
        self._leg_flags: tuple[str, ...] = ()

    def enter(self, settings: Settings) -> tuple[str, ...]:
        """Wait until the test may be measured; gives the flags of its record.

        Raises:
            ParallelEnergyError: another process is measuring, and the settings say not to wait (any longer).
            ConfigError: the lock cannot be opened, or the kernel does not know the governor.
        """
        self._host_lock().acquire()
        flags = [*self._set_governor(settings.governor), *self._measure_idle()]
        if settings.cooldown is not None:
            flag = self._rest().take(settings.cooldown).flag
            flags += [flag] if flag else []
        return tuple(flags)

    def leave(self) -> None:
        """Put the machine back as it was, and let the next one in."""
        governor, self._governor = self._governor, None
        try:
            if governor is not None:
                governor.restore()
        finally:
            if self._lock is not None:
                self._lock.release()

    def _host_lock(self) -> HostLock:
        if self._lock is None:
            from ..host.lock import HostLock

            settings = self._session.settings
            self._lock = HostLock(
                None if settings.host_lock_dir is None else Path(settings.host_lock_dir),
                mode=settings.host_lock,
                deadline_s=settings.host_lock_timeout,
                tell=self._tell,
            )
        return self._lock

    def _set_governor(self, name: str | None) -> tuple[str, ...]:
        """The governor that this test asks for, as long as the lock is held: another session may want another."""
        if name is None:
            return ()
        from ..host.governor import Governor

        self._governor = Governor(name, sysfs_root=Path(self._session.settings.sysfs_root))
        self._governor.set()
        return () if self._governor.problem is None else (self._governor.problem,)

    def _measure_idle(self) -> tuple[str, ...]:
        """Once a run, before anything of it draws power; an estimate has no idle power of its own to measure."""
        meter, seconds = self._session.open_meter(), self._session.settings.idle
        if meter.idle is None and seconds > 0 and self._session.has_measured_sensor:
            self._leg_flags = meter.measure_idle(seconds).flags()
        return self._leg_flags

    def _rest(self) -> Rest:
        from ..energy.thermal import read_temperatures_c
        from ..host.cooldown import Rest

        meter, root = self._session.open_meter(), Path(self._session.settings.sysfs_root)
        idle = meter.idle
        return Rest(
            power_w=meter.mean_power_w,
            temperatures_c=lambda: read_temperatures_c(meter.sensors, sysfs_root=root),
            idle_w=None if idle is None else idle.mean_w,
            idle_sigma_w=0.0 if idle is None else idle.sigma_w,
        )
