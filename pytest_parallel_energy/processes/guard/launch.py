"""Launch of an init: its pipes, the namespace, the fork, and what the guard holds of it afterwards."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
from typing import Any, NamedTuple

from .container import Container, enter_namespace
from .init import run_init
from .kernel import make_high, open_pidfd, set_parent_death_signal
from .spawn import InitPipes

__all__ = ["Launched", "launch", "wake_pipe"]

_PIPE_BYTES = 1 << 20  # the most that an ordinary user may ask for (pipe(7), pipe-max-size)


class Launched(NamedTuple):
    """A running init, as the guard sees it."""

    pid: int
    orders: int
    """Written by the guard; its end is the init's end."""
    reports: int
    output: int
    """What the load prints."""


def wake_pipe() -> tuple[int, int]:
    """Return both ends of a pipe into which Python can write the numbers of signals that arrive."""
    read, write = _high_pipe()
    for fd in (read, write):
        os.set_blocking(fd, False)
    return read, write


def _high_pipe() -> tuple[int, int]:
    read, write = os.pipe()
    return make_high(read), make_high(write)


def launch(spec: dict[str, Any], control: int, pidfds: list[int], container: Container) -> Launched:
    """Fork the init into its container.

    Args:
        spec: the owner's specification.
        control: the read end of the owner's pipe.
        pidfds: descriptors whose readability means that the owner is gone.
        container: what was chosen.

    Raises:
        OSError: the namespace, which worked a moment ago, is refused.
    """
    guard = open_pidfd(os.getpid())
    guard = make_high(guard) if guard >= 0 else guard
    orders, orders_write = _high_pipe()
    reports, reports_write = _high_pipe()
    output, output_write = _high_pipe()
    with contextlib.suppress(OSError):  # a user's pipe budget is spent: the default size works as well
        fcntl.fcntl(output, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    if container.kind == "namespace":
        enter_namespace(user=container.user_namespace)
        set_parent_death_signal(signal.SIGCONT)  # new credentials may have cleared it
    pid = os.fork()
    if pid == 0:
        for fd in (orders_write, reports, output):
            os.close(fd)
        lifelines = [control, *pidfds]
        pipes = InitPipes(control=control, guard=guard, lifelines=lifelines, orders=orders, reports=reports_write)
        pipes.output = output_write
        pipes.marks_read, pipes.marks = _high_pipe()
        pipes.answers, pipes.answers_write = _high_pipe()
        pipes.wake_read, wake = wake_pipe()
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        run_init(spec, pipes, container)
    for fd in (guard, orders, reports_write, output_write):
        if fd >= 0:
            os.close(fd)
    return Launched(pid=pid, orders=orders_write, reports=reports, output=output)
