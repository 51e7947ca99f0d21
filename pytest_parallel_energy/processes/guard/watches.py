"""Watched file descriptors and moments in time, each with the function to call."""

from __future__ import annotations

import select
import time
from collections.abc import Callable

__all__ = ["Deadlines", "Watches"]


class Watches:
    """File descriptors, each with the function to call when it is ready."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._handlers: dict[int, Callable[[], None]] = {}

    def __contains__(self, fd: int) -> bool:
        return fd in self._handlers

    def add(self, fd: int, handler: Callable[[], None], events: int = select.POLLIN) -> None:
        """Call ``handler`` whenever ``fd`` is ready, until it is removed."""
        self._handlers[fd] = handler
        self._poll.register(fd, events)

    def remove(self, fd: int) -> None:
        """Watch ``fd`` no longer."""
        del self._handlers[fd]
        self._poll.unregister(fd)

    def wait(self, timeout_ms: float | None) -> None:
        """Wait for one of them, and call the functions of all that are ready."""
        for fd, _event in self._poll.poll(timeout_ms):
            if fd in self._handlers:  # a handler may have removed it meanwhile
                self._handlers[fd]()


class Deadlines:
    """Moments on the monotonic clock, each with the function to call: at most one moment per function."""

    def __init__(self) -> None:
        self._moments_s: dict[Callable[[float], None], float] = {}

    def __contains__(self, action: Callable[[float], None]) -> bool:
        return action in self._moments_s

    def set(self, action: Callable[[float], None], at_s: float) -> None:
        """Call ``action`` with the clock's time once it is ``at_s``, instead of when it was due before."""
        self._moments_s[action] = at_s

    def cancel(self, action: Callable[[float], None]) -> None:
        """Do not call ``action``; do nothing where it is not due."""
        self._moments_s.pop(action, None)

    def clear(self) -> None:
        """Cancel all."""
        self._moments_s.clear()

    def timeout_ms(self) -> float | None:
        """Return the time until the next moment, for ``poll``; ``None`` without one."""
        if not self._moments_s:
            return None
        # Rounded up: a poll that ends too early would spin until the moment comes.
        return max(0.0, (min(self._moments_s.values()) - time.monotonic()) * 1e3 + 0.1)

    def run_due(self) -> None:
        """Call every function whose moment has come."""
        now_s = time.monotonic()
        for action in [action for action, at_s in self._moments_s.items() if at_s <= now_s]:
            if self._moments_s.pop(action, None) is not None:  # another action may have cancelled it
                action(now_s)
