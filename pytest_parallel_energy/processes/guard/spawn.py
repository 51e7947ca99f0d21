"""Starting the load's first process, from a program that has one thread."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from pathlib import Path
from typing import Any, NoReturn

from . import cgroup
from .kernel import set_parent_death_signal

__all__ = ["spawn"]

# Python ignores the first two; a shell ignores the next two in what it runs with "&"; the guard handles the rest.
_RESTORED = (
    *(signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT),
    *(signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD),
)
_MARKS_FD, _ANSWERS_FD = 3, 4
_CANNOT_EXECUTE = 127


def spawn(spec: dict[str, Any], fds: dict[str, int], group: str) -> tuple[int, str]:
    """Start ``spec``'s command in its own session.

    Args:
        spec: ``argv cwd env oom_score_adj max_processes``, and ``marks``: whether it is a loop script.
        fds: ``output`` (its standard output and error), ``marks`` and ``answers``, each 10 or more.
        group: folder of the cgroup to join, empty for none.

    Returns:
        The pid, and an empty string or why the command could not be executed; then the pid is 0.
    """
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _become(spec, fds, group)
        except BaseException as error:  # noqa: BLE001 - a forked child must never return into its parent's program
            os.write(write, str(getattr(error, "strerror", None) or error).encode())
        os._exit(_CANNOT_EXECUTE)
    os.close(write)
    with os.fdopen(read, "rb") as answer:
        reason = answer.read().decode()
    if reason:
        os.waitpid(pid, 0)
        return 0, reason
    return pid, ""


def _become(spec: dict[str, Any], fds: dict[str, int], group: str) -> NoReturn:
    signal.set_wakeup_fd(-1)
    for number in _RESTORED:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.setsid()
    set_parent_death_signal(signal.SIGKILL)
    if group:
        cgroup.join(group)
    _set_limits(spec)
    os.chdir(spec["cwd"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(fds["output"], 1)
    os.dup2(fds["output"], 2)
    if spec["marks"]:
        os.dup2(fds["marks"], _MARKS_FD)
        os.dup2(fds["answers"], _ANSWERS_FD)
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
    # Descriptors that we opened close on exec; this is for those that somebody let us inherit.
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are wanted, not paths
        if int(name) > last:
            with contextlib.suppress(OSError):  # the one that listed the folder
                os.set_inheritable(int(name), False)
