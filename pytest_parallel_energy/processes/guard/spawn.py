"""Start of the load's first process, from a program that has one thread."""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import signal
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from . import cgroup
from .kernel import restore_signals, set_parent_death_signal

__all__ = ["InitPipes", "spawn"]

_MARKS_FD, _ANSWERS_FD = 3, 4
_CANNOT_EXECUTE = 127
_PID = struct.Struct("i")


class InitPipes:
    """The descriptors of an init; each is 10 or more.

    Args:
        control: the owner's pipe, watched only.
        guard: a pidfd of the guard, −1 where the kernel refuses one; the end of ``orders`` then says the same.
        lifelines: descriptors whose hang-up or readability means that the owner is gone.
    """

    def __init__(self, *, control: int, guard: int, lifelines: list[int], orders: int, reports: int) -> None:
        self.control, self.guard, self.lifelines = control, guard, lifelines
        self.orders, self.reports = orders, reports
        self.wake_read = self.output = -1
        self.marks_read = self.marks = self.answers = self.answers_write = -1


def spawn(spec: dict[str, Any], pipes: InitPipes, group: str) -> tuple[int, str]:
    """Start ``spec``'s command in a session and a process group of its own.

    The command leads neither of them: their leader is a process that has ended. A training may therefore call
    ``os.setpgrp()`` and ``os.setsid()``, which the kernel refuses to leaders (setpgid(2), setsid(2)).

    Args:
        spec: ``argv cwd env oom_score_adj max_processes``; ``marks``: whether it is a loop script; ``group``: the
            process group of a command that keeps the owner's session and standard streams, 0 for all others.
        pipes: ``output`` becomes its standard output and error; a loop script gets ``marks`` and ``answers``.
        group: folder of the cgroup to join, empty for none.

    Returns:
        The pid, and an empty string or why the command could not be executed; then the pid is 0.
    """
    read, write = os.pipe()
    go, go_write = os.pipe()
    leader = os.fork()
    if leader == 0:
        os.close(go_write)
        _lead(write, go, functools.partial(_become, spec, pipes, group), own_session=not spec["group"])
    os.close(write)
    os.close(go)
    _, status = os.waitpid(leader, 0)
    os.close(go_write)  # from now on the command's parent is this process: it may begin
    with os.fdopen(read, "rb") as answer:
        text = answer.read()
    if status:
        return 0, text.decode("utf-8", "replace") or f"its first process ended with wait status {status}"
    (pid,), reason = _PID.unpack(text[: _PID.size]), text[_PID.size :].decode("utf-8", "replace")
    if reason:
        os.waitpid(pid, 0)
        return 0, reason
    return pid, ""


def _lead(answer: int, go: int, become: Callable[[], NoReturn], *, own_session: bool) -> NoReturn:
    """Lead a new session, fork the command into it, and end; the answer is the command's pid, or a reason."""
    status = _CANNOT_EXECUTE
    try:
        signal.set_wakeup_fd(-1)  # the init's: a signal that arrives here is not for the init
        if own_session:
            os.setsid()
        pid = os.fork()
        if pid == 0:
            os.read(go, 1)
            become()
        os.write(answer, _PID.pack(pid))
        status = 0
    except BaseException as error:  # noqa: BLE001 - a forked child must never return into its parent's program
        os.write(answer, str(getattr(error, "strerror", None) or error).encode())
    os._exit(status)


def _become(spec: dict[str, Any], pipes: InitPipes, group: str) -> NoReturn:
    restore_signals()
    set_parent_death_signal(signal.SIGKILL)
    if group:
        cgroup.join(group)
    _set_limits(spec)
    os.chdir(spec["cwd"])
    if spec["group"]:
        os.setpgid(0, spec["group"])
    else:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(pipes.output, 1)
        os.dup2(pipes.output, 2)
    if spec["marks"]:
        os.dup2(pipes.marks, _MARKS_FD)
        os.dup2(pipes.answers, _ANSWERS_FD)
    _close_inheritable(2 if not spec["marks"] else _ANSWERS_FD)
    os.execvpe(spec["argv"][0], spec["argv"], spec["env"])  # noqa: S606 - an argument list, by design without a shell


def _set_limits(spec: dict[str, Any]) -> None:
    if spec["oom_score_adj"]:
        with contextlib.suppress(OSError):  # the load runs as well with the score it inherited
            Path("/proc/self/oom_score_adj").write_text(str(spec["oom_score_adj"]), encoding="ascii")
    if spec["max_processes"]:
        hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
        limit = spec["max_processes"] if hard == resource.RLIM_INFINITY else min(spec["max_processes"], hard)
        resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))


def _close_inheritable(last: int) -> None:
    # Descriptors that the guard opened close on exec; these are those that the owner let it inherit.
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are wanted, not paths
        if int(name) > last:
            with contextlib.suppress(OSError):  # the one that listed the folder
                os.set_inheritable(int(name), False)
