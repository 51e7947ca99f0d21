"""From the guard to a running init: pipes, the namespace, the fork, and what the guard holds of it afterwards."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
from typing import Any, NamedTuple

from .container import Container, enter_namespace
from .init import run_init
from .kernel import make_high, set_parent_death_signal

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
    """Both ends of a pipe into which Python writes the numbers of signals that arrive."""
    read, write = (make_high(fd) for fd in os.pipe())
    for fd in (read, write):
        os.set_blocking(fd, False)
    return read, write


def launch(spec: dict[str, Any], control: int, watched: list[int], container: Container) -> Launched:
    """Fork the init into its container.

    Args:
        spec: the guard's specification.
        control: the read end of the owner's pipe.
        watched: pidfds whose readability means that the owner is gone.
        container: what was chosen.

    Raises:
        OSError: the namespace, which worked a moment ago, is refused.
    """
    guard = make_high(os.pidfd_open(os.getpid()))
    orders, orders_write = (make_high(fd) for fd in os.pipe())
    reports, reports_write = (make_high(fd) for fd in os.pipe())
    output, output_write = (make_high(fd) for fd in os.pipe())
    with contextlib.suppress(OSError):  # a user's pipe budget is spent: the default size works as well
        fcntl.fcntl(output, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    if container.kind == "namespace":
        enter_namespace(user=container.user_namespace)
        set_parent_death_signal(signal.SIGCONT)  # new credentials may have cleared it
    pid = os.fork()
    if pid == 0:
        for fd in (orders_write, reports, output):
            os.close(fd)
        marks_read, marks = (make_high(fd) for fd in os.pipe())
        answers, answers_write = (make_high(fd) for fd in os.pipe())
        wake_read, wake = wake_pipe()
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        run_init(
            spec,
            {
                "control": control,
                "guard": guard,
                "orders": orders,
                "reports": reports_write,
                "output": output_write,
                "marks_read": marks_read,
                "marks": marks,
                "answers": answers,
                "answers_write": answers_write,
                "wake_read": wake_read,
            },
            [control, *watched],
            container,
        )
    for fd in (guard, orders, reports_write, output_write):
        os.close(fd)
    return Launched(pid=pid, orders=orders_write, reports=reports, output=output)
