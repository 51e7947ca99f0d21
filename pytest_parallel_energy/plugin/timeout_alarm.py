"""The timeout of an experiment by a signal, without the stacks of this plugin's own threads."""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from typing import Any

import pytest

__all__ = ["set_alarm"]

_OWN_THREADS = ("energy-", "sensor-")
"""The beginnings of the names of this plugin's threads: sampler, heartbeat, live line, guarded sensors."""


def set_alarm(item: pytest.Item, settings: Any) -> bool:
    """Fail the test after its timeout, as pytest-timeout's signal method does, and return ``True``: the timer is set.

    pytest-timeout's own function prints the stacks of all other threads. With a sampler, a heartbeat and a live line
    these are pages of waiting threads above the one line that says where the test was. Threads of the test itself are
    still shown.

    Args:
        item: the test; pytest-timeout cancels the timer by its attribute ``cancel_timeout``.
        settings: pytest-timeout's.
    """
    from pytest_timeout import is_debugging  # type: ignore[import-untyped]

    def fail(_number: int, _frame: object) -> None:
        __tracebackhide__ = True
        if not settings.disable_debugger_detection and is_debugging():
            return
        _print_stacks(item.config.get_terminal_writer())
        pytest.fail(f"Timeout (>{settings.timeout}s) from pytest-timeout.")

    def cancel() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)

    item.cancel_timeout = cancel  # type: ignore[attr-defined]
    signal.signal(signal.SIGALRM, fail)
    signal.setitimer(signal.ITIMER_REAL, settings.timeout)
    return True


def _print_stacks(writer: Any) -> None:
    """Print the stack of each thread that the test started."""
    frames = sys._current_frames()  # noqa: SLF001 - documented, and the only way to the stacks of other threads
    own = {threading.get_ident()}
    for thread in threading.enumerate():
        if thread.ident in own or thread.ident not in frames or thread.name.startswith(_OWN_THREADS):
            continue
        writer.sep("~", title=f"Stack of {thread.name} ({thread.ident})")
        writer.write("".join(traceback.format_stack(frames[thread.ident])))
