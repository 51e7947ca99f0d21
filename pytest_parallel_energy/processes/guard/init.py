"""The init, which owns the load's processes: PID 1 of their namespace, else a subreaper.

It starts the load, reaps processes that ended, and kills what a round left behind. It ends with everything below it
when the guard, the owner or the owner's parent is gone, or anything unexpected happens.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable
from typing import Any, NoReturn

from . import cgroup
from .container import Container, clear_shared_memory, furnish_namespace
from .kernel import become_subreaper, set_parent_death_signal
from .killing import kill_below, living_below, reap
from .lines import LineReader, send
from .messages import (
    AnswerScript,
    Freeze,
    InitArmed,
    InitFailed,
    LeaderEnded,
    LeaderStarted,
    Message,
    NothingLeft,
    RemainsFound,
    RemainsKilled,
    RoundEnded,
    RoundRequested,
    StartLeader,
    Terminate,
    Thaw,
)
from .procfs import arguments, descendants
from .spawn import InitPipes, spawn

__all__ = ["Init", "run_init"]

_CLEAN_AT_ONCE_S = 0.5
"""How long the init waits without listening for processes that a round left behind, before it looks now and then."""
_CLEAN_AGAIN_S = 0.05
_WORTH_A_FLAG_S = 2.0
_END_BY_THEMSELVES_S = 0.1
"""Helpers, such as multiprocessing's resource tracker, end a moment after the training that started them."""
_LOOK_S = 0.002
_MOST_REMAINS = 5


def run_init(spec: dict[str, Any], pipes: InitPipes, container: Container) -> NoReturn:
    """Be the init, in the child that the guard forked; never return and never raise.

    Args:
        spec: the owner's specification.
        pipes: its descriptors.
        container: what isolates the processes.
    """
    try:
        init = Init(spec, pipes, container)
        init.prepare()
        init.run()
    except BaseException as error:  # noqa: BLE001 - whatever happened: the processes below must go, and this one too
        send(pipes.reports, InitFailed(reason=f"{type(error).__name__}: {error}"))
    finally:
        if container.kind != "namespace":  # there the kernel does it
            cgroup.kill(container.cgroup)
            kill_below(os.getpid())
            cgroup.remove(container.cgroup)  # the guard may be gone
        os._exit(0)


class Init:
    """One init; see :func:`run_init`.

    Args:
        spec: the owner's specification.
        pipes: its descriptors.
        container: what isolates the processes.
        kill: kills everything below a process, as :func:`kill_below` does.
    """

    def __init__(
        self,
        spec: dict[str, Any],
        pipes: InitPipes,
        container: Container,
        kill: Callable[..., bool] = kill_below,
    ) -> None:
        self._kill = kill
        self._spec = spec
        self._pipes = pipes
        self._container = container
        self._orders = LineReader(pipes.orders)
        self._marks = LineReader(pipes.marks_read)
        self._lifelines = set(pipes.lifelines)
        self._poll = select.poll()
        self._leader = 0
        self._stopping = False
        self._cleaning_since_s: float | None = None
        self._after_cleaning: Message | None = None
        self._reported_remains = False
        self._handlers: dict[type, Callable[[Any], None]] = {
            StartLeader: self._start_leader,
            AnswerScript: self._answer_script,
            Terminate: self._terminate,
            Freeze: lambda _order: self._signal_all(signal.SIGSTOP),
            Thaw: lambda _order: self._signal_all(signal.SIGCONT),
        }

    def prepare(self) -> None:
        """Arm the watches, then furnish the namespace; the guard answers the report with its first order."""
        set_parent_death_signal(signal.SIGKILL if self._container.kind == "namespace" else signal.SIGCONT)
        for fd in self._lifelines:
            self._poll.register(fd, 0 if fd == self._pipes.control else select.POLLIN)
        for fd in (self._pipes.guard, self._pipes.orders, self._pipes.marks_read, self._pipes.wake_read):
            if fd >= 0:
                self._poll.register(fd, select.POLLIN)
        if self._container.kind == "namespace":
            furnish_namespace(writable=self._spec["shared_memory"] == "writable")
            # PID 1 gets only the signals that it handles: the load cannot end its own init.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        else:
            become_subreaper()
        self._report(InitArmed())

    def _report(self, message: Message) -> None:
        if not send(self._pipes.reports, message):
            raise EOFError

    def run(self) -> None:
        """Serve until the guard closes its pipe, or the guard or the owner is gone."""
        while True:
            ready = self._poll.poll(None if self._cleaning_since_s is None else _CLEAN_AGAIN_S * 1e3)
            for fd, event in ready:
                if fd == self._pipes.guard:
                    return
                if fd in self._lifelines:
                    if not self._stopping:
                        return
                    self._poll.unregister(fd)  # an orderly stop has its grace; the guard holds the clock
                elif fd == self._pipes.wake_read:
                    self._take_signals()
                elif fd == self._pipes.marks_read:
                    self._read_marks()
                elif not self._read_orders(event):
                    return
            if self._cleaning_since_s is not None:
                self._clean(_CLEAN_AGAIN_S)

    def _take_signals(self) -> None:
        if signal.SIGTERM in os.read(self._pipes.wake_read, 4096):
            raise SystemExit
        for pid, status in reap():
            if pid == self._leader:
                self._leader = 0
                report = LeaderEnded(code=os.waitstatus_to_exitcode(status), at_s=time.monotonic())
                if self._stopping:  # a stop gives its grace to what the first process left behind
                    self._report(report)
                else:
                    self._clean_then(report)
        if self._stopping and not descendants(os.getpid()):
            self._report(NothingLeft())

    def _clean_then(self, report: Message) -> None:
        """Kill everything but the load's first process, and send ``report`` once that is done."""
        self._report_remains()
        self._cleaning_since_s, self._after_cleaning = time.monotonic(), report
        self._clean(_CLEAN_AT_ONCE_S)

    def _report_remains(self) -> None:
        """Report the processes that outlive the round by more than a moment: they are killed, and may be its work."""
        if self._reported_remains:  # waiting in each round would lower the load's coverage
            return
        deadline_s = time.monotonic() + _END_BY_THEMSELVES_S
        while (left := living_below(os.getpid(), spare=self._leader)) and time.monotonic() < deadline_s:
            time.sleep(_LOOK_S)
        commands = [words for words in map(arguments, left[:_MOST_REMAINS]) if words]
        if commands:
            self._reported_remains = True
            self._report(RemainsFound(commands=commands))

    def _clean(self, patience_s: float) -> None:
        # Between two tries the init listens: processes in the kernel's D state may take minutes to end.
        if not self._kill(os.getpid(), spare=self._leader, deadline_s=time.monotonic() + patience_s):
            return
        if self._container.kind == "namespace":
            clear_shared_memory()
        took_s = time.monotonic() - (self._cleaning_since_s or 0.0)
        if took_s > _WORTH_A_FLAG_S:
            self._report(RemainsKilled(seconds=took_s))
        report, self._after_cleaning, self._cleaning_since_s = self._after_cleaning, None, None
        if isinstance(report, RoundRequested):
            report = RoundRequested(at_s=time.monotonic())
        if report is not None:
            self._report(report)

    def _read_marks(self) -> None:
        for line in self._marks.read_lines():
            word, *numbers = line.decode("ascii", "replace").split()
            if word == "end":
                self._report(RoundEnded(code=int(numbers[1]), at_s=time.monotonic()))
            elif word == "ready":
                self._clean_then(RoundRequested(at_s=time.monotonic()))

    def _read_orders(self, event: int) -> bool:
        orders = self._orders.read()
        for order in orders:
            self._handlers[type(order)](order)
        return not (self._orders.ended or (event & select.POLLHUP and not orders))

    def _start_leader(self, order: StartLeader) -> None:
        self._spec["env"].update(order.env)
        self._leader, reason = spawn(self._spec, self._pipes, self._container.cgroup)
        self._report(LeaderStarted(pid=self._leader, reason=reason, at_s=time.monotonic()))

    def _answer_script(self, order: AnswerScript) -> None:
        os.write(self._pipes.answers_write, order.text.encode() + b"\n")

    def _terminate(self, _order: Terminate) -> None:
        self._stopping = True
        self._cleaning_since_s = None  # what a round left behind gets its grace like the rest
        # Every process, not the group: daemons left it. A stopped process must wake up to hear the signal.
        self._signal_all(signal.SIGTERM)
        self._signal_all(signal.SIGCONT)
        if not descendants(os.getpid()):
            self._report(NothingLeft())

    def _signal_all(self, number: signal.Signals) -> None:
        # A process may end meanwhile, or have taken other rights (setuid): then it is not ours to signal.
        gone_or_foreign = contextlib.suppress(ProcessLookupError, PermissionError)
        if self._container.kind == "namespace":
            with gone_or_foreign:
                os.kill(-1, number)  # kill(2): everything in this namespace but its PID 1, in one go
            return
        for pid in descendants(os.getpid()):
            with gone_or_foreign:
                os.kill(pid, number)
