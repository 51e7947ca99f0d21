"""Readiness of a load: it is ready when it was seen to work, by one of six signs."""

from __future__ import annotations

import errno
import select
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

__all__ = ["Readiness", "is_served"]

_ACTIVITY_WINDOW_S = 0.5
_PORT_TIMEOUT_MS = 200
_SURVIVED_S = 0.3
"""A training that prints its settings and crashes at once does not train."""


class Readiness:
    """The readiness of one load.

    Args:
        spec: ``kind`` and, by kind: ``pattern``: ``pattern`` in the output; ``port``: a TCP ``port`` of this host
            accepts; ``seconds``: it has run for ``seconds``; ``activity``: a round used ``cpu_s`` seconds of CPU,
            and over the last half second at least ``busy_ratio`` of one core; ``started``: at once; ``training``: one
            of ``patterns`` in the output of a round that goes on, or activity once ``patience_s`` have passed.
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        self._spec = spec
        self.ready = False
        self.busy_at_s: float | None = None
        """When the load was first seen to be busy, on the monotonic clock; ``None`` before, and where it is not looked
        for."""
        self._began_s: float | None = None
        self._matched_s: float | None = None
        self._samples: list[tuple[float, float]] = []
        self._cpu_before_s = 0.0

    @property
    def is_activity(self) -> bool:
        """``True`` when a whole round that went well is a sign too."""
        return self._spec["kind"] in {"activity", "training"}

    @property
    def patterns(self) -> list[str]:
        """The patterns to look for in the output, if that is the sign."""
        return {"pattern": [self._spec["pattern"]], "training": list(self._spec["patterns"])}.get(
            self._spec["kind"], []
        )

    def begin(self, cpu_s: float) -> None:
        """Note that a round begins at ``cpu_s``: what failed rounds used before is not a sign of work."""
        self._samples.clear()
        self._matched_s = None
        self._cpu_before_s = cpu_s

    def take_match(self, now_s: float) -> bool:
        """Note that a pattern matched; return whether this alone makes the load ready."""
        self._matched_s = now_s
        return bool(self._spec["kind"] == "pattern")

    def look(self, now_s: float, good_s: float | None, cpu_s: float) -> bool:
        """Return whether the load became ready just now.

        Args:
            now_s: the monotonic clock.
            good_s: how long the load has run since its last bad round, ``None`` between rounds.
            cpu_s: CPU seconds that the load used up to now.
        """
        if self.ready or good_s is None:
            return False
        kind = self._spec["kind"]
        if kind == "started":
            self.ready = True
        elif kind == "seconds":
            self.ready = good_s >= float(self._spec["seconds"])
        elif kind == "port":
            self.ready = _accepts(self._spec["port"])
        elif kind == "activity":
            self.ready = self._is_busy(now_s, cpu_s)
        elif kind == "training":
            self._began_s = now_s if self._began_s is None else self._began_s
            busy, patient = self._is_busy(now_s, cpu_s), now_s - self._began_s < float(self._spec["patience_s"])
            survived = self._matched_s is not None and now_s - self._matched_s >= _SURVIVED_S
            self.ready = survived or (busy and not patient)
        return bool(self.ready)

    def _is_busy(self, now_s: float, cpu_s: float) -> bool:
        self._samples.append((now_s, cpu_s))
        while now_s - self._samples[0][0] > _ACTIVITY_WINDOW_S and len(self._samples) > 2:  # noqa: PLR2004 - two ends
            self._samples.pop(0)
        (from_s, from_cpu_s) = self._samples[0]
        if cpu_s - self._cpu_before_s < self._spec["cpu_s"] or now_s - from_s < _ACTIVITY_WINDOW_S / 2:
            return False
        busy = cpu_s - from_cpu_s >= float(self._spec["busy_ratio"]) * (now_s - from_s)
        if busy and self.busy_at_s is None:
            self.busy_at_s = now_s
        return busy


def _accepts(port: int) -> bool:
    import socket  # two milliseconds that only this sign of readiness pays

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        return is_served(probe, port)


def is_served(probe: socket.socket, port: int) -> bool:
    """Return whether a program accepts connections at a TCP port of this host.

    Args:
        probe: a fresh socket.
        port: the port.
    """
    from socket import SO_ERROR, SOL_SOCKET

    probe.setblocking(False)
    result = probe.connect_ex(("127.0.0.1", port))
    if result == errno.EINPROGRESS:
        poll = select.poll()
        poll.register(probe, select.POLLOUT)
        if not poll.poll(_PORT_TIMEOUT_MS):
            return False
        result = probe.getsockopt(SOL_SOCKET, SO_ERROR)
    # A probe whose own port happens to be the one it connects to meets itself (RFC 9293, simultaneous open).
    return result == 0 and probe.getsockname() != probe.getpeername()
