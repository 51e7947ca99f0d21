"""The owner's side of a supervised child.

::

    with start_supervised(Command(argv=("train", "--lr", "0.1")), Supervision(log=folder / "training.log")) as child:
        outcome = child.wait(3600) or child.stop()
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..errors import ProcessError
from .command import Command
from .controller import duplicate_controller_pidfd
from .cookie import VARIABLE, Cookie
from .guard.lines import LineReader, send
from .outcome import GuardStatus, Outcome
from .rules import Supervision

__all__ = ["Supervised", "start_supervised"]

_GUARD = Path(__file__).parent / "guard" / "__main__.py"
_START_TIMEOUT_S = 30.0
_ANSWER_TIMEOUT_S = 10.0
_STUCK_S = 5.0
_SLICE_S = 1.0


def start_supervised(command: Command, supervision: Supervision | None = None) -> Supervised:
    """Start a command that ends, with everything it starts, at the latest when this process ends.

    Side effects: one guard process (own session, about 10 MB) and one init process besides the command; the command
    runs in its own session, with ``/dev/null`` as standard input.

    Raises:
        ProcessError: this is not Linux; or the command cannot be executed; or its folder, its log's folder or the
            container asked for cannot be had. Nothing is left running then.
    """
    supervision = supervision or Supervision()
    if sys.platform != "linux":
        raise ProcessError(f"supervised processes need Linux; this is {sys.platform}")
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
    """What a stop may take beyond its grace before the guard itself is ended."""

    def __init__(self, command: Command, supervision: Supervision, cwd: Path) -> None:
        self.command = command
        self.supervision = supervision
        self.pid: int | None = None
        """The command's pid; ``None`` when it ended before anybody could see it."""
        self.init_pid: int | None = None
        """Pid of the process that holds the command's."""
        self.container = ""
        """What holds its processes: ``namespace``, ``cgroup`` or ``subreaper``."""
        self.refused: tuple[str, ...] = ()
        """Why a better container could not be had."""
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
        self._init_fd = -1
        self._cookie = Cookie.mine()
        self._began_s = time.monotonic()
        self._start_guard()
        self._say({"do": "start", "spec": self._spec(cwd)})

    @property
    def guard_pid(self) -> int:
        """Pid of the guard."""
        return self._guard.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        self._listen(0)
        return self.outcome is None

    @property
    def ready(self) -> bool:
        """Whether it was seen to be ready."""
        self._listen(0)
        return self.ready_s is not None

    def _start_guard(self) -> None:
        control, self._control = os.pipe()
        events, guard_events = os.pipe()
        watched = _watched_pidfds()
        passed = (control, guard_events, *watched)
        try:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_GUARD), *map(str, passed)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={**os.environ, VARIABLE: str(self._cookie)},
                pass_fds=passed,
                start_new_session=True,
            )
        except OSError as error:
            os.close(self._control)
            os.close(events)
            raise ProcessError(f"the guard {sys.executable} {_GUARD} could not be started: {error}") from error
        finally:
            for fd in passed:
                os.close(fd)
        os.set_blocking(events, False)
        self._events = LineReader(events)

    def _spec(self, cwd: Path) -> dict[str, Any]:
        spec = dataclasses.asdict(self.supervision)
        rounds = spec.pop("rounds")
        log = self.supervision.log
        return {
            **spec,
            "rounds": rounds or {"min_round_s": 0.0, "backoff_s": 0.0, "backoff_max_s": 0.0, "vain_after": 1},
            "marks": rounds is not None,
            "log": os.devnull if log is None else str(log.absolute()),
            "owner": str(self._cookie),
            "argv": list(self.command.argv),
            "cwd": str(cwd),
            "env": {**os.environ, **self.command.env, VARIABLE: str(self._cookie)},
        }

    def _say(self, message: dict[str, Any]) -> None:
        with self._lock:
            if self.outcome is None:
                send(self._control, message)  # a guard that is gone is noticed by the end of its events

    def _has_ended(self) -> bool:
        return self.outcome is not None

    # --- listening ------------------------------------------------------------------------------------------------

    def _listen(self, timeout_s: float) -> None:
        """Take in what the guard has said; where it has said nothing, wait for it, ``timeout_s`` or 1 s at most.

        The lock is not held while waiting: another thread may ask, or stop the child, meanwhile.
        """
        if self._hear() or timeout_s <= 0 or self._has_ended() or os.getpid() != self._owner_pid:
            return
        poll = select.poll()
        poll.register(self._events.fd, select.POLLIN)
        poll.poll(min(timeout_s, _SLICE_S) * 1e3)
        self._hear()

    def _hear(self) -> bool:
        """Take in what has been said up to now; whether there was anything."""
        heard = False
        with self._lock:
            while self.outcome is None and os.getpid() == self._owner_pid:
                messages = self._events.read()
                for message in messages:
                    self._take(message)
                if self._events.ended and not self._has_ended():
                    self._take_loss()
                if not messages:
                    break
                heard = True
        return heard

    def _take(self, message: dict[str, Any]) -> None:
        kind = message["event"]
        if kind == "status":
            self._answers[message["id"]] = message
        elif kind == "started":
            self.pid, self.init_pid = message["pid"], message["init"]
            self.container, self.refused = message["container"], tuple(message["refused"])
            with contextlib.suppress(OSError):
                self._init_fd = os.pidfd_open(message["init"])
        elif kind == "ready":
            self.ready_s = message["ready_s"]
        elif kind == "failed":
            self._failure = message["reason"]
        elif kind == "vain":
            self.vain = (
                f"{message['rounds']} rounds in a row failed or ended at once (last exit code {message['code']}); "
                f"its log ends with:\n{message['tail'].strip() or '(nothing)'}"
            )
        elif kind == "ended":
            self._end(
                Outcome(
                    exit_code=message["code"],
                    stopped=message["stopped"],
                    seconds=message["seconds"] or 0.0,
                    cpu_s=message["cpu_s"],
                    container=message["container"],
                    stuck=tuple(message["stuck"]),
                    flags=tuple(message["flags"]),
                    status=_status(message),
                )
            )

    def _take_loss(self) -> None:
        """The guard ended without a word. The init has seen it, and kills; be sure that it is done."""
        if self._init_fd >= 0:
            poll = select.poll()
            poll.register(self._init_fd, select.POLLIN)
            if not poll.poll(_STUCK_S * 1e3):
                with contextlib.suppress(OSError):
                    signal.pidfd_send_signal(self._init_fd, signal.SIGKILL)
                poll.poll(_STUCK_S * 1e3)
        self._end(
            Outcome(
                exit_code=None,
                stopped="lost",
                seconds=time.monotonic() - self._began_s,
                cpu_s=None,
                container=self.container,
                flags=("the guard was killed, and its load with it",),
            )
        )

    def _end(self, outcome: Outcome) -> None:
        self.outcome = outcome
        os.close(self._control)
        os.close(self._events.fd)
        if self._init_fd >= 0:
            os.close(self._init_fd)
        if outcome.stuck:
            self._guard.returncode = 0  # it goes on trying; waiting for it could take for ever
            return
        try:
            self._guard.wait(_STUCK_S)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()

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
        """Whether it became ready within ``timeout_s``; ``False`` also when it ended, or loops in vain."""
        deadline_s = time.monotonic() + timeout_s
        while self.ready_s is None:
            if self.vain or self.outcome is not None or time.monotonic() >= deadline_s:
                return False
            self._listen(deadline_s - time.monotonic())
        return True

    def status(self, *, spans: bool = False) -> GuardStatus | None:
        """Its figures now, or the last ones once it has ended; ``None`` when its guard was killed.

        Args:
            spans: whether ``spans_s`` is wanted of a child that still runs; else it is empty.

        Raises:
            ProcessError: the guard does not answer (it was stopped by somebody).
        """
        if self._has_ended():
            return self._last_status()
        with self._lock:
            self._question += 1
            question = self._question
        self._say({"do": "status", "id": question, "spans": spans})
        deadline_s = time.monotonic() + _ANSWER_TIMEOUT_S
        while question not in self._answers and not self._has_ended():
            self._listen(deadline_s - time.monotonic())
            if time.monotonic() > deadline_s:
                raise ProcessError(
                    f"the process {self.guard_pid}, which guards {self.command.shell_line()!r}, has not answered for "
                    f"{_ANSWER_TIMEOUT_S:.0f} s; did somebody stop it? kill -CONT {self.guard_pid} wakes it"
                )
        answer = self._answers.pop(question, None)
        return self._last_status() if answer is None else _status(answer)

    def freeze_batch(self) -> None:
        """From now on a fitted batch size may only shrink."""
        self._say({"do": "freeze_batch"})

    def _last_status(self) -> GuardStatus | None:
        return None if self.outcome is None else self.outcome.status

    def wait(self, timeout_s: float | None = None) -> Outcome | None:
        """How it ended; ``None`` when it still runs after ``timeout_s`` (``None`` waits for ever)."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while self.outcome is None:
            left_s = 3600.0 if deadline_s is None else deadline_s - time.monotonic()
            self._listen(left_s)
            if deadline_s is not None and time.monotonic() >= deadline_s:
                break
        return self.outcome

    def stop(self, grace_s: float | None = None) -> Outcome:
        """End it: SIGTERM, the grace, SIGKILL; return when nothing is left.

        The grace is kept by the guard: when Ctrl-C interrupts this call, the load still gets its grace and then ends.
        Whatever else interrupts it (a timeout) is followed by other tests: the grace is over then.

        Args:
            grace_s: instead of that of the supervision.
        """
        if os.getpid() != self._owner_pid:
            raise ProcessError("only the process that started a child can stop it; this one is a fork of it")
        grace_s = self.supervision.grace_s if grace_s is None else grace_s
        if self.alive:
            self._say({"do": "stop", "grace_s": grace_s})
            try:
                outcome = self.wait(grace_s + self.STOP_MARGIN_S)
            except KeyboardInterrupt:
                self.abandon()
                raise
            except BaseException:
                self._kill_init()
                self.abandon()
                raise
            if outcome is None:
                self._force()
        if self.outcome is None:
            raise ProcessError(f"the guard {self.guard_pid} of {self.command.shell_line()!r} cannot be ended")
        return self.outcome

    def _force(self) -> None:
        """The guard does not do its work: somebody stopped it. Wake it; else end the init, and the guard."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._guard.pid, signal.SIGCONT)
        if self.wait(_STUCK_S) is None:
            self._kill_init()
            self._guard.kill()
            self.wait(2 * _STUCK_S)

    def _kill_init(self) -> None:
        """What the init holds ends with it."""
        if self._init_fd >= 0:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self._init_fd, signal.SIGKILL)

    def abandon(self) -> None:
        """Let go of it without waiting: the guard ends it, after the grace if a stop was asked for, else at once."""
        with self._lock:
            if self.outcome is None and os.getpid() == self._owner_pid:
                self.outcome = Outcome(
                    exit_code=None,
                    stopped="lost",
                    seconds=time.monotonic() - self._began_s,
                    cpu_s=None,
                    container=self.container,
                    flags=("nobody waited for its end",),
                )
                os.close(self._control)
                os.close(self._events.fd)
                if self._init_fd >= 0:
                    os.close(self._init_fd)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._guard.wait(0)
                self._guard.returncode = self._guard.returncode or 0  # it outlives this object on purpose

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if os.getpid() == self._owner_pid:
            self.stop()


def _status(message: dict[str, Any]) -> GuardStatus:
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(GuardStatus):
        value = message[field.name]
        fields[field.name] = _tuples(value)
    return GuardStatus(**fields)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _watched_pidfds() -> list[int]:
    """Return pidfds of this process and, in a worker of pytest-xdist, of its controller; none where unsupported."""
    try:
        fds = [os.pidfd_open(os.getpid())]
    except OSError:
        return []
    controller = duplicate_controller_pidfd()
    return fds if controller is None else [*fds, controller]
