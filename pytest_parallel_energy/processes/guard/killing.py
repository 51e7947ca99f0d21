"""Kill everything below a process, and make sure that it is gone."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from .procfs import descendants, read_stat

__all__ = ["has_children", "kill_below", "living_below", "reap", "stuck"]

_PAUSE_S = 0.001
_LONG_PAUSE_S = 0.05


def kill_below(pid: int, *, spare: int = 0, deadline_s: float | None = None) -> bool:
    """Send SIGKILL to everything below ``pid``, again and again until nothing is left.

    ``pid`` is this process, a subreaper or PID 1: whatever is orphaned by a kill comes back below it, so that the loop
    ends. The dead are reaped here.

    Args:
        pid: this process.
        spare: a child that stays (the loop script), 0 for none.
        deadline_s: on the monotonic clock; ``None`` waits as long as it takes.

    Returns:
        Whether all are gone; ``False`` only after the deadline.
    """
    began_s = time.monotonic()
    while True:
        living = living_below(pid, spare=spare)
        if not living and (spare or not has_children()):
            return True
        for other in living:
            _kill(other)
        now_s = time.monotonic()
        if deadline_s is not None and now_s > deadline_s:
            return False
        if living:
            time.sleep(_PAUSE_S if now_s - began_s < 1 else _LONG_PAUSE_S)
        if not spare:
            reap()


def living_below(pid: int, *, spare: int = 0) -> list[int]:
    """Return the processes below ``pid`` that have not ended, without ``spare``."""
    return [other for other in descendants(pid) if other != spare and _is_killable(other)]


def _is_killable(pid: int) -> bool:
    stat = read_stat(pid)
    return stat is not None and stat.state not in "ZX"


def _kill(pid: int) -> None:
    # Gone already; or it took other rights (setuid), and stays in the list of what is left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def reap() -> list[tuple[int, int]]:
    """Collect children that ended; return pairs of pid and wait status."""
    dead: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return dead
        if pid == 0:
            return dead
        dead.append((pid, status))


def has_children() -> bool:
    """Return whether this process has children, living or not waited for."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def stuck(pid: int) -> list[str]:
    """Describe the processes that are left below ``pid``: pid, state, and what each waits for in the kernel.

    A process that took the rights of another user cannot be killed by this one; its user is named instead.
    """
    found = []
    for other in descendants(pid):
        stat = read_stat(other)
        if stat is not None and stat.state not in "ZX":
            user = _foreign_user(other)
            if user is None:
                found.append(f"pid {other} state {stat.state} in {_waits_in(other)}")
            else:
                found.append(f"pid {other} belongs to user {user}, and this user may not kill it")
    return found


def _foreign_user(pid: int) -> int | None:
    try:
        os.kill(pid, 0)
    except PermissionError:
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}").stat().st_uid
    except ProcessLookupError:
        pass
    return None


def _waits_in(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/wchan").read_text(encoding="ascii")
    except OSError:
        return "?"
