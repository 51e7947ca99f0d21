"""The guard's side of its connection to the owner."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import select
import time
from collections.abc import Callable, Mapping
from typing import Any

from .lines import LineReader, LineWriter
from .messages import Message
from .procfs import read_stat
from .watches import Watches

__all__ = ["OwnerLink"]

_EVENT_PIPE_BYTES = 1 << 20
_LAST_WORD_S = 5.0
"""How long the guard waits for an owner that lives and reads nothing, with the last figures in hand."""


class OwnerLink:
    """The owner's requests and the events for it, and the signs that it is gone.

    Args:
        control: pipe from the owner; its end means that the owner is gone.
        events: pipe to the owner.
        pidfds: a readable one means that the owner, or its parent under xdist, is gone.
        watches: where the descriptors are watched.
        on_gone: called at each sign that the owner is gone.
    """

    def __init__(
        self, control: int, events: int, pidfds: list[int], watches: Watches, on_gone: Callable[[], None]
    ) -> None:
        self.handlers: Mapping[type, Callable[[Any], None]] = {}
        """What to do with each kind of request."""
        self.control = control
        self.pidfds = pidfds
        self._pid = os.getppid()
        self._requests = LineReader(control)
        self._events = LineWriter(events)
        self._watches = watches
        self._on_gone = on_gone
        os.set_blocking(events, False)
        with contextlib.suppress(OSError):  # the default size holds what is sent unasked
            fcntl.fcntl(events, fcntl.F_SETPIPE_SZ, _EVENT_PIPE_BYTES)
        watches.add(control, self._read)
        for fd in pidfds:
            watches.add(fd, functools.partial(self._lose, fd))

    def _read(self) -> None:
        for request in self._requests.read():
            self.handlers[type(request)](request)
        if self._requests.ended:
            self._lose(self.control)

    def _lose(self, fd: int) -> None:
        self._watches.remove(fd)  # it stays readable: an orderly stop would spin on it
        self._on_gone()

    @property
    def is_stopped(self) -> bool:
        """``True`` while a signal such as SIGSTOP stops the owner."""
        stat = read_stat(self._pid) if os.getppid() == self._pid else None
        return stat is not None and stat.state in "Tt"

    def send(self, message: Message) -> None:
        """Send an event now, or when the pipe has room again."""
        self._events.send(message)  # an owner that is gone is noticed by its pipe and its pidfd
        if self._events.pending and self._events.fd not in self._watches:
            self._watches.add(self._events.fd, self._flush, select.POLLOUT)

    def _flush(self) -> None:
        self._events.flush()
        if not self._events.pending:
            self._watches.remove(self._events.fd)

    def flush_all(self) -> None:
        """Wait until the owner has read everything, 5 s at most: the last figures are longer than the pipe."""
        poll = select.poll()
        poll.register(self._events.fd, select.POLLOUT)
        deadline_s = time.monotonic() + _LAST_WORD_S
        while self._events.pending and time.monotonic() < deadline_s:
            poll.poll(_LAST_WORD_S * 1e3)
            self._events.flush()
