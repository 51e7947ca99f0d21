"""Every way of going: what the test does, and what is done to it from outside."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.harness import Case, Run

Act = Callable[[Run], "set[int] | None"]
"""Pulls the trigger; gives the pids that may stay (a pytest that was not the one to go)."""


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """One row of the matrix.

    ``wait_for`` is what must have happened before the trigger is pulled; ``shoots`` whether the load dies by a kill
    rather than by pytest's own tear-down, so that its time is bounded in milliseconds.
    """

    case: Callable[[], Case]
    act: Act
    wait_for: str = "ready"
    shoots: bool = False


def nothing(_run: Run) -> None:
    return None


def send(*numbers: signal.Signals, pause_s: float = 0.0) -> Act:
    def act(run: Run) -> None:
        for position, number in enumerate(numbers):
            if position:
                time.sleep(pause_s)
            os.kill(run.process.pid, number)

    return act


def kill_within_100_ms(run: Run) -> None:
    time.sleep(random.uniform(0, 0.1))
    os.kill(run.process.pid, signal.SIGKILL)
    time.sleep(0.02)
    run.look()


def kill_and_leave_a_zombie(run: Run) -> None:
    os.kill(run.process.pid, signal.SIGKILL)
    run.process.poll = lambda: None  # type: ignore[method-assign]  # nobody collects it until the end


def kill_before_ready(run: Run) -> None:
    time.sleep(1.0)  # the guard reads what the load prints, and looks for its pattern
    run.look()
    os.kill(run.process.pid, signal.SIGKILL)


def kill_guard(run: Run) -> set[int]:
    os.kill(run.told["guard"], signal.SIGKILL)
    return {run.process.pid}


def kill_init(run: Run) -> set[int]:
    os.kill(run.told["init"], signal.SIGKILL)
    return {run.process.pid}


def stop_guard_then_kill(run: Run) -> None:
    os.kill(run.told["guard"], signal.SIGSTOP)
    os.kill(run.process.pid, signal.SIGKILL)


def kill_worker(run: Run) -> None:
    os.kill(run.told["owner"], signal.SIGKILL)


def kill_controller(run: Run) -> None:
    os.kill(run.told["parent"], signal.SIGKILL)


def kill_group(run: Run) -> None:
    os.killpg(run.process.pid, signal.SIGKILL)


def spare_fork(run: Run) -> None:
    run.spared.add(run.told["forked"])
    run.known = {(pid, ticks) for pid, ticks in run.known if pid not in run.spared}
    os.kill(run.process.pid, signal.SIGKILL)


WAIT = "wait()"
FORK = """
pid = os.fork()
if pid == 0:
    wait()
tell("forked", forked=pid)
wait()
"""
EXEC = "tell('go'); os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(1)'])"


def waiting(**changes: object) -> Callable[[], Case]:
    return lambda: Case(body=WAIT, **changes)  # type: ignore[arg-type]


def doing(body: str, **changes: object) -> Callable[[], Case]:
    return lambda: Case(body=body, **changes)  # type: ignore[arg-type]


KILL = signal.SIGKILL
INT = signal.SIGINT
TIMEOUT = ("-p", "pytest_timeout", "--timeout=2")

TRIGGERS: dict[str, Trigger] = {
    "test-ends": Trigger(case=doing("pass"), act=nothing),
    "test-fails": Trigger(case=doing("assert False"), act=nothing),
    "set-up-fails": Trigger(case=doing("pass", break_setup=True), act=nothing),
    "ctrl-c": Trigger(case=waiting(), act=send(INT)),
    "ctrl-c-twice-0.05s": Trigger(case=waiting(), act=send(INT, INT, pause_s=0.05)),
    "ctrl-c-twice-0.4s": Trigger(case=waiting(), act=send(INT, INT, pause_s=0.4)),
    "ctrl-c-twice-1.5s": Trigger(case=waiting(grace_s=2.0), act=send(INT, INT, pause_s=1.5)),
    "ctrl-c-in-set-up": Trigger(case=waiting(ready="pattern"), act=send(INT), wait_for="starting"),
    "sigterm": Trigger(case=waiting(), act=send(signal.SIGTERM), shoots=True),
    "sighup": Trigger(case=waiting(), act=send(signal.SIGHUP), shoots=True),
    "sigquit": Trigger(case=waiting(), act=send(signal.SIGQUIT), shoots=True),
    "sigkill": Trigger(case=waiting(), act=send(KILL), shoots=True),
    "sigkill-zombie": Trigger(case=waiting(), act=kill_and_leave_a_zombie, shoots=True),
    "sigstop-then-sigkill": Trigger(case=waiting(), act=send(signal.SIGSTOP, KILL), shoots=True),
    "timeout-signal": Trigger(case=waiting(options=TIMEOUT), act=nothing),
    "timeout-thread": Trigger(case=waiting(options=(*TIMEOUT, "--timeout-method=thread")), act=nothing),
    "os-exit": Trigger(case=doing("os._exit(3)"), act=nothing),
    "segfault": Trigger(case=doing("ctypes.string_at(0)"), act=nothing),
    "execv": Trigger(case=doing(EXEC), act=nothing, wait_for="go"),
    "forked-child-keeps-descriptors": Trigger(case=doing(FORK), act=spare_fork, wait_for="forked", shoots=True),
    "sigkill-within-100ms": Trigger(case=waiting(), act=kill_within_100_ms, wait_for="starting"),
    "sigkill-before-ready": Trigger(case=waiting(ready="pattern"), act=kill_before_ready, wait_for="starting"),
    "xdist-worker-killed": Trigger(case=waiting(xdist=True, options=("--maxfail=1",)), act=kill_worker),
    "xdist-group-killed": Trigger(case=waiting(xdist=True), act=kill_group, shoots=True),
    "xdist-controller-killed": Trigger(case=waiting(xdist=True), act=kill_controller),
    "started-in-a-thread": Trigger(case=waiting(thread=True), act=send(KILL), shoots=True),
    "signals-blocked-test-ends": Trigger(case=doing("pass", block_signals=True), act=nothing),
    "signals-blocked-sigkill": Trigger(case=waiting(block_signals=True), act=send(KILL), shoots=True),
    "guard-killed": Trigger(case=waiting(), act=kill_guard, shoots=True),
    "init-killed": Trigger(case=waiting(), act=kill_init, shoots=True),
    "guard-stopped-then-sigkill": Trigger(case=waiting(), act=stop_guard_then_kill, shoots=True),
}
"""Each with its name; "load kills its parent" is a load, not a trigger."""
