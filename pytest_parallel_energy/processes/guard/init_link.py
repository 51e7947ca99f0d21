"""The guard's side of its connection to the init, and what it sees of the processes below it."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Mapping
from typing import Any

from .container import Container
from .launch import launch
from .lines import LineReader, send
from .messages import Message
from .owner_link import OwnerLink
from .procfs import children, cpu_s, descendants, inner_pid

__all__ = ["InitLink"]


class InitLink:
    """A running init, which is launched when this is made.

    Args:
        spec: the owner's specification.
        owner: its pipe and its pidfds are watched by the init as well.
        container: what isolates the load's processes.

    Raises:
        OSError: the namespace, which worked a moment ago, is refused.
    """

    def __init__(self, spec: dict[str, Any], owner: OwnerLink, container: Container) -> None:
        self._cpu_before_s = _children_cpu_s()
        self._cpu_at_kill_s = 0.0
        self._container = container
        launched = launch(spec, owner.control, owner.pidfds, container)
        self.pid = launched.pid
        self.output = launched.output
        """Read end of the pipe that is the load's standard output and error."""
        self._orders = launched.orders
        self._reports = LineReader(launched.reports)
        self.handlers: Mapping[type, Callable[[Any], None]] = {}
        """What to do with each kind of report."""

    @property
    def reports_fd(self) -> int:
        """The descriptor that is readable when there are reports."""
        return self._reports.fd

    @property
    def has_own_shared_memory(self) -> bool:
        """``True`` where the load sees a ``/dev/shm`` of its own."""
        return self._container.kind == "namespace"

    def order(self, message: Message) -> bool:
        """Send an order; return ``False`` when the init is gone."""
        return send(self._orders, message)

    def read(self) -> bool:
        """Handle the reports that have arrived; return ``False`` when the init is gone."""
        for report in self._reports.read():
            self.handlers[type(report)](report)
        return not self._reports.ended

    def pids(self) -> list[int]:
        """Return all processes of the load, as the guard and the owner see them."""
        return descendants(self.pid)

    def outer_pid(self, inner: int) -> int | None:
        """Return the owner's pid for a pid that the init reported; ``None`` when the process is gone."""
        if self._container.kind != "namespace":
            return inner
        return next((pid for pid in children(self.pid) if inner_pid(pid) == inner), None)

    def cpu_s(self) -> float:
        """Return the CPU seconds of the load up to now, including processes that have ended."""
        now_s = _children_cpu_s() - self._cpu_before_s + cpu_s(descendants(os.getpid()))
        return max(self._cpu_at_kill_s, now_s)

    def keep_cpu(self) -> None:
        """Read the CPU seconds before SIGKILL: the kernel drops them when a namespace ends."""
        self._cpu_at_kill_s = self.cpu_s()


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
