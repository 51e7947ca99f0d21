"""One measurement at a time on a host: a file lock that any death of its holder frees.

``flock`` is held by the open descriptor: the kernel releases it with the last process that holds a copy, so nothing
can go stale, and a forked child that still burns energy keeps it. The file is never removed: a lock on a removed file
excludes nobody.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import secrets
import stat
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from ..errors import ConfigError, ParallelEnergyError, did_you_mean

__all__ = ["LOCK_MODES", "HostLock", "LockMode", "lock_folder", "parse_lock_mode"]

LockMode = Literal["wait", "refuse", "off"]
LOCK_MODES: tuple[LockMode, ...] = ("wait", "refuse", "off")
_FOLDERS = (Path("/run/lock"), Path("/dev/shm"), Path("/tmp"))  # noqa: S108 - shared by all users on purpose
_NAME = "pytest-parallel-energy.lock"
_LOCKS = Path("/proc/locks")
_OWNER_BYTES = 64
_HELD = "PYTEST_PARALLEL_ENERGY_LOCK"
"""Variable of the environment while the lock is held: what stands in the file, for the processes that we start."""
_TELL_AFTER_S = 1.0
_POLL_S = 0.5
_EVERYBODY = 0o666


@dataclass(frozen=True, slots=True, kw_only=True)
class _Owner:
    pid: int

    def __str__(self) -> str:
        try:
            user = pwd.getpwuid(Path(f"/proc/{self.pid}").stat().st_uid).pw_name
        except (OSError, KeyError):
            return f"process {self.pid}"
        return f"process {self.pid} of user {user}"


class HostLock:
    """Held inside ``with``. The holder's process id stands in the file, for those who wait.

    A process whose ancestor holds the lock passes without it: it is part of what is measured.

    Args:
        folder: where the file is; ``None`` chooses one that every user can reach.
        mode: ``wait`` until it is free, ``refuse`` at once, or ``off``: no lock at all.
        deadline_s: longest wait; ``None`` waits for ever.
        tell: is given one line when the wait has lasted a second.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        mode: LockMode = "wait",
        deadline_s: float | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.mode = mode
        self.path = (lock_folder() if folder is None else folder) / _NAME
        self.waited_s = 0.0
        """How long the last acquisition took."""
        self._deadline_s = deadline_s
        self._tell = tell
        self._fd: int | None = None
        self._passed = False

    def acquire(self) -> None:
        """Take the lock; one that is held already is kept.

        Raises:
            ParallelEnergyError: another process has it and the mode is ``refuse``, or the wait reached its deadline.
            ConfigError: the file cannot be opened.
        """
        if self.mode == "off" or self._fd is not None:
            return
        fd = _open(self.path)
        try:
            self._wait(fd)
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        if self._passed:
            return
        held = f"{os.getpid():<20} {secrets.token_hex(8)}"  # one width: truncating first costs milliseconds
        # a file of another user may be open for reading only; the lock holds all the same
        with suppress(OSError):
            os.pwrite(fd, f"{held}\n".encode(), 0)
        os.environ[_HELD] = held

    def release(self) -> None:
        """Give it back; a second call does nothing."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        if not self._passed:
            os.environ.pop(_HELD, None)
        os.close(fd)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.release()

    def _wait(self, fd: int) -> None:
        started_s = time.monotonic()
        self._passed = False
        if _try(fd):
            self.waited_s = 0.0
            return
        self._passed = _held_by_ancestor(fd)
        if self._passed:
            # a measured test that runs pytest itself: waiting for the outer session would last for ever
            return
        if self.mode == "refuse":
            raise ParallelEnergyError(
                f"{_owner_words(fd)} is measuring on this host (lock {self.path}); "
                "two measurements at once would disturb each other: wait with --energy-host-lock=wait"
            )
        self._wait_long(fd, started_s)
        self.waited_s = time.monotonic() - started_s

    def _wait_long(self, fd: int, started_s: float) -> None:
        while time.monotonic() - started_s < _TELL_AFTER_S:
            time.sleep(_TELL_AFTER_S / 10)
            if _try(fd):
                return
        if self._tell is not None:
            self._tell(f"waiting for {_owner_words(fd)}, which is measuring on this host (lock {self.path})")
        if self._deadline_s is None:
            fcntl.flock(fd, fcntl.LOCK_EX)
            return
        while not _try(fd):
            if time.monotonic() - started_s > self._deadline_s:
                raise ParallelEnergyError(
                    f"waited {self._deadline_s:.0f} s for {_owner_words(fd)} (lock {self.path}); "
                    "raise the deadline, end that process, or measure without lock: --energy-host-lock=off"
                )
            time.sleep(_POLL_S)


def parse_lock_mode(text: str) -> LockMode:
    """One of ``LOCK_MODES``.

    Raises:
        ConfigError: another word.
    """
    for mode in LOCK_MODES:
        if text == mode:
            return mode
    raise ConfigError(f"invalid host-lock mode {text!r}; {did_you_mean(text, LOCK_MODES)}")


def lock_folder(candidates: Sequence[Path] = _FOLDERS) -> Path:
    """The first folder that every user may write into and no user may clean out (world-writable and sticky).

    Raises:
        ConfigError: there is none.
    """
    for folder in candidates:
        try:
            mode = folder.stat().st_mode
        except OSError:
            continue
        if stat.S_ISDIR(mode) and mode & stat.S_IWOTH and mode & stat.S_ISVTX:
            return folder
    names = ", ".join(map(str, candidates))
    raise ConfigError(f"no folder for the host lock: none of {names} is writable for all and sticky")


def _open(path: Path) -> int:
    """The lock file, made if need be. First without O_CREAT: fs.protected_regular refuses it on another user's file."""
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        for mode in (os.O_RDWR, os.O_RDONLY):
            with suppress(FileNotFoundError, PermissionError):
                return os.open(path, mode | flags)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | flags, _EVERYBODY)
    except OSError as error:
        why = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
        raise ConfigError(f"the host lock {path} cannot be opened: {why}") from error
    # the umask took bits away; other users must be able to lock it too
    with suppress(PermissionError):
        os.fchmod(fd, _EVERYBODY)
    return fd


def _try(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            return False
        raise
    return True


def _owner_words(fd: int) -> str:
    pid = _holder(fd) or _written_pid(fd)
    return "another process" if pid is None else str(_Owner(pid=pid))


def _written_pid(fd: int) -> int | None:
    """Whom the file names: good enough for a message, and the only word about a holder in another container."""
    pid, _, _ = _written(fd).partition(" ")
    return int(pid) if pid.isdigit() else None


def _written(fd: int) -> str:
    return os.pread(fd, _OWNER_BYTES, 0).decode("ascii", "replace").strip()


def _holder(fd: int) -> int | None:
    """Who took the lock, as the kernel tells it; ``None`` for nobody, or a process of another PID namespace.

    The file will not do: between taking the lock and writing its name there, the holder before stands in it.
    """
    inode = str(os.fstat(fd).st_ino)
    with suppress(OSError):
        for line in _LOCKS.read_text(encoding="ascii").splitlines():
            # "1: FLOCK ADVISORY WRITE 4711 00:1a:42 0 EOF"; those who wait have an arrow before FLOCK
            fields = line.split()
            if fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == inode:
                return int(fields[4])
    return None


def _held_by_ancestor(fd: int) -> bool:
    pid = _holder(fd)
    if pid is None:  # in a PID namespace of ours the kernel does not name it; what it left in our environment does
        return os.environ.get(_HELD) == _written(fd)
    from .cpu_time import descends, process_times

    return descends(os.getpid(), pid, process_times())
