"""The owner's side of a supervised child.

::

    with start_supervised(Command(argv=("train", "--lr", "0.1")), Supervision(log=folder / "training.log")) as child:
        outcome = child.wait(3600) or child.stop()
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..errors import ProcessError
from .command import Command
from .cookie import Cookie
from .guard.messages import (
    BecameReady,
    FreezeBatch,
    LoadEnded,
    LoadStarted,
    LoopsInVain,
    Start,
    StartFailed,
    StatusAnswer,
    StatusRequest,
    Stop,
)
from .guard_link import GuardLink, check_proc
from .outcome import GuardStatus, Outcome, Stopped
from .rules import Supervision
from .specification import guard_specification

__all__ = ["Supervised", "start_supervised"]

_START_TIMEOUT_S = 30.0
_ANSWER_TIMEOUT_S = 10.0
_STUCK_S = 5.0
_SLICE_S = 1.0


def start_supervised(command: Command, supervision: Supervision | None = None) -> Supervised:
    """Start a command that ends, with everything it starts, at the latest when this process ends.

    Side effects: one guard process (own session, about 10 MB) and one init process besides the command; the command
    runs in its own session, with ``/dev/null`` as standard input, unless the rules give it the terminal.

    Raises:
        ProcessError: this is not Linux, or ``/proc`` is missing; or the command cannot be executed; or its folder, its
            log's folder or the requested container is not available. Nothing is left running then.
        ConfigError: ``PYTEST_ENERGY_SHARED_MEMORY`` is neither ``read-only`` nor ``writable``.
    """
    supervision = supervision or Supervision()
    if sys.platform != "linux":
        raise ProcessError(f"supervised processes need Linux; this is {sys.platform}")
    check_proc()
    cwd = (command.cwd or Path.cwd()).absolute()
    if not cwd.is_dir():
        raise ProcessError(f"the command {command.shell_line()!r} cannot run in {str(cwd)!r}: there is no such folder")
    if supervision.log is not None:
        folder = supervision.log if supervision.rounds else supervision.log.parent
        if not folder.is_dir():
            raise ProcessError(f"the log cannot be written to {str(folder)!r}: there is no such folder")
    child = Supervised(command, supervision, cwd)
    try:
        child.await_start()
    except BaseException:
        child.abandon()
        raise
    return child


class Supervised:
    """One supervised child; made by :func:`start_supervised`. Safe to use from several threads.

    In a fork of the owner it does nothing: only the process that started a child may stop it.
    """

    STOP_MARGIN_S = 6.0
    """Seconds that a stop may take beyond its grace before the guard itself is killed."""

    def __init__(self, command: Command, supervision: Supervision, cwd: Path) -> None:
        self.command = command
        self.supervision = supervision
        self.pid: int | None = None
        """The command's pid; ``None`` when it ended before the guard could see it."""
        self.init_pid: int | None = None
        """Pid of the process that holds the command's."""
        self.container = ""
        """What isolates its processes: ``namespace``, ``cgroup`` or ``subreaper``."""
        self.refused: tuple[str, ...] = ()
        """Why a better container is not available."""
        self.ready_s: float | None = None
        """Seconds from the start until it was ready; ``None`` before."""
        self.vain: str | None = None
        """Why it loops in vain, with the tail of its log; ``None`` while it does not."""
        self.outcome: Outcome | None = None
        """How it ended; ``None`` before."""
        self._owner_pid = os.getpid()
        self._lock = threading.RLock()
        self._failure = ""
        self._answers: dict[int, dict[str, Any]] = {}
        self._question = 0
        self._forced = False
        self._began_s = time.monotonic()
        self._handlers: dict[type, Callable[[Any], None]] = {
            LoadStarted: self._take_start,
            StartFailed: self._take_failure,
            BecameReady: self._take_ready,
            LoopsInVain: self._take_vain,
            StatusAnswer: self._take_answer,
            LoadEnded: self._take_end,
        }
        cookie = Cookie.mine()
        spec = guard_specification(command, supervision, cwd, cookie)
        self._guard = GuardLink(str(cookie), terminal=supervision.terminal)
        self._say(Start(spec=spec))

    @property
    def guard_pid(self) -> int:
        """Pid of the guard."""
        return self._guard.pid

    @property
    def alive(self) -> bool:
        """``True`` until it has ended."""
        self._listen(0)
        return self.outcome is None

    @property
    def ready(self) -> bool:
        """``True`` once it was seen to be ready."""
        self._listen(0)
        return self.ready_s is not None

    def _say(self, message: Start | StatusRequest | FreezeBatch | Stop) -> None:
        with self._lock:
            if self.outcome is None:
                self._guard.send(message)

    def _has_ended(self) -> bool:
        return self.outcome is not None

    # --- listening ------------------------------------------------------------------------------------------------

    def _listen(self, timeout_s: float) -> None:
        """Handle the events of the guard; where there are none, wait for them, ``timeout_s`` or 1 s at most.

        The lock is not held while waiting: another thread may ask, or stop the child, meanwhile.
        """
        if self._hear() or timeout_s <= 0 or self._has_ended() or os.getpid() != self._owner_pid:
            return
        self._guard.wait_for_events(min(timeout_s, _SLICE_S))
        self._hear()

    def _hear(self) -> bool:
        """Handle the events that have arrived; return whether there were any."""
        heard = False
        with self._lock:
            while self.outcome is None and os.getpid() == self._owner_pid:
                events = self._guard.read()
                for event in events:
                    self._handlers[type(event)](event)
                if self._guard.ended and not self._has_ended():
                    self._take_loss()
                if not events:
                    break
                heard = True
        return heard

    def _take_start(self, event: LoadStarted) -> None:
        self.pid, self.init_pid = event.pid, event.init
        self.container, self.refused = event.container, tuple(event.refused)
        self._guard.watch_init(event.init)

    def _take_failure(self, event: StartFailed) -> None:
        self._failure = event.reason

    def _take_ready(self, event: BecameReady) -> None:
        self.ready_s = event.ready_s

    def _take_vain(self, event: LoopsInVain) -> None:
        self.vain = (
            f"{event.rounds} rounds in a row failed or ended at once (last exit code {event.code}); "
            f"its log ends with:\n{event.tail.strip() or '(nothing)'}"
        )

    def _take_answer(self, event: StatusAnswer) -> None:
        self._answers[event.id] = event.figures

    def _take_end(self, event: LoadEnded) -> None:
        outcome = Outcome(
            exit_code=event.code,
            stopped=event.stopped,  # type: ignore[arg-type]
            seconds=event.seconds or 0.0,
            cpu_s=None if event.figures is None else event.figures["cpu_s"],
            container=event.container,
            stuck=tuple(event.stuck),
            flags=tuple(event.flags),
            status=None if event.figures is None else _status(event.figures),
        )
        self._end(outcome)

    def _take_loss(self) -> None:
        """Note that the guard ended without its last event; make sure that the init has killed the load."""
        self._guard.end_init()
        if self._forced:
            self._end(self._unseen("forced", "its guard did not answer, and was killed with its load"))
        else:
            self._end(self._unseen("lost", "the guard was killed, and its load with it"))

    def _unseen(self, stopped: Stopped, flag: str) -> Outcome:
        return Outcome(
            exit_code=None,
            stopped=stopped,
            seconds=time.monotonic() - self._began_s,
            cpu_s=None,
            container=self.container,
            flags=(flag,),
        )

    def _end(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self._guard.close()
        if outcome.stuck:
            self._guard.leave()  # it continues to kill; waiting for it could take for ever
        else:
            self._guard.reap()

    # --- what a user does -----------------------------------------------------------------------------------------

    def await_start(self) -> None:
        """Return when the command runs.

        Raises:
            ProcessError: it cannot be executed, or did not start in time.
        """
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while not self.container:
            self._listen(deadline_s - time.monotonic())
            if self._failure:
                raise ProcessError(f"the command {self.command.shell_line()!r} could not be started: {self._failure}")
            if self.outcome is not None and not self.container:
                raise ProcessError(f"the guard of {self.command.shell_line()!r} ended before the command began")
            if time.monotonic() > deadline_s:
                raise ProcessError(f"{self.command.shell_line()!r} did not start within {_START_TIMEOUT_S:.0f} s")

    def await_ready(self, timeout_s: float) -> bool:
        """Wait until it is ready; return ``False`` after ``timeout_s``, or when it ended or loops in vain."""
        deadline_s = time.monotonic() + timeout_s
        while self.ready_s is None:
            if self.vain or self.outcome is not None or time.monotonic() >= deadline_s:
                return False
            self._listen(deadline_s - time.monotonic())
        return True

    def status(self, *, spans: bool = False) -> GuardStatus | None:
        """Return its figures now, or the last ones once it has ended; ``None`` when its guard was killed.

        Args:
            spans: whether ``spans_s`` is wanted of a child that still runs; else it is empty.

        Raises:
            ProcessError: the guard does not answer (a signal stopped it).
        """
        if self._has_ended():
            return self._last_status()
        with self._lock:
            self._question += 1
            question = self._question
        self._say(StatusRequest(id=question, spans=spans))
        deadline_s = time.monotonic() + _ANSWER_TIMEOUT_S
        while question not in self._answers and not self._has_ended():
            self._listen(deadline_s - time.monotonic())
            if time.monotonic() > deadline_s:
                raise ProcessError(
                    f"the process {self.guard_pid}, which guards {self.command.shell_line()!r}, has not answered for "
                    f"{_ANSWER_TIMEOUT_S:.0f} s; if a signal stopped it, kill -CONT {self.guard_pid} wakes it"
                )
        answer = self._answers.pop(question, None)
        return self._last_status() if answer is None else _status(answer)

    def freeze_batch(self) -> None:
        """Let a fitted batch size only shrink from now on."""
        self._say(FreezeBatch())

    def _last_status(self) -> GuardStatus | None:
        return None if self.outcome is None else self.outcome.status

    def wait(self, timeout_s: float | None = None) -> Outcome | None:
        """Wait until it ends, and return how; ``None`` when it runs after ``timeout_s`` (``None`` waits for ever)."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while self.outcome is None:
            left_s = 3600.0 if deadline_s is None else deadline_s - time.monotonic()
            self._listen(left_s)
            if deadline_s is not None and time.monotonic() >= deadline_s:
                break
        return self.outcome

    def stop(self, grace_s: float | None = None) -> Outcome:
        """Stop it with SIGTERM, the grace and SIGKILL; return when nothing is left.

        The grace is kept by the guard: when Ctrl-C interrupts this call, the load still gets its grace and then ends.
        Any other interruption (a timeout) is followed by other tests: the grace is over then.

        Args:
            grace_s: 0 or more, instead of that of the supervision.

        Raises:
            ProcessError: this is a fork of the owner; or the guard cannot be ended.
        """
        if os.getpid() != self._owner_pid:
            raise ProcessError("only the process that started a child can stop it; this one is a fork of it")
        grace_s = self.supervision.grace_s if grace_s is None else grace_s
        if not 0 <= grace_s < math.inf:
            raise ProcessError(f"the grace between SIGTERM and SIGKILL must be 0 s or more and finite, not {grace_s}")
        if self.alive:
            self._say(Stop(grace_s=grace_s))
            try:
                outcome = self.wait(grace_s + self.STOP_MARGIN_S)
            except KeyboardInterrupt:
                self.abandon(grace=True)
                raise
            except BaseException:
                self._guard.kill_init()
                self.abandon()
                raise
            if outcome is None:
                self._force()
        if self.outcome is None:
            raise ProcessError(f"the guard {self.guard_pid} of {self.command.shell_line()!r} cannot be ended")
        return self.outcome

    def _force(self) -> None:
        """Wake a guard that a signal stopped; where it still does not answer, kill the init and the guard."""
        self._guard.wake()
        if self.wait(_STUCK_S) is None:
            self._forced = True
            self._guard.kill_init()
            self._guard.kill()
            self.wait(2 * _STUCK_S)

    def abandon(self, *, grace: bool = False) -> None:
        """Close the connection without waiting: the guard kills the child at once.

        Args:
            grace: whether a stop was asked for before; the guard then keeps its grace.
        """
        with self._lock:
            if self.outcome is None and os.getpid() == self._owner_pid:
                flag = "pytest did not wait for its end"
                self.outcome = self._unseen("lost" if grace else "forced", flag)
                self._guard.close()
                self._guard.leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if os.getpid() == self._owner_pid:
            self.stop()


def _status(figures: dict[str, Any]) -> GuardStatus:
    return GuardStatus(**{name: _tuples(value) for name, value in figures.items()})


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, (list, tuple)) else value
