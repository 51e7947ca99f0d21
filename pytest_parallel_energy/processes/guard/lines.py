"""Messages over pipes, one per line."""

from __future__ import annotations

import os
from typing import Any

from .messages import Message, decode, encode

__all__ = ["LineReader", "LineWriter", "send"]

_CHUNK_BYTES = 1 << 16


class LineReader:
    """A reader of lines that keeps the beginning of a line until its end has arrived."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.ended = False
        """The other side closed the pipe."""
        self._rest = b""

    def read(self) -> list[Any]:
        """Read once, and return the messages that are complete after it."""
        return [decode(line) for line in self.read_lines()]

    def read_lines(self) -> list[bytes]:
        """Read once, and return the lines that are complete after it, without their ends."""
        try:
            data = os.read(self.fd, _CHUNK_BYTES)
        except BlockingIOError:
            return []
        if not data:
            self.ended = True
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines


def send(fd: int, message: Message) -> bool:
    """Write a message to a pipe, waiting while it is full; return ``False`` when the reader is gone."""
    data = encode(message)
    try:
        while data:
            data = data[os.write(fd, data) :]
    except BrokenPipeError:
        return False
    return True


class LineWriter:
    """A writer that never waits: it keeps what a full pipe does not take, and cuts no line."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._rest = b""

    @property
    def pending(self) -> bool:
        """``True`` while something waits for the pipe to be read."""
        return bool(self._rest)

    def send(self, message: Message) -> None:
        """Write a message, or keep it; drop it when the reader is gone."""
        self._rest += encode(message)
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
