"""The owner of the load's processes: PID 1 of their namespace, else a subreaper.

It starts the load, collects the dead, kills what a round left behind, and ends with everything below it when the
guard, the owner or the owner's parent is gone, or anything unexpected happens.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from pathlib import Path
from typing import Any, NoReturn

from . import cgroup
from .container import Container, furnish_namespace
from .kernel import become_subreaper, set_parent_death_signal
from .killing import kill_below, reap
from .lines import LineReader, send
from .procfs import descendants
from .spawn import spawn

__all__ = ["Init", "run_init"]

_CLEAN_DEADLINE_S = 2.0
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the namespace's own


def run_init(spec: dict[str, Any], fds: dict[str, int], lifelines: list[int], container: Container) -> NoReturn:
    """The whole life of the init, in the child that the guard forked. Never returns, never raises.

    Args:
        spec: the guard's specification.
        fds: ``control`` (watched only), ``orders`` (read), ``reports`` (written), ``output``, ``marks_read``,
            ``marks``, ``answers``, ``answers_write``, ``guard`` (a pidfd) and ``wake_read``.
        lifelines: descriptors whose hang-up or readability means that the owner is gone.
        container: what holds the processes.
    """
    try:
        init = Init(spec, fds, lifelines, container)
        init.prepare()
        init.run()
    except BaseException as error:  # noqa: BLE001 - whatever happened: the processes below must go, and this one too
        send(fds["reports"], {"what": "failed", "reason": f"{type(error).__name__}: {error}"})
    finally:
        if container.kind != "namespace":  # there the kernel does it
            cgroup.kill(container.cgroup)
            kill_below(os.getpid())
            cgroup.remove(container.cgroup)  # the guard may be gone
        os._exit(0)


class Init:
    """One init; see :func:`run_init`."""

    def __init__(self, spec: dict[str, Any], fds: dict[str, int], lifelines: list[int], container: Container) -> None:
        self._spec = spec
        self._fds = fds
        self._container = container
        self._orders = LineReader(fds["orders"])
        self._marks = LineReader(fds["marks_read"])
        self._lifelines = set(lifelines)
        self._poll = select.poll()
        self._leader = 0
        self._stopping = False

    def prepare(self) -> None:
        """Arm the watches, then furnish; the guard hears ``armed`` and answers with the first order."""
        set_parent_death_signal(signal.SIGKILL if self._container.kind == "namespace" else signal.SIGCONT)
        for fd in self._lifelines:
            self._poll.register(fd, 0 if fd == self._fds["control"] else select.POLLIN)
        self._poll.register(self._fds["guard"], select.POLLIN)
        for name in ("orders", "marks_read", "wake_read"):
            self._poll.register(self._fds[name], select.POLLIN)
        if self._container.kind == "namespace":
            furnish_namespace()
            # PID 1 gets only the signals that it handles: the load cannot end its own init.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        else:
            become_subreaper()
        self._report({"what": "armed"})

    def _report(self, message: dict[str, Any]) -> None:
        if not send(self._fds["reports"], message):
            raise EOFError

    def run(self) -> None:
        """Until the guard says so, or somebody is gone."""
        while True:
            for fd, event in self._poll.poll():
                if fd in self._lifelines or fd == self._fds["guard"]:
                    if self._stopping and fd != self._fds["guard"]:
                        self._poll.unregister(fd)  # an orderly stop has its grace; the guard holds the clock
                        continue
                    return
                if fd == self._fds["wake_read"]:
                    self._on_signals()
                elif fd == self._fds["marks_read"]:
                    self._on_marks()
                elif not self._on_orders(event):
                    return

    def _on_signals(self) -> None:
        if signal.SIGTERM in os.read(self._fds["wake_read"], 4096):
            raise SystemExit
        for pid, status in reap():
            if pid == self._leader:
                self._leader = 0
                self._leave_nothing()
                self._report({"what": "leader", "code": os.waitstatus_to_exitcode(status), "at_s": time.monotonic()})
        if self._stopping and not descendants(os.getpid()):
            self._report({"what": "empty"})

    def _leave_nothing(self) -> None:
        """The load's first process ended: what it left behind goes too, unless a stop gave it its grace."""
        if not self._stopping:
            self._kill_others(0)

    def _kill_others(self, spare: int) -> None:
        if not kill_below(os.getpid(), spare=spare, deadline_s=time.monotonic() + _CLEAN_DEADLINE_S):
            raise TimeoutError("what a round left behind cannot be killed")
        if self._container.kind == "namespace" and _SHARED_MEMORY.is_dir():
            for entry in _SHARED_MEMORY.iterdir():
                if not entry.is_dir():
                    entry.unlink()

    def _on_marks(self) -> None:
        for line in self._marks.read_lines():
            word, *numbers = line.decode("ascii", "replace").split()
            at_s = time.monotonic()
            if word == "end":
                self._report({"what": "end", "code": int(numbers[1]), "at_s": at_s})
            elif word == "ready":
                self._kill_others(self._leader)
                self._report({"what": "ready", "at_s": at_s})

    def _on_orders(self, event: int) -> bool:
        orders = self._orders.read()
        for order in orders:
            getattr(self, f"_do_{order['do']}")(order)
        return not (self._orders.ended or (event & select.POLLHUP and not orders))

    def _do_start(self, order: dict[str, Any]) -> None:
        self._spec["env"].update(order.get("env", {}))
        self._leader, reason = spawn(self._spec, self._fds, self._container.cgroup)
        self._report({"what": "started", "reason": reason, "pid": self._leader, "at_s": time.monotonic()})

    def _do_answer(self, order: dict[str, Any]) -> None:
        os.write(self._fds["answers_write"], order["text"].encode() + b"\n")

    def _do_term(self, _order: dict[str, Any]) -> None:
        self._stopping = True
        if self._leader:
            os.killpg(self._leader, signal.SIGTERM)
        # Daemons left the group: they are asked as well. Who is stopped must wake up to hear it.
        self._signal_all(signal.SIGTERM, but_group=self._leader)
        self._signal_all(signal.SIGCONT)
        if not descendants(os.getpid()):
            self._report({"what": "empty"})

    def _do_freeze(self, _order: dict[str, Any]) -> None:
        self._signal_all(signal.SIGSTOP)

    def _do_thaw(self, _order: dict[str, Any]) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals, *, but_group: int = 0) -> None:
        if self._container.kind == "namespace" and not but_group:
            with contextlib.suppress(ProcessLookupError):  # there is nobody
                os.kill(-1, number)  # kill(2): everything in this namespace but its PID 1, in one go
            return
        for pid in descendants(os.getpid()):
            # It may end meanwhile, or have taken other rights (setuid): then it is not ours to signal.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if not but_group or os.getpgid(pid) != but_group:
                    os.kill(pid, number)
