"""The CPU frequency governor of a run: set for it, and restored after it, or a clear word why not."""

from __future__ import annotations

from pathlib import Path

from ..errors import ConfigError, did_you_mean

__all__ = ["Governor"]


class Governor:
    """Sets the governor of all CPUs through sysfs (kernel documentation, admin-guide/pm/cpufreq).

    Args:
        sysfs_root: usually ``/sys``.
    """

    def __init__(self, sysfs_root: Path) -> None:
        self._files = sorted(sysfs_root.glob("devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor"))
        self._before: dict[Path, str] = {}
        self.current: str | None = None
        """What was set by this object; ``None`` before."""

    def set(self, name: str) -> None:
        """Set it for all CPUs, or for none.

        Raises:
            ConfigError: there is no frequency scaling here, no such governor, or no permission; nothing was changed.
        """
        if name == self.current:
            return
        if not self._files:
            raise ConfigError(
                f"the CPU governor cannot be set to {name!r}: this machine shows no frequency scaling (a virtual"
                " machine, or a driver without it)"
            )
        try:
            known = self._files[0].with_name("scaling_available_governors").read_text().split()
            if known and name not in known:
                raise ConfigError(f"there is no CPU governor {name!r} here; {did_you_mean(name, known)}")
            before = {file: file.read_text().strip() for file in self._files}
            self._before = {**before, **self._before}  # the first one counts: that is what restoring goes back to
            for file in self._files:
                file.write_text(name)
        except OSError as problem:
            self.restore()
            raise ConfigError(
                f"the CPU governor cannot be set to {name!r}: {problem}; run as root, or set it before the run:"
                f" sudo cpupower frequency-set -g {name}"
            ) from problem
        self.current = name

    def restore(self) -> list[str]:
        """Put back what was there before; what could not be put back, in words."""
        problems = []
        for file, name in self._before.items():
            try:
                if file.read_text().strip() != name:
                    file.write_text(name)
            except OSError as problem:
                problems.append(f"{file} could not be put back to {name!r}: {problem}")
        self._before, self.current = {}, None
        return problems
