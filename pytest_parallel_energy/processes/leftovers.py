"""Leftover processes of sessions that are gone: found by their cookie, and killed.

Guard and init leave nothing behind by themselves. This is the net below them, for a session whose guard and init were
killed together (``kill -9`` of everything named python, or the kernel short of memory).
"""

from __future__ import annotations

import itertools
import os
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from .cookie import VARIABLE, Cookie, own_pid_namespace
from .guard import cgroup
from .guard.kernel import open_pidfd
from .guard.procfs import all_pids, descendants, environment, read_stat

__all__ = ["Leftover", "find_leftovers", "sweep_leftovers"]

_PASSES = 20
_PATIENCE_S = 1.0
_PAUSE_S = 0.05
_LOOK_S = 0.005
_GUARD = "guard/__main__.py"
_ARGUMENTS_SHOWN = 300


class Leftover(Struct, frozen=True, kw_only=True):
    """A process of a session that is gone."""

    pid: int
    start_ticks: int
    """With the pid, its identity."""
    owner_pid: int
    """Of the session that started it."""
    command: str
    """Its arguments, as far as they can be read; at most 300 characters."""


def find_leftovers() -> tuple[Leftover, ...]:
    """Return the processes of dead sessions on this machine, as far as this user may see them.

    A process counts when its environment holds a cookie of this PID namespace whose owner is gone (pid *and* start
    time), when it is a member of a cgroup that was made for such an owner, or when it is a descendant of one that does.
    Names and pids alone never count.
    """
    marked = ((pid, cookie) for pid in all_pids() if (cookie := _of_the_dead(environment(pid).get(VARIABLE, ""))))
    grouped = ((pid, cookie) for folder, cookie in _groups_of_the_dead() for pid in cgroup.members(folder))
    found: dict[int, Leftover] = {}
    for pid, cookie in itertools.chain(marked, grouped):
        for member in (pid, *descendants(pid)) if pid != os.getpid() else ():
            leftover = _leftover(member, cookie)
            if leftover is not None and member not in found:
                found[member] = leftover
    return tuple(found.values())


def _of_the_dead(text: str) -> Cookie | None:
    """Return the cookie written as ``text``, when it is one of this PID namespace whose owner is gone."""
    cookie = Cookie.parse(text)
    if cookie is None or cookie.pid_namespace != own_pid_namespace() or cookie.owner_lives():
        return None
    return cookie


def _groups_of_the_dead() -> Iterator[tuple[str, Cookie]]:
    for folder, owner in cgroup.groups():
        if cookie := _of_the_dead(owner):
            yield folder, cookie


def _leftover(pid: int, cookie: Cookie) -> Leftover | None:
    stat = read_stat(pid)
    if stat is None or stat.state in "ZX":
        return None
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    command = arguments.replace(b"\0", b" ").decode("utf-8", "replace").strip()[:_ARGUMENTS_SHOWN]
    return Leftover(pid=pid, start_ticks=stat.start_ticks, owner_pid=cookie.owner_pid, command=command)


def sweep_leftovers(*, timeout_s: float = 5.0) -> tuple[tuple[Leftover, ...], tuple[Leftover, ...]]:
    """Kill leftover processes of dead sessions.

    A session that died this very moment has a guard at work, which gets a second for it.

    Args:
        timeout_s: how long to wait for them to be gone.

    Returns:
        Those that were killed, and those that are still there (of another user, or in the D state).
    """
    deadline_s = time.monotonic() + timeout_s
    seen: dict[tuple[int, int], Leftover] = {}
    patient_until_s = time.monotonic() + _PATIENCE_S
    while any(_GUARD in leftover.command for leftover in find_leftovers()) and time.monotonic() < patient_until_s:
        time.sleep(_PAUSE_S)
    for _ in range(_PASSES):  # what forks while it is looked at is found in the next pass
        found = find_leftovers()
        if not found:
            break
        seen |= {(leftover.pid, leftover.start_ticks): leftover for leftover in found}
        for leftover in found:
            _kill(leftover, deadline_s)
        if time.monotonic() > deadline_s:
            break
    for folder, _cookie in _groups_of_the_dead():
        cgroup.remove(folder)
    left = {(leftover.pid, leftover.start_ticks) for leftover in find_leftovers()} if seen else set()
    killed = tuple(leftover for key, leftover in seen.items() if key not in left)
    return killed, tuple(leftover for key, leftover in seen.items() if key in left)


def _kill(leftover: Leftover, deadline_s: float) -> None:
    """Send SIGKILL to that very process, and wait until it has ended."""
    fd = open_pidfd(leftover.pid)  # holds the process while its start time is read again
    try:
        if not _is_there(leftover):
            return
        if fd >= 0:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            poll.poll(max(0.0, deadline_s - time.monotonic()) * 1e3)
            return
        # Where the kernel or a seccomp filter refuses pidfds, a reused pid within these microseconds is the risk.
        os.kill(leftover.pid, signal.SIGKILL)
        while _is_there(leftover) and time.monotonic() < deadline_s:
            time.sleep(_LOOK_S)
    except (ProcessLookupError, PermissionError):
        return
    finally:
        if fd >= 0:
            os.close(fd)


def _is_there(leftover: Leftover) -> bool:
    stat = read_stat(leftover.pid)
    return stat is not None and stat.start_ticks == leftover.start_ticks and stat.state not in "ZX"
