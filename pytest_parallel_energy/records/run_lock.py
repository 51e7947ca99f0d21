"""The lock on a run's folder: one session at a time, and its workers.

The lock is an *open file description* lock (``F_OFD_SETLK``, fcntl(2)) on ``session.lock``: the kernel releases it
with the last copy of the descriptor, so that no way of dying leaves it held. Its first byte belongs to the process that
appends records. Its second byte is shared by the workers of pytest-xdist, which may outlive a killed controller for
some seconds. Readers only ask the kernel who holds it (``F_OFD_GETLK``) and take nothing, so that they never refuse a
resume.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import socket
import struct
import time
from pathlib import Path

from ..errors import RecordError
from .atomic_write import why

__all__ = ["LOCK_NAME", "RunInUseError", "RunLock", "in_progress"]

LOCK_NAME = "session.lock"
_APPENDING, _WORKING = (0, 1), (1, 1)
"""Start and length of the byte ranges."""
_EITHER = (0, 2)
_FLOCK = "hhqqi4x"
"""``struct flock`` of 64-bit Linux: type, whence, start, length, pid (fcntl(2))."""
_POLL_S = 0.1
_HOLDER_BYTES = 4096


class RunInUseError(RecordError):
    """Another session, or a worker of one, is using the run."""


class RunLock:
    """One held range of the lock. Use :meth:`hold` for the session that appends, :meth:`join` for a worker."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def hold(cls, folder: Path, *, wait_for_workers_s: float | None = None) -> RunLock:
        """Lock the run for a session that appends to it, and record its holder.

        Args:
            folder: the run's folder.
            wait_for_workers_s: longest wait for workers of a dead controller to end; ``None`` for a new run, where
                workers are this session's own.

        Raises:
            RunInUseError: another session holds it: its pid, user and host.
            OSError: the file cannot be made, or the file system has no locks.
        """
        descriptor = _open(folder)
        try:
            _take(descriptor, folder, wait_for_workers_s)
            os.ftruncate(descriptor, 0)
            _write_holder(descriptor, "session")
        except BaseException:
            os.close(descriptor)
            raise
        return cls(descriptor)

    @classmethod
    def join(cls, folder: Path) -> RunLock:
        """Share the run as a worker of the session that appends to it.

        Raises:
            OSError: the file cannot be made, or the file system has no locks.
        """
        descriptor = _open(folder)
        try:
            _lock(descriptor, fcntl.F_RDLCK, _WORKING)
            _write_holder(descriptor, "worker")
        except BaseException:
            os.close(descriptor)
            raise
        return cls(descriptor)

    def release(self) -> None:
        """Free the lock, also where a forked child still has the descriptor. May be called twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                _lock(descriptor, fcntl.F_UNLCK, _EITHER)
            os.close(descriptor)


def in_progress(folder: Path) -> bool:
    """Return whether a living session or worker uses the run; nothing is locked.

    A file system that cannot answer counts as in progress: then no attempt is taken for crashed.
    """
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        return _is_held(descriptor, _EITHER)
    except OSError:
        return True
    finally:
        os.close(descriptor)


def _open(folder: Path) -> int:
    # O_APPEND: the holder and its workers write a line each
    return os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)


def _take(descriptor: int, folder: Path, wait_for_workers_s: float | None) -> None:
    if not _lock(descriptor, fcntl.F_WRLCK, _APPENDING):
        raise RunInUseError(_in_use(folder))
    if wait_for_workers_s is None:
        return
    deadline_s = time.monotonic() + wait_for_workers_s
    while _is_held(descriptor, _WORKING):
        if time.monotonic() >= deadline_s:
            raise RunInUseError(_in_use(folder))
        time.sleep(_POLL_S)


def _lock(descriptor: int, kind: int, span: tuple[int, int]) -> bool:
    """Set the lock without waiting; return whether it was free."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, kind, os.SEEK_SET, *span, 0))
    except (BlockingIOError, PermissionError):  # EAGAIN or EACCES: another description holds it
        return False
    return True


def _is_held(descriptor: int, span: tuple[int, int]) -> bool:
    """Return whether another open description holds any of the range."""
    asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, *span, 0)
    kind: int = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, asked))[0]
    return kind != fcntl.F_UNLCK


def _write_holder(descriptor: int, role: str) -> None:
    """Add a line about this process; a full disk does not matter to the lock."""
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = str(os.geteuid())
    with contextlib.suppress(OSError):
        os.write(descriptor, f"{role} pid {os.getpid()} of user {user} on host {socket.gethostname()}\n".encode())


def _in_use(folder: Path) -> str:
    try:
        text = (folder / LOCK_NAME).read_bytes()[:_HOLDER_BYTES].decode("utf-8", "replace")
    except OSError as error:
        text = f"its holder cannot be read: {why(error)}"
    holders = "; ".join(text.split("\n")).strip("; ") or "its holder is unknown"
    return (
        f"another session is using the run in {folder} ({holders}); wait until it has ended, "
        "or start a new run by leaving out --energy-resume"
    )
