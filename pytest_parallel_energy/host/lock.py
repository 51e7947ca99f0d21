"""One measurement at a time on a host: a file lock that is released however its holder ends.

``flock`` belongs to the open descriptor: the kernel releases it with the last process that holds a copy. It cannot go
stale, and a forked child that still uses energy keeps it. The file is never removed, because a lock on a removed file
excludes no other process.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from ..errors import ConfigError, ParallelEnergyError, did_you_mean
from .launcher import rank_from

__all__ = ["LOCK_MODES", "HostLock", "LockMode", "lock_folder", "parse_lock_mode"]

LockMode = Literal["wait", "refuse", "off"]
LOCK_MODES: tuple[LockMode, ...] = ("wait", "refuse", "off")
_FOLDERS = (Path("/run/lock"), Path("/dev/shm"), Path("/tmp"))  # noqa: S108 - shared by all users on purpose
_NAME = "pytest-parallel-energy.lock"
_LOCKS = Path("/proc/locks")
_OWNER_BYTES = 64
_HELD = "PYTEST_PARALLEL_ENERGY_LOCK"
"""Environment variable with the content of the file, while the lock is held: child processes recognise it."""
_TELL_AFTER_S = 1.0
_POLL_S = 0.5
_ALL_USERS = 0o666


class HostLock:
    """The lock of this host, a context manager. The file holds the holder's process id, for messages.

    A process whose ancestor holds the lock passes without it, because it is part of what that ancestor measures. So
    does a rank whose launcher also started the holder: a rank that waits for another one ends in a deadlock when the
    other one waits for it in a collective operation.

    Args:
        folder: folder of the file; ``None`` chooses one that every user can reach.
        mode: ``wait`` until the lock is free, ``refuse`` to wait, or ``off``: no lock.
        deadline_s: maximum seconds to wait; ``None`` waits indefinitely.
        tell: called with one line when the wait has lasted a second.
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
        """Seconds that the last acquisition waited."""
        self._deadline_s = deadline_s
        self._tell = tell
        self._fd: int | None = None
        self._passed = False

    def acquire(self) -> None:
        """Take the lock. Does nothing when this object holds it already.

        Raises:
            ParallelEnergyError: another process holds it and the mode is ``refuse``, or the deadline has passed.
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
        held = f"{os.getpid():<20} {secrets.token_hex(8)}"  # a fixed width, because truncating first takes milliseconds
        # another user's file may be open for reading only; the lock works all the same
        with suppress(OSError):
            os.pwrite(fd, f"{held}\n".encode(), 0)
        os.environ[_HELD] = held

    def release(self) -> None:
        """Release the lock; a second call does nothing."""
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
        # A measured test that runs pytest itself must not wait for its own session.
        self._passed = _held_by_ancestor(fd) or _held_by_sibling(fd)
        if self._passed:
            return
        if self.mode == "refuse":
            raise ParallelEnergyError(
                f"{_holder_words(fd)} is measuring on this host (lock {self.path}); "
                "concurrent measurements disturb each other; to wait instead: --energy-host-lock=wait"
            )
        self._wait_long(fd, started_s)
        self.waited_s = time.monotonic() - started_s

    def _wait_long(self, fd: int, started_s: float) -> None:
        while time.monotonic() - started_s < _TELL_AFTER_S:
            time.sleep(_TELL_AFTER_S / 10)
            if _try(fd):
                return
        if self._tell is not None:
            self._tell(f"waiting for {_holder_words(fd)}, which is measuring on this host (lock {self.path})")
        if self._deadline_s is None:
            fcntl.flock(fd, fcntl.LOCK_EX)
            return
        while not _try(fd):
            if time.monotonic() - started_s > self._deadline_s:
                raise ParallelEnergyError(
                    f"waited {self._deadline_s:.0f} s for {_holder_words(fd)} (lock {self.path}); "
                    "raise --energy-host-lock-timeout, end that process, or use no lock: --energy-host-lock=off"
                )
            time.sleep(_POLL_S)


def parse_lock_mode(text: str) -> LockMode:
    """Return the mode that a user named.

    Raises:
        ConfigError: not one of ``LOCK_MODES``.
    """
    for mode in LOCK_MODES:
        if text == mode:
            return mode
    raise ConfigError(f"invalid host-lock mode {text!r}; {did_you_mean(text, LOCK_MODES)}")


def lock_folder(candidates: Sequence[Path] = _FOLDERS) -> Path:
    """Return the first folder that is writable for all users and sticky, so that no user can remove the file.

    Raises:
        ConfigError: there is no such folder.
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
    """Open the lock file, or create it. Without O_CREAT first: fs.protected_regular forbids it on others' files."""
    flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # not to wait at a FIFO that another user put there
    try:
        for mode in (os.O_RDWR, os.O_RDONLY):
            with suppress(FileNotFoundError, PermissionError):
                return _plain(path, os.open(path, mode | flags))
        fd = os.open(path, os.O_RDWR | os.O_CREAT | flags, _ALL_USERS)
    except OSError as error:
        why = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
        raise ConfigError(f"the host lock {path} cannot be opened: {why}") from error
    # The umask removed bits, and other users must be able to lock the file too.
    with suppress(PermissionError):
        os.fchmod(fd, _ALL_USERS)
    return fd


def _plain(path: Path, fd: int) -> int:
    """Return the descriptor of a plain file; close any other."""
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise ConfigError(f"the host lock {path} is not a plain file; remove it, or use no lock: --energy-host-lock=off")


def _try(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            return False
        raise
    return True


def _holder_words(fd: int) -> str:
    """Name the holder for a message, with its user where the process can be seen."""
    # The file's word is not proof, but all there is about a holder in another container.
    written = _written(fd).partition(" ")[0]
    pid = _holder(fd) or (int(written) if written.isdigit() else None)
    if pid is None:
        return "another process"
    import psutil

    try:
        return f"process {pid} of user {psutil.Process(pid).username()}"
    except psutil.Error:
        return f"process {pid}"


def _written(fd: int) -> str:
    return os.pread(fd, _OWNER_BYTES, 0).decode("ascii", "replace").strip()


def _holder(fd: int) -> int | None:
    """Return the process that holds the lock, from the kernel; ``None`` if it is free or in another PID namespace.

    The file is not reliable here: until a new holder has written its pid, it still names the previous one.
    """
    inode = str(os.fstat(fd).st_ino)
    with suppress(OSError):
        for line in _LOCKS.read_text(encoding="ascii").splitlines():
            # "1: FLOCK ADVISORY WRITE 4711 00:1a:42 0 EOF"; waiting processes have an arrow before FLOCK
            fields = line.split()
            if fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == inode:
                return int(fields[4])
    return None


def _held_by_sibling(fd: int) -> bool:
    """Return whether the holder is a rank of the same launcher; ``False`` where its environment cannot be read."""
    own = rank_from(os.environ)
    pid = _holder(fd)
    if own is None or pid is None:
        return False
    try:
        lines = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    pairs = (os.fsdecode(line).partition("=") for line in lines)
    other = rank_from({name: value for name, _, value in pairs})
    return other is not None and other.job == own.job


def _held_by_ancestor(fd: int) -> bool:
    pid = _holder(fd)
    if pid is None:  # the kernel does not name a holder outside our PID namespace, but our environment does
        return os.environ.get(_HELD) == _written(fd)
    from .cpu_time import descends

    return descends(os.getpid(), pid)
