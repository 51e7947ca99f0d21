"""JSON objects over pipes, one a line."""

from __future__ import annotations

import json
import os
from typing import Any

__all__ = ["LineReader", "send"]

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
    """Write one object; ``False`` when nobody reads any more, or the pipe is full."""
    data = json.dumps(message).encode() + b"\n"
    try:
        # One write: what fits into a pipe whole is never mixed with others' or cut in two.
        return os.write(fd, data) == len(data)
    except (BrokenPipeError, BlockingIOError):
        return False
