"""The CPU frequency governor: read, set for a run, and put back as it was.

Source: Linux ``Documentation/admin-guide/pm/cpufreq.rst``. Writing needs root.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from ..errors import ConfigError, did_you_mean

__all__ = ["Governor", "read_governors"]


def read_governors(sysfs_root: Path = Path("/sys")) -> dict[str, str]:
    """The governor of each CPU (``cpu0`` …) that has one; empty in most virtual machines."""
    found = {}
    for folder in sorted((sysfs_root / "devices" / "system" / "cpu").glob("cpu[0-9]*/cpufreq")):
        with suppress(OSError):
            found[folder.parent.name] = (folder / "scaling_governor").read_text(encoding="ascii").strip()
    return found


class Governor:
    """Sets a governor inside ``with``, on every CPU, and restores each CPU's own afterwards.

    Args:
        name: such as ``performance``.
        sysfs_root: root of sysfs.

    ``problem`` says after entering why it could not be set, ``None`` when it was: measuring goes on either way.

    Raises:
        ConfigError: on entering: the kernel does not know the name.
    """

    def __init__(self, name: str, *, sysfs_root: Path = Path("/sys")) -> None:
        self.name = name
        self.problem: str | None = None
        self._folder = sysfs_root / "devices" / "system" / "cpu"
        self._sysfs_root = sysfs_root
        self._before: dict[str, str] = {}

    def __enter__(self) -> Self:
        self.set()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.restore()

    def set(self) -> None:
        """Set the governor on every CPU; what cannot be set leaves a ``problem``, and nothing half-done."""
        governors = read_governors(self._sysfs_root)
        if not governors:
            self.problem = "the CPUs have no frequency governor here (most virtual machines)"
            return
        self._refuse_unknown(next(iter(governors)))
        try:
            for cpu, before in governors.items():
                if before != self.name:
                    self._write(cpu, self.name)
                    self._before[cpu] = before
        except OSError as error:
            self.restore()
            self.problem = (
                f"the governor {self.name!r} cannot be set ({error.strerror}): "
                f"run as root, or beforehand: sudo cpupower frequency-set -g {self.name}"
            )

    def restore(self) -> None:
        """Put back what was there before; a second call does nothing."""
        before, self._before = self._before, {}
        for cpu, name in before.items():
            with suppress(OSError):  # a CPU that went offline meanwhile has nothing to restore
                self._write(cpu, name)

    def _write(self, cpu: str, name: str) -> None:
        (self._folder / cpu / "cpufreq" / "scaling_governor").write_text(f"{name}\n", encoding="ascii")

    def _refuse_unknown(self, cpu: str) -> None:
        with suppress(OSError):
            known = (self._folder / cpu / "cpufreq" / "scaling_available_governors").read_text(encoding="ascii").split()
            if self.name not in known:
                raise ConfigError(f"there is no CPU governor {self.name!r} here; {did_you_mean(self.name, known)}")
