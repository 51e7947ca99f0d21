"""The CPU frequency governor: read, set for a run, and restored afterwards, also when pytest is killed.

Source: Linux ``Documentation/admin-guide/pm/cpufreq.rst``. Writing needs root.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..errors import ConfigError, did_you_mean
from ..processes.cookie import Cookie, own_pid_namespace
from .lock import lock_folder

__all__ = ["Governor", "read_governors"]

_SYSFS = Path("/sys")
_RESTORER = Path(__file__).with_name("restore_files.py")
_STATE = "pytest-parallel-energy-governor.json"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_STATE_BYTES = 1 << 20
_WAIT_S = 5.0


def read_governors(sysfs_root: Path = _SYSFS) -> dict[str, str]:
    """Return the governor of each CPU (``cpu0`` …) that has one; empty in most virtual machines."""
    found = {}
    for folder in sorted((sysfs_root / "devices" / "system" / "cpu").glob("cpu[0-9]*/cpufreq")):
        with suppress(OSError):
            found[folder.parent.name] = (folder / "scaling_governor").read_text(encoding="ascii").strip()
    return found


class Governor:
    """A governor for every CPU inside ``with``; each CPU gets its own back afterwards.

    A small process restores them when this process is killed. Should that one be killed as well, the next
    :meth:`set` on this machine finds in a file what was there before, and takes that for the user's choice.

    Args:
        name: such as ``performance``.
        sysfs_root: root of sysfs.

    After entering, ``problem`` says why it could not be set; it is ``None`` when it was. The test is measured anyway.

    Raises:
        ConfigError: on entering: the kernel does not know the name.
    """

    def __init__(self, name: str, *, sysfs_root: Path = _SYSFS) -> None:
        self.name = name
        self.problem: str | None = None
        self._folder = sysfs_root / "devices" / "system" / "cpu"
        self._sysfs_root = sysfs_root
        self._state = (lock_folder() if sysfs_root == _SYSFS else sysfs_root) / _STATE
        self._before: dict[str, str] = {}
        self._restorer: subprocess.Popen[bytes] | None = None
        self._owner_pid = os.getpid()

    def __enter__(self) -> Self:
        self.set()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.restore()

    def set(self) -> None:
        """Set the governor on every CPU; where that fails, set ``problem`` and restore what was changed."""
        governors = read_governors(self._sysfs_root)
        if not governors:
            self.problem = "the CPUs have no frequency governor here (most virtual machines)"
            return
        self._refuse_unknown(next(iter(governors)))
        chosen = governors | self._forgotten(governors)
        self._before = {cpu: before for cpu, before in chosen.items() if before != self.name}
        if not self._before:
            return
        self._arm()
        try:
            for cpu in self._before:
                if governors[cpu] != self.name:
                    self._write(cpu, self.name)
        except OSError as error:
            self.restore()
            self.problem = (
                f"the governor {self.name!r} cannot be set ({error.strerror}): "
                f"run as root, or beforehand: sudo cpupower frequency-set -g {self.name}"
            )

    def _forgotten(self, governors: dict[str, str]) -> dict[str, str]:
        """Return the governors that a session which was killed replaced, of CPUs that still have its own."""
        state = self._read_state()
        cookie = None if state is None else Cookie.parse(str(state.get("owner")))
        if state is None or cookie is None or state.get("boot_id") != _boot_id():  # a restart resets the governors
            return {}
        if cookie.pid_namespace != own_pid_namespace() or cookie.owner_lives():
            return {}
        before = state["before"].items() if isinstance(state.get("before"), dict) else ()
        return {cpu: str(name) for cpu, name in before if cpu in governors and governors[cpu] == state.get("set_to")}

    def _read_state(self) -> dict[str, Any] | None:
        # The folder may be one that every user writes to: only a plain file of this user counts.
        with suppress(OSError, ValueError):
            fd = os.open(self._state, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(fd, "rb") as file:
                facts = os.fstat(fd)
                if stat.S_ISREG(facts.st_mode) and facts.st_uid == os.geteuid():
                    state = json.loads(file.read(_STATE_BYTES))
                    return state if isinstance(state, dict) else None
        return None

    def _arm(self) -> None:
        """Write what to restore to a file and to the process that restores it, before anything is changed."""
        state = {"boot_id": _boot_id(), "owner": str(Cookie.mine()), "set_to": self.name, "before": self._before}
        with suppress(OSError):
            self._state.unlink(missing_ok=True)
            fd = os.open(self._state, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(json.dumps(state).encode())
        files = {str(self._path(cpu)): name for cpu, name in self._before.items()}
        plan = json.dumps({"files": files, "set_to": self.name, "state": str(self._state)}).encode() + b"\n"
        no_byte_code = ["-B"] if sys.dont_write_bytecode else []
        with suppress(OSError):  # the file is the net below it
            self._restorer = subprocess.Popen(
                [sys.executable, "-I", "-S", *no_byte_code, str(_RESTORER), str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )
            if self._restorer.stdin is not None:
                self._restorer.stdin.write(plan)
                self._restorer.stdin.flush()

    def restore(self) -> None:
        """Restore what was there before; do nothing in a second call, or in a fork of the process that set it."""
        if os.getpid() != self._owner_pid:
            return
        before, self._before = self._before, {}
        for cpu, name in before.items():
            with suppress(OSError):  # a CPU that went offline meanwhile has nothing to restore
                self._write(cpu, name)
        restorer, self._restorer = self._restorer, None
        if restorer is not None and restorer.stdin is not None:
            with suppress(OSError):  # it was killed
                restorer.stdin.write(b"restored\n")
                restorer.stdin.flush()
            with suppress(OSError):
                restorer.stdin.close()
            try:
                restorer.wait(_WAIT_S)
            except subprocess.TimeoutExpired:
                restorer.kill()
                restorer.wait()
        if before:
            with suppress(OSError):
                self._state.unlink(missing_ok=True)

    def _path(self, cpu: str) -> Path:
        return self._folder / cpu / "cpufreq" / "scaling_governor"

    def _write(self, cpu: str, name: str) -> None:
        self._path(cpu).write_text(f"{name}\n", encoding="ascii")

    def _refuse_unknown(self, cpu: str) -> None:
        with suppress(OSError):
            known = self._path(cpu).with_name("scaling_available_governors").read_text(encoding="ascii").split()
            if self.name not in known:
                raise ConfigError(f"there is no CPU governor {self.name!r} here; {did_you_mean(self.name, known)}")


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""
