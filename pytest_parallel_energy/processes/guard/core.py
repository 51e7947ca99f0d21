"""The guard: one loop over what the owner, the init, the load's output and the clock have to say."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import select
import signal
import time
from collections.abc import Callable
from typing import Any

from . import cgroup
from .container import Container, choose
from .kernel import become_subreaper, make_high, set_parent_death_signal
from .killing import kill_below, stuck
from .launch import Launched, launch, wake_pipe
from .lines import LineReader, LineWriter, send
from .logs import Logs
from .procfs import children, cpu_s, descendants, inner_pid
from .readiness import Readiness
from .rounds import Rounds
from .throttle import Conditions

__all__ = ["Guard", "main"]

_LOOK_S = 0.025
_STUCK_AFTER_S = 5.0
_EVENT_PIPE_BYTES = 1 << 20
_LAST_WORD_S = 5.0
"""How long an owner that is there, and reads nothing, is waited for with the last figures."""
_NO_CONDITIONS: dict[str, Any] = {"intensity": 1.0, "target_gpu_percent": None, "batch": None, "nvml": "", "env": {}}


class OwnerGoneError(Exception):
    """The owner, or its parent under xdist, is no more; or somebody sent SIGTERM to the guard."""


def main(arguments: list[str]) -> int:
    """Run one guard with the descriptors named by ``arguments``: control, events, and pidfds to watch."""
    control, events, *watched = (make_high(int(fd)) for fd in arguments)
    guard = Guard(control, events, watched)
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
        watched: pidfds; a readable one means that the owner is gone.
    """

    def __init__(self, control: int, events: int, watched: list[int]) -> None:
        # A guard that somebody stopped wakes up when its owner's thread ends; for one that runs this means nothing.
        set_parent_death_signal(signal.SIGCONT)
        become_subreaper()
        self.stopped = "exited"
        self._events = LineWriter(events)
        os.set_blocking(events, False)
        with contextlib.suppress(OSError):  # the default size holds what is sent unasked
            fcntl.fcntl(events, fcntl.F_SETPIPE_SZ, _EVENT_PIPE_BYTES)
        self._control = LineReader(control)
        self._watched = watched
        self._poll = select.poll()
        self._handlers: dict[int, Callable[[], None]] = {}
        wake_read, wake = wake_pipe()
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self._wake_read = wake_read
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        self._watch(wake_read, self._on_signals)
        self._watch(control, self._on_control)
        for fd in watched:
            self._watch(fd, lambda fd=fd: self._on_owner_gone(fd))  # type: ignore[misc]
        self._spec: dict[str, Any] = {}
        self._container = Container(kind="none")
        self._init: Launched | None = None
        self._logs: Logs | None = None
        self._rounds = Rounds(min_round_s=0, backoff_s=0, backoff_max_s=0)
        self._readiness = Readiness({"kind": "started"})
        self._deadlines: dict[str, float] = {}
        self._started_s: float | None = None
        self._ended_s: float | None = None
        self._ready_s: float | None = None
        self._leader_pid: int | None = None
        self._code: int | None = None
        self._flags: list[str] = []
        self._trial_cpu_s = 0.0
        self._cpu_before_kill_s = 0.0
        self._conditions = Conditions(_NO_CONDITIONS)
        self._stopping = False
        self._done = False

    def _watch(self, fd: int, handler: Callable[[], None]) -> None:
        self._handlers[fd] = handler
        self._poll.register(fd, select.POLLIN)

    def _unwatch(self, fd: int) -> None:
        del self._handlers[fd]
        self._poll.unregister(fd)

    def run(self) -> None:
        """Until the load has ended or was stopped.

        Raises:
            OwnerGoneError: everything must be killed at once.
        """
        while not self._done:
            for fd, _event in self._poll.poll(self._timeout_ms()):
                if fd in self._handlers:
                    self._handlers[fd]()
            self._on_time()

    def _timeout_ms(self) -> float | None:
        if not self._deadlines:
            return None
        return max(0.0, (min(self._deadlines.values()) - time.monotonic()) * 1e3 + 0.1)

    # --- the owner -----------------------------------------------------------------------------------------------

    def _on_signals(self) -> None:
        if signal.SIGTERM in os.read(self._wake_read, 4096):
            raise OwnerGoneError

    def _on_owner_gone(self, fd: int) -> None:
        if not self._stopping:
            raise OwnerGoneError
        self._unwatch(fd)  # it asked for an orderly stop before: the grace that it gave is kept

    def _on_control(self) -> None:
        for message in self._control.read():
            getattr(self, f"_do_{message['do']}")(message)
        if self._control.ended:
            self._on_owner_gone(self._control.fd)

    def _do_start(self, message: dict[str, Any]) -> None:
        self._spec = message["spec"]
        rounds = self._spec["rounds"]
        self._rounds = Rounds(**{name: rounds[name] for name in ("min_round_s", "backoff_s", "backoff_max_s")})
        self._readiness = Readiness(self._spec["ready"])
        self._conditions = Conditions(self._spec)
        try:
            self._container = choose(self._spec["container"], self._spec["owner"])
        except OSError as error:
            self.fail(f"the container {self._spec['container']!r} cannot be had here: {error.strerror or error}")
            return
        self._trial_cpu_s = self._children_cpu_s()
        self._init = launch(self._spec, self._control.fd, self._watched, self._container)
        self._logs = Logs(self._init.output, self._spec)
        if self._readiness.pattern is not None:
            self._logs.pump.seek_pattern(self._readiness.pattern)
        self._reports = LineReader(self._init.reports)
        self._watch(self._init.reports, self._on_reports)
        self._watch(self._init.output, self._on_output)
        if self._spec["lifetime_s"] is not None:
            self._deadlines["lifetime"] = time.monotonic() + self._spec["lifetime_s"]

    def _do_status(self, message: dict[str, Any]) -> None:
        figures = self._figures()
        if not message["spans"]:
            figures["spans_s"] = []  # long, and seldom asked for
        self._send({"event": "status", "id": message["id"], **figures})

    def _do_freeze_batch(self, _message: dict[str, Any]) -> None:
        self._conditions.freeze_batch()

    def _do_stop(self, message: dict[str, Any]) -> None:
        self._stopping = True
        self.stopped = "graceful"
        self._deadlines.clear()
        self._rounds.break_off(time.monotonic())
        if self._init is None:
            self._done = True
            return
        self._deadlines["grace"] = time.monotonic() + message["grace_s"]
        self._order({"do": "term"})

    def _send(self, message: dict[str, Any]) -> None:
        self._events.send(message)  # an owner that is gone is noticed by its pipe and its pidfd
        if self._events.pending and self._events.fd not in self._handlers:
            self._handlers[self._events.fd] = self._on_events_read
            self._poll.register(self._events.fd, select.POLLOUT)

    def _on_events_read(self) -> None:
        self._events.flush()
        if not self._events.pending:
            self._unwatch(self._events.fd)

    def fail(self, reason: str) -> None:
        """Tell the owner why this cannot go on, and end."""
        self._flags.append(reason)
        self._send({"event": "failed", "reason": reason})
        self._done = True

    # --- the init ------------------------------------------------------------------------------------------------

    def _order(self, order: dict[str, Any]) -> None:
        if self._init is None or not send(self._init.orders, order):
            self._flags.append("the init was gone before its order")
            self._done = True

    def _on_reports(self) -> None:
        for report in self._reports.read():
            getattr(self, f"_hear_{report['what']}")(report)
        if self._reports.ended:
            self._flags.append("the process that held the load ended unexpectedly")
            self._done = True

    def _hear_armed(self, _report: dict[str, Any]) -> None:
        self._start_leader()

    def _start_leader(self) -> None:
        if self._logs is not None:
            self._logs.open(self._rounds.number + 1)
        self._order({"do": "start", "env": {"PARALLEL_ENERGY_ROUND": str(self._rounds.number)}})

    def _hear_started(self, report: dict[str, Any]) -> None:
        if report["reason"]:
            self.fail(report["reason"])
            return
        self._leader_pid = self._outer_pid(report["pid"])
        if self._started_s is None:
            self._started_s = report["at_s"]
            self._send({
                "event": "started",
                "pid": self._leader_pid,
                "init": self._init.pid if self._init else None,
                "container": self._container.kind,
                "refused": self._container.refused,
            })
        if not self._spec["marks"]:
            self._begin_round(report["at_s"])

    def _outer_pid(self, inner: int) -> int | None:
        if self._container.kind != "namespace" or self._init is None:
            return inner
        return next((pid for pid in children(self._init.pid) if inner_pid(pid) == inner), None)

    def _hear_ready(self, report: dict[str, Any]) -> None:
        """The loop script asks whether it may begin the next round."""
        if self._stopping:  # it asked before it heard
            return
        self._deadlines["round"] = report["at_s"] + self._rounds.delay_s()

    def _hear_end(self, report: dict[str, Any]) -> None:
        self._end_round(report["at_s"], report["code"])

    def _hear_leader(self, report: dict[str, Any]) -> None:
        """The load's first process ended: the training itself, or the loop script, which should not."""
        self._end_round(report["at_s"], report["code"])
        self._code = report["code"]
        self._deadlines.pop("round", None)  # who asked for it is gone
        if self._stopping:
            return
        if not self._spec["marks"]:
            self._ended_s = report["at_s"]
            self._done = True
            return
        self._flags.append(f"the loop script ended with {report['code']}, and was started again")
        self._deadlines["restart"] = report["at_s"] + max(self._rounds.delay_s(), self._spec["rounds"]["backoff_s"])

    def _hear_empty(self, _report: dict[str, Any]) -> None:
        self._done = True

    def _hear_failed(self, report: dict[str, Any]) -> None:
        self.fail(report["reason"])

    # --- rounds --------------------------------------------------------------------------------------------------

    def _begin_round(self, now_s: float) -> None:
        self._rounds.begin(now_s)
        if "look_at_load" not in self._deadlines:
            self._deadlines["look_at_load"] = self._conditions.begin(now_s)
        if not self._readiness.ready:
            self._readiness.begin(self._load_cpu_s())
            self._deadlines["look"] = now_s
        elif self._conditions.paced:
            self._deadlines["duty"] = now_s

    def _end_round(self, now_s: float, code: int) -> None:
        if self._rounds.began_s is None or self._logs is None:
            return
        self._heed(self._logs.pump.drain())
        self._rounds.end(now_s, code)
        self._deadlines.pop("duty", None)
        self._conditions.rest(now_s)
        if self._conditions.paced and not self._stopping:
            self._order({"do": "thaw"})  # a freeze that was under way when the round ended would last for ever
        if self._conditions.learn(code, self._logs.tail()):
            self._rounds.bad_in_a_row = 0  # with half of the batch it is another load
        if not self._readiness.ready:
            self._judge_early_end()
        elif self._spec["marks"] and self._rounds.bad_in_a_row == self._spec["rounds"]["vain_after"]:
            self._tell_vain()  # once for each row of bad rounds: the owner may be hours from its end

    def _judge_early_end(self) -> None:
        bad = self._rounds.bad_in_a_row
        if not bad and self._rounds.last_code == 0 and self._spec["ready"]["kind"] == "activity":
            self._become_ready()  # a whole round went well, and faster than activity could be seen
        elif bad >= self._spec["rounds"]["vain_after"] and self._spec["marks"]:
            self._tell_vain()

    def _tell_vain(self) -> None:
        bad, code = self._rounds.bad_in_a_row, self._rounds.last_code
        self._send({"event": "vain", "rounds": bad, "code": code, "tail": self._tail()})

    def _become_ready(self) -> None:
        self._readiness.ready = True
        self._deadlines.pop("look", None)
        now_s = time.monotonic()
        self._ready_s = now_s - (self._started_s if self._started_s is not None else now_s)
        self._send({"event": "ready", "ready_s": self._ready_s})
        if self._conditions.paced and self._rounds.began_s is not None:
            self._deadlines["duty"] = now_s

    def _heed(self, pattern_seen: bool) -> None:  # noqa: FBT001 - the answer of the pump
        if pattern_seen and not self._readiness.ready:
            self._become_ready()

    # --- output --------------------------------------------------------------------------------------------------

    def _on_output(self) -> None:
        if self._logs is not None:
            self._heed(self._logs.pump.move())

    def _tail(self) -> str:
        return "" if self._logs is None else self._logs.tail().decode("utf-8", "replace")

    # --- the clock -----------------------------------------------------------------------------------------------

    def _on_time(self) -> None:
        now_s = time.monotonic()
        for name in [name for name, at_s in self._deadlines.items() if at_s <= now_s]:
            del self._deadlines[name]
            getattr(self, f"_at_{name}")(now_s)

    def _at_look(self, now_s: float) -> None:
        if self._readiness.look(now_s, self._rounds.good_s(now_s), self._load_cpu_s()):
            self._become_ready()
        elif not self._readiness.ready and self._rounds.began_s is not None:
            self._deadlines["look"] = now_s + _LOOK_S

    def _at_round(self, now_s: float) -> None:
        if self._logs is not None:
            self._logs.open(self._rounds.number + 1)
        self._begin_round(now_s)
        self._order({"do": "answer", "text": f"go {self._conditions.fit_batch()}".strip()})

    def _at_duty(self, now_s: float) -> None:
        order, self._deadlines["duty"] = self._conditions.switch(now_s)
        if order:
            self._order({"do": order})

    def _at_look_at_load(self, now_s: float) -> None:
        if self._rounds.began_s is None or self._init is None:  # the next round's first look is not of this time
            self._deadlines["look_at_load"] = self._conditions.begin(now_s)
            return
        pids = descendants(self._init.pid)
        if self._spec["marks"]:  # the loop script sleeps while its round runs, or is stopped
            pids = [pid for pid in pids if pid != self._leader_pid]
        self._deadlines["look_at_load"] = self._conditions.look(now_s, pids, ready=self._readiness.ready)

    def _at_restart(self, _now_s: float) -> None:
        self._start_leader()

    def _at_grace(self, _now_s: float) -> None:
        # what the kernel kills with the namespace is reaped without being accounted to anybody
        self._cpu_before_kill_s = self._load_cpu_s()
        self.stopped = "forced"
        self._done = True

    def _at_lifetime(self, _now_s: float) -> None:
        self._flags.append("the load reached its longest lifetime")
        raise OwnerGoneError

    # --- figures and the end -------------------------------------------------------------------------------------

    def _children_cpu_s(self) -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def _load_cpu_s(self) -> float:
        now_s = self._children_cpu_s() - self._trial_cpu_s + cpu_s(descendants(os.getpid()))
        return max(self._cpu_before_kill_s, now_s)

    def _figures(self) -> dict[str, Any]:
        now_s = time.monotonic()
        return {
            "now_s": now_s,
            **self._rounds.figures(now_s),
            "spans_s": self._rounds.spans_s(now_s),
            "running": self._rounds.began_s is not None,
            "cpu_s": self._load_cpu_s(),
            **self._conditions.figures(),
            "ready": self._readiness.ready,
            "ready_s": self._ready_s,
            "leader": self._leader_pid,
            "pids": descendants(self._init.pid) if self._init is not None else [],
            "log_bytes": self._logs.pump.total_bytes if self._logs is not None else 0,
            "lost_log_bytes": self._logs.lost_bytes if self._logs is not None else 0,
            "flags": self._flags,
            "tail": self._tail(),
        }

    def finish(self) -> None:
        """Kill what is left, and only then write: the log's tail, and what happened to the owner."""
        clean = self._kill_all(time.monotonic() + _STUCK_AFTER_S)
        if self._logs is not None:
            self._logs.pump.drain()
        tail = self._tail()
        if self._logs is not None:
            self._logs.close()
        self._send({
            "event": "ended",
            **self._figures(),
            "tail": tail,
            "pids": [],
            "code": self._code,
            "stopped": self.stopped,
            "seconds": None if self._started_s is None else (self._ended_s or time.monotonic()) - self._started_s,
            "container": self._container.kind,
            "stuck": [] if clean else stuck(os.getpid()),
        })
        self._say_all()
        while not clean:
            clean = self._kill_all(time.monotonic() + _STUCK_AFTER_S)
        cgroup.remove(self._container.cgroup)

    def _say_all(self) -> None:
        """The figures are longer than the pipe: give the owner time to read them."""
        poll = select.poll()
        poll.register(self._events.fd, select.POLLOUT)
        deadline_s = time.monotonic() + _LAST_WORD_S
        while self._events.pending and time.monotonic() < deadline_s:
            poll.poll(_LAST_WORD_S * 1e3)
            self._events.flush()

    def _kill_all(self, deadline_s: float) -> bool:
        cgroup.kill(self._container.cgroup)
        return kill_below(os.getpid(), deadline_s=deadline_s)
