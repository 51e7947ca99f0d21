"""JSON objects over pipes, one a line."""

from __future__ import annotations

import json
import os
from typing import Any

__all__ = ["LineReader", "LineWriter", "send"]

_CHUNK_BYTES = 1 << 16


class LineReader:
    """Reads objects from a descriptor, as many as there are; a last line that has no end yet is kept."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.ended = False
        """The other side closed the pipe."""
        self._rest = b""

    def read(self) -> list[dict[str, Any]]:
        """One read; the objects that are complete after it."""
        return [json.loads(line) for line in self.read_lines()]

    def read_lines(self) -> list[bytes]:
        """One read; the lines that are complete after it."""
        try:
            data = os.read(self.fd, _CHUNK_BYTES)
        except BlockingIOError:
            return []
        if not data:
            self.ended = True
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines


def send(fd: int, message: dict[str, Any]) -> bool:
    """Write one object to a pipe that blocks while it is full; ``False`` when nobody reads any more."""
    data = _line(message)
    try:
        while data:
            data = data[os.write(fd, data) :]
    except BrokenPipeError:
        return False
    return True


class LineWriter:
    """Writes objects to a pipe that must not block: what a full pipe does not take is kept, and no line is cut."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._rest = b""

    @property
    def pending(self) -> bool:
        """Whether something waits for the pipe to be read."""
        return bool(self._rest)

    def send(self, message: dict[str, Any]) -> None:
        """Write one object, or keep it; dropped when nobody reads any more."""
        self._rest += _line(message)
        self.flush()

    def flush(self) -> None:
        """Write as much as the pipe takes now."""
        try:
            while self._rest:
                self._rest = self._rest[os.write(self.fd, self._rest) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._rest = b""


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"
