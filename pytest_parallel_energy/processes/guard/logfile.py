"""The load's output: read by the guard, kept in a file of bounded size, with its last part in memory.

A disk that is full or slow to refuse stops neither the load nor the guard: what cannot be written is counted as lost.
"""

from __future__ import annotations

import collections
import contextlib
import os
import time
from typing import TYPE_CHECKING

from .pattern import PatternSearch

if TYPE_CHECKING:
    from .output_times import OutputTimes

__all__ = ["Pump", "RingLog"]

_CHUNK_BYTES = 1 << 20


class RingLog:
    """A file that keeps the first ``limit_bytes`` of what is written, and at its end the last ``tail_bytes``."""

    def __init__(self, path: str, *, limit_bytes: int, tail_bytes: int) -> None:
        self.lost_bytes = 0
        """Bytes that the disk refused."""
        self._limit_bytes = limit_bytes
        self._tail_bytes = tail_bytes
        self._written_bytes = 0
        self._beyond_bytes = 0
        self._tail: collections.deque[bytes] = collections.deque()
        self._in_tail_bytes = 0
        self._fd = self._open(path)

    def _open(self, path: str) -> int:
        try:
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError:
            return -1

    def write(self, data: bytes) -> None:
        """Keep ``data``, and count what the disk refuses as lost."""
        head = data[: max(0, self._limit_bytes - self._written_bytes)]
        if head:
            self._store(head)
            self._written_bytes += len(head)
        self._beyond_bytes += len(data) - len(head)
        self._tail.append(data[-self._tail_bytes :])
        self._in_tail_bytes += len(self._tail[-1])
        while self._in_tail_bytes - len(self._tail[0]) >= self._tail_bytes:
            self._in_tail_bytes -= len(self._tail.popleft())

    def _store(self, data: bytes) -> None:
        done = 0
        try:
            while done < len(data):
                done += os.write(self._fd, data[done:])
        except OSError:
            self.lost_bytes += len(data) - done

    def tail(self, limit_bytes: int) -> bytes:
        """Return the last ``limit_bytes`` of what was written, also when the disk took none of it."""
        return b"".join(self._tail)[-limit_bytes:]

    def close(self) -> None:
        """Write the tail, if the file ends before it, and close."""
        if self._beyond_bytes:
            tail = b"".join(self._tail)[-min(self._tail_bytes, self._beyond_bytes) :]
            left_out_bytes = self._beyond_bytes - len(tail)
            if left_out_bytes:
                self._store(b"\n[... %d bytes left out ...]\n" % left_out_bytes)
            self._store(tail)
        if self._fd >= 0:
            with contextlib.suppress(OSError):  # a network file system may report here what it refused (close(2))
                os.close(self._fd)
            self._fd = -1


class Pump:
    """A pump that moves what the load prints from its pipe to the present log, and looks for patterns in it."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self.log: RingLog | None = None
        self.total_bytes = 0
        self.search: PatternSearch | None = None
        """The search for readiness patterns, where there are any."""
        self.times: OutputTimes | None = None
        """The times of the output, where they are wanted."""

    def move(self) -> bool:
        """Move what is there, one mebibyte at most; return ``True`` when a pattern was seen."""
        try:
            data = os.read(self.fd, _CHUNK_BYTES)
        except BlockingIOError:
            return False
        self.total_bytes += len(data)
        if self.times is not None and data:
            self.times.note(self.total_bytes, time.monotonic())
        if self.log is not None:
            self.log.write(data)
        return self.search is not None and self.search.feed(data)

    def drain(self) -> bool:
        """Move all that is there, 64 MiB at most (a flood has no end); return ``True`` when a pattern was seen."""
        found = False
        for _ in range(64):
            before = self.total_bytes
            found = self.move() or found
            if self.total_bytes == before:
                break
        return found
