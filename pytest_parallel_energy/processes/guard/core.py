"""The guard: one loop over the owner, the init, the load's output and the clock."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from . import cgroup
from .container import Container, choose
from .init_link import InitLink
from .kernel import become_subreaper, make_high, restore_signals, set_parent_death_signal
from .killing import kill_below, stuck
from .launch import wake_pipe
from .messages import (
    FreezeBatch,
    InitArmed,
    InitFailed,
    LeaderEnded,
    LeaderStarted,
    LoadEnded,
    LoadStarted,
    Message,
    NothingLeft,
    RemainsFound,
    RemainsKilled,
    RoundEnded,
    RoundRequested,
    Start,
    StartFailed,
    StartLeader,
    StatusAnswer,
    StatusRequest,
    Stop,
    Terminate,
)
from .owner_link import OwnerLink
from .round_control import RoundControl
from .watches import Deadlines, Watches

__all__ = ["Guard", "main"]

_STUCK_AFTER_S = 5.0


class OwnerGoneError(Exception):
    """The owner, or its parent under xdist, is gone; or the guard got SIGTERM."""


def main(arguments: list[str]) -> int:
    """Run one guard with the descriptors named by ``arguments``: control, events, and pidfds to watch."""
    # A write to a closed pipe, or beyond a limit on the size of files, must be an error and not the guard's end.
    restore_signals(but=frozenset({signal.SIGPIPE, signal.SIGXFSZ}))
    control, events, *pidfds = (make_high(int(fd)) for fd in arguments)
    guard = Guard(control, events, pidfds)
    try:
        guard.run()
    except OwnerGoneError:
        guard.stopped = "forced"
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the guard: kill, and say what it was
        guard.fail(f"its guard failed: {type(error).__name__}: {error}")
    finally:
        guard.finish()
    return 0


class Guard:
    """One guard, for one load.

    Args:
        control: pipe from the owner: specification, then requests; its end means that the owner is gone.
        events: pipe to the owner.
        pidfds: a readable one means that the owner is gone.
    """

    def __init__(self, control: int, events: int, pidfds: list[int]) -> None:
        # A guard that a signal stopped wakes up when its owner's thread ends; for one that runs this means nothing.
        set_parent_death_signal(signal.SIGCONT)
        become_subreaper()
        self.stopped = "exited"
        self._watches = Watches()
        self._deadlines = Deadlines()
        self._owner = OwnerLink(control, events, pidfds, self._watches, self._lose_owner)
        self._owner.handlers = {
            Start: self._start,
            StatusRequest: self._answer_status,
            FreezeBatch: self._freeze_batch,
            Stop: self._stop,
        }
        self._wake_read = self._watch_signals()
        self._spec: dict[str, Any] = {}
        self._container = Container(kind="none")
        self._init: InitLink | None = None
        self._rounds: RoundControl | None = None
        self._ended_s: float | None = None
        self._code: int | None = None
        self._flags: list[str] = []
        self._stopping = False
        self._done = False

    def _watch_signals(self) -> int:
        wake_read, wake = wake_pipe()
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        self._watches.add(wake_read, self._take_signals)
        return wake_read

    def run(self) -> None:
        """Serve until the load has ended or was stopped.

        Raises:
            OwnerGoneError: everything must be killed at once.
        """
        while not self._done:
            self._watches.wait(self._deadlines.timeout_ms())
            self._deadlines.run_due()

    # --- the owner ------------------------------------------------------------------------------------------------

    def _take_signals(self) -> None:
        if signal.SIGTERM in os.read(self._wake_read, 4096):
            raise OwnerGoneError

    def _lose_owner(self) -> None:
        if not self._stopping:  # after an orderly stop the grace that the owner gave is kept
            raise OwnerGoneError

    def _start(self, request: Start) -> None:
        self._spec = request.spec
        try:
            self._container = choose(self._spec["container"], self._spec["owner"])
        except OSError as error:
            self.fail(f"the container {self._spec['container']!r} cannot be had here: {error.strerror or error}")
            return
        init = self._init = InitLink(self._spec, self._owner, self._container)
        init.handlers = {
            InitArmed: self._start_leader,
            LeaderStarted: self._note_start,
            RoundRequested: lambda report: rounds.request(report.at_s),
            RoundEnded: lambda report: rounds.end(report.at_s, report.code),
            LeaderEnded: self._note_leader_end,
            RemainsFound: lambda report: rounds.note_left_running(report.commands),
            RemainsKilled: self._note_remains,
            NothingLeft: self._finish_stop,
            InitFailed: lambda report: self.fail(report.reason),
        }
        rounds = self._rounds = RoundControl(self._spec, init, self._owner, self._deadlines, self._order)
        self._watches.add(init.reports_fd, self._read_reports)
        self._watches.add(init.output, rounds.move_output)
        if self._spec["lifetime_s"] is not None:
            self._deadlines.set(self._end_lifetime, time.monotonic() + self._spec["lifetime_s"])

    def _answer_status(self, request: StatusRequest) -> None:
        figures = self._figures()
        if figures is not None:
            if not request.spans:
                figures["spans_s"] = []  # long, and seldom asked for
            self._owner.send(StatusAnswer(id=request.id, figures=figures))

    def _freeze_batch(self, _request: FreezeBatch) -> None:
        if self._rounds is not None:
            self._rounds.freeze_batch()

    def _stop(self, request: Stop) -> None:
        self._stopping = True
        self.stopped = "graceful"
        self._deadlines.clear()
        if self._rounds is None:
            self._done = True
            return
        self._rounds.stop()
        self._deadlines.set(self._end_grace, time.monotonic() + request.grace_s)
        self._order(Terminate())

    def fail(self, reason: str) -> None:
        """Tell the owner why the guard cannot continue, and end."""
        self._flags.append(reason)
        self._owner.send(StartFailed(reason=reason))
        self._done = True

    # --- the init -------------------------------------------------------------------------------------------------

    def _order(self, order: Message) -> None:
        if self._init is None or not self._init.order(order):
            self._flags.append("the init was gone before its order")
            self._done = True

    def _read_reports(self) -> None:
        if self._init is not None and not self._init.read():
            self._flags.append("the process that held the load ended unexpectedly")
            self._done = True

    def _start_leader(self, _cause: object = None) -> None:
        if self._rounds is not None:
            self._rounds.open_log()
            self._order(StartLeader(env={"PARALLEL_ENERGY_ROUND": str(self._rounds.number)}))

    def _note_start(self, report: LeaderStarted) -> None:
        if report.reason:
            self.fail(report.reason)
            return
        if self._init is None or self._rounds is None:
            return
        self._rounds.leader_pid = self._init.outer_pid(report.pid)
        if self._rounds.started_s is None:
            self._rounds.started_s = report.at_s
            self._owner.send(
                LoadStarted(
                    pid=self._rounds.leader_pid,
                    init=self._init.pid,
                    container=self._container.kind,
                    refused=self._container.refused,
                )
            )
        if not self._spec["marks"]:
            self._rounds.begin(report.at_s)

    def _note_leader_end(self, report: LeaderEnded) -> None:
        """Note the end of the load's first process: the training itself, or the loop script, which should not end."""
        if self._rounds is None:
            return
        self._rounds.end(report.at_s, report.code)
        self._rounds.cancel_request()
        self._code = report.code
        if self._stopping:
            return
        if not self._spec["marks"]:
            self._ended_s = report.at_s
            self._done = True
            return
        self._flags.append(f"the loop script ended with {report.code}, and was started again")
        delay_s = self._rounds.restart_delay_s(self._spec["rounds"]["backoff_s"])
        self._deadlines.set(self._start_leader, report.at_s + delay_s)

    def _note_remains(self, report: RemainsKilled) -> None:
        self._flags.append(f"processes that a round left behind took {report.seconds:.1f} s to end after SIGKILL")

    def _finish_stop(self, _report: NothingLeft) -> None:
        self._done = True

    # --- the clock ------------------------------------------------------------------------------------------------

    def _end_grace(self, _now_s: float) -> None:
        if self._init is not None:
            self._init.keep_cpu()
        self.stopped = "forced"
        self._done = True

    def _end_lifetime(self, _now_s: float) -> None:
        self._flags.append("the load reached its longest lifetime")
        raise OwnerGoneError

    # --- figures and the end --------------------------------------------------------------------------------------

    def _figures(self) -> dict[str, Any] | None:
        if self._rounds is None:
            return None
        return {**self._rounds.figures(), "flags": [*self._flags, *self._rounds.problems()]}

    def finish(self) -> None:
        """Kill what is left, and only then write: the log's tail, and what happened to the owner."""
        clean = self._kill_all()
        seconds = None
        if self._rounds is not None:
            self._rounds.logs.pump.drain()
            if self._rounds.started_s is not None:
                seconds = (self._ended_s or time.monotonic()) - self._rounds.started_s
        figures = self._figures()
        if self._rounds is not None and figures is not None:
            self._rounds.logs.close()
            figures |= {"pids": [], "lost_log_bytes": self._rounds.logs.lost_bytes}  # closing writes the log's tail
        self._owner.send(
            LoadEnded(
                code=self._code,
                stopped=self.stopped,
                seconds=seconds,
                container=self._container.kind,
                stuck=[] if clean else stuck(os.getpid()),
                flags=self._flags if figures is None else figures["flags"],
                figures=figures,
            )
        )
        self._owner.flush_all()
        while not clean:
            clean = self._kill_all()
        cgroup.remove(self._container.cgroup)

    def _kill_all(self) -> bool:
        cgroup.kill(self._container.cgroup)
        return kill_below(os.getpid(), deadline_s=time.monotonic() + _STUCK_AFTER_S)
