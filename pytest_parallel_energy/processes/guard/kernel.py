"""The kernel calls that the standard library of Python 3.11 lacks, through ctypes.

Sources: prctl(2), unshare(2), mount(2), user_namespaces(7), pid_namespaces(7).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal

__all__ = [
    "CLONE_NEWNS",
    "CLONE_NEWPID",
    "CLONE_NEWUSER",
    "become_subreaper",
    "make_high",
    "mount",
    "open_pidfd",
    "restore_signals",
    "set_parent_death_signal",
    "unshare",
]

CLONE_NEWNS = 0x0002_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_SLAVE = 0x20, 0x1000, 0x4000, 1 << 19

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LOWEST_FREE_FD = 10  # 0 to 2 are standard, 3 and 4 are the script's marks and answers

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def set_parent_death_signal(number: int) -> None:
    """Have the kernel send signal ``number`` to this process when its parent thread ends."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")


def become_subreaper() -> None:
    """Adopt orphaned descendants, which otherwise become children of the system's init."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl(PR_SET_CHILD_SUBREAPER)")


def unshare(flags: int) -> None:
    """Leave the namespaces named by ``flags``.

    Raises:
        OSError: the kernel, a security module or a seccomp filter refuses.
    """
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """Mount a file system.

    Raises:
        OSError: refused.
    """
    arguments = [text.encode() or None for text in (source, target, kind)]
    _check(
        _libc.mount(*arguments, ctypes.c_ulong(flags), data.encode() or None), f"mount {kind or 'flags'} on {target}"
    )


def make_high(fd: int) -> int:
    """Move ``fd`` to a number of 10 or more, closed on exec; the load's own descriptors take the lower numbers."""
    high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _LOWEST_FREE_FD)
    os.close(fd)
    return high


def open_pidfd(pid: int) -> int:
    """Return a pidfd of a process; −1 where it is gone, or the kernel or a seccomp filter refuses the call."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1


def restore_signals(*, but: frozenset[signal.Signals] = frozenset()) -> None:
    """Unblock all signals, and give each its default action, as after a login.

    The program that started pytest may have blocked or ignored some; both are inherited, also through exec (signal(7)).

    Args:
        but: signals that keep their action.
    """
    for number in signal.valid_signals() - but - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
