"""Loads that misbehave on request: for tests of their supervisor.

``python -I -S misbehaving.py KIND TOKEN`` runs one; ``TOKEN`` stands in each process's arguments, so that a test finds
what is left. Everything here is bounded: the worst is a few hundred processes.

>>> sorted(MISBEHAVING)[:3]
['backtrack', 'chain-fork', 'crash']
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

__all__ = ["MISBEHAVING", "misbehaving_argv"]

_LONG_S = 600.0
_BOMB = 150
_TREE = 10
_ZOMBIES = 40
_PR_SET_CHILD_SUBREAPER = 36
_CLONE_NEWUSER, _CLONE_NEWPID = 0x1000_0000, 0x2000_0000


def misbehaving_argv(kind: str, token: str) -> tuple[str, ...]:
    """Return the arguments that run the load ``kind``.

    Args:
        kind: a key of :data:`MISBEHAVING`.
        token: a word that no other process on the machine has in its arguments.

    Raises:
        KeyError: there is no such kind.
    """
    if kind not in MISBEHAVING:
        raise KeyError(kind)
    return (sys.executable, "-I", "-S", str(Path(__file__)), kind, token)


def _sleep() -> NoReturn:
    """Stay for ten minutes, and start again when a signal ends the sleep early."""
    deadline_s = time.monotonic() + _LONG_S
    while time.monotonic() < deadline_s:
        time.sleep(1)
    os._exit(0)


def _fork_sleeper() -> int:
    pid = os.fork()
    if pid == 0:
        _sleep()
    return pid


def _again_as_sleeper(environment: dict[str, str]) -> NoReturn:
    arguments = [sys.executable, "-I", "-S", __file__, "sleep", sys.argv[2]]
    os.execve(sys.executable, arguments, environment)  # noqa: S606 - an argument list, by design without a shell


def _daemon(*, environment: bool) -> None:
    """Fork twice, own session, no descriptor kept; then, to lose the environment, a new program without any."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        os.closerange(0, 256)
        if not environment:
            _again_as_sleeper({})
        _sleep()
    os.wait()


def _plain() -> None:
    """Work on one core."""
    deadline_s = time.monotonic() + _LONG_S
    while time.monotonic() < deadline_s:
        sum(range(10_000))


def _own_group() -> None:
    """Lead a process group of its own, as job control and many launchers do, with one child in it."""
    os.setpgrp()
    _fork_sleeper()
    _sleep()


def _backtrack() -> None:
    """Print lines on which a pattern such as ``^(a+)+$`` takes for ever."""
    deadline_s = time.monotonic() + _LONG_S
    while time.monotonic() < deadline_s:
        os.write(1, b"a" * 40 + b"b\n")
        time.sleep(0.01)


def _tree() -> None:
    """Start ten processes, each the child of the previous one."""
    for _ in range(_TREE):
        if os.fork() != 0:
            break
    _sleep()


def _ignore_signals() -> None:
    """Ignore each signal that can be ignored."""
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    _sleep()


def _daemonise() -> None:
    """Leave a daemon in its own session."""
    _daemon(environment=True)
    _sleep()


def _daemonise_bare() -> None:
    """Leave a daemon in its own session with an empty environment."""
    _daemon(environment=False)
    _sleep()


def _leader_gone() -> None:
    """Leave three daemons and end."""
    for _ in range(3):
        _daemon(environment=True)
    time.sleep(0.2)


def _stopped() -> None:
    """Stop itself, and a child in another session."""
    if os.fork() == 0:
        os.setsid()
        os.kill(os.getpid(), signal.SIGSTOP)
        _sleep()
    os.kill(os.getpid(), signal.SIGSTOP)
    _sleep()


def _zombies() -> None:
    """Leave forty children that ended and are never waited for."""
    for _ in range(_ZOMBIES):
        if os.fork() == 0:
            os._exit(0)
    _sleep()


def _vfork() -> None:
    """Wait in vfork: uninterruptible (state D) until the child goes on."""
    libc = ctypes.CDLL(None)
    # The child sleeps inside the parent's memory; the parent's state is D as long as that lasts.
    if libc.vfork() == 0:
        libc.sleep(int(_LONG_S))
        libc.abort()
    _sleep()


def _own_namespace() -> None:
    """Work inside a PID namespace of its own; without the right to, as a tree."""
    libc = ctypes.CDLL(None)
    if libc.unshare(_CLONE_NEWPID) != 0:
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWPID)
    if os.fork() == 0:
        _fork_sleeper()
        _sleep()
    _sleep()


def _own_subreaper() -> None:
    """Keep orphans to itself."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _daemon(environment=True)
    _fork_sleeper()
    _sleep()


def _bomb() -> None:
    """Start 150 processes in one group."""
    for _ in range(_BOMB):
        _fork_sleeper()
    _sleep()


def _setsid_bomb() -> None:
    """Start 150 processes, each in its own session."""
    for _ in range(_BOMB):
        if os.fork() == 0:
            os.setsid()
            _sleep()
    _sleep()


def _chain_fork() -> None:
    """Fork, leave the session, end: on and on, so that no pid stays; ten minutes at most."""
    deadline_s = time.monotonic() + _LONG_S
    if os.fork() == 0:
        while time.monotonic() < deadline_s:
            os.setsid()
            if os.fork() != 0:
                os._exit(0)
    _sleep()


def _memory() -> None:
    """Keep 256 MiB resident, or as many MiB as the variable LOAD_MEMORY_MIB says."""
    block = bytearray(int(os.environ.get("LOAD_MEMORY_MIB", "256")) << 20)
    for start in range(0, len(block), 4096):
        block[start] = 1
    _sleep()


def _flood() -> None:
    """Print as fast as the reader takes it."""
    block = b"x" * 127 + b"\n"
    block *= 8192
    deadline_s = time.monotonic() + _LONG_S
    while time.monotonic() < deadline_s:
        os.write(1, block)


def _crash() -> None:
    """Work for a tenth of a second, then end with exit code 7."""
    deadline_s = time.monotonic() + 0.1
    while time.monotonic() < deadline_s:
        sum(range(1000))
    sys.stderr.write("something went wrong\n")
    sys.exit(7)


def _exit_at_once() -> None:
    """Succeed without having done anything."""


def _retitle() -> None:
    """Overwrite its arguments and environment, as setproctitle does."""
    stat = Path("/proc/self/stat").read_bytes().split()
    start, end = int(stat[49]), int(stat[50])  # env_start and env_end: fields 50 and 51 of proc_pid_stat(5)
    ctypes.memset(start, 0, end - start)
    _sleep()


def _shared_memory() -> None:
    """Leave POSIX shared memory behind, named after the token."""
    Path("/dev/shm", sys.argv[2]).write_bytes(b"x" * 4096)  # noqa: S108 - shared memory is the point
    _sleep()


def _kill_parent() -> None:
    """Kill its parent, and its own group's other members."""
    os.kill(os.getppid(), signal.SIGKILL)
    _sleep()


def _keep_descriptors() -> None:
    """Hold on to each descriptor it was given, in a daemon."""
    if os.fork() == 0:
        os.setsid()
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are wanted, not paths
            with contextlib.suppress(OSError):  # the one that listed the folder
                fcntl.fcntl(int(name), fcntl.F_SETFD, 0)
        _again_as_sleeper(dict(os.environ))
    _sleep()


MISBEHAVING: Mapping[str, Callable[[], None]] = {
    "plain": _plain,
    "sleep": _sleep,
    "tree": _tree,
    "ignore-signals": _ignore_signals,
    "daemon": _daemonise,
    "daemon-bare": _daemonise_bare,
    "leader-gone": _leader_gone,
    "stopped": _stopped,
    "zombies": _zombies,
    "vfork": _vfork,
    "own-namespace": _own_namespace,
    "own-subreaper": _own_subreaper,
    "bomb": _bomb,
    "setsid-bomb": _setsid_bomb,
    "chain-fork": _chain_fork,
    "memory": _memory,
    "flood": _flood,
    "crash": _crash,
    "exit-at-once": _exit_at_once,
    "retitle": _retitle,
    "shared-memory": _shared_memory,
    "kill-parent": _kill_parent,
    "keep-descriptors": _keep_descriptors,
    "own-group": _own_group,
    "backtrack": _backtrack,
}
"""Each kind with the function that is it; the first line of its docstring says what it does."""


if __name__ == "__main__":
    MISBEHAVING[sys.argv[1]]()
