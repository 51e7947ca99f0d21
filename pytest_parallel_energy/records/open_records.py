"""The file of a run's records, which one process keeps open and appends to."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from ..errors import RecordError
from .codec import decode, encode
from .masking import is_private
from .record import Record

__all__ = ["OpenRecords"]


class OpenRecords:
    """The open file of records: each record is one write and one fsync, so that a crash cuts at most the last line.

    Args:
        path: the file; it is made, with its folder, by :meth:`open`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def open(self) -> int:
        """Open the file, which is made where it is missing, and return its descriptor; a second call returns it again.

        Raises:
            OSError: it cannot be opened or made.
        """
        if self._descriptor is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(self.path, flags, 0o644)
            os.fsync(self._descriptor)
        return self._descriptor

    def append(self, record: Record) -> None:
        """Append a record; a file with a private one can be read by its owner alone.

        Raises:
            OSError: the record is not in the file.
        """
        descriptor = self.open()
        if is_private(record):
            with contextlib.suppress(OSError):  # a file system without modes
                os.fchmod(descriptor, 0o600)
        _append_line(descriptor, encode(record) + b"\n")

    def end_torn_line(self) -> None:
        """End a line that a killed session left half-written, so that the next record has a line of its own.

        Raises:
            OSError: the file cannot be read or written.
        """
        descriptor = self.open()
        with self.path.open("rb") as records:
            size = records.seek(0, os.SEEK_END)
            records.seek(max(0, size - 1))
            if size and records.read(1) != b"\n":
                _append_line(descriptor, b"\n")

    def take_removed(self) -> list[Record]:
        """Return the records of a file that was removed (``git clean``), and close it; none if it is still there.

        The content of a removed file exists as long as a process has it open.

        Raises:
            OSError: it cannot be read.
        """
        descriptor = self._descriptor
        if descriptor is None or os.fstat(descriptor).st_nlink:
            return []
        data = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
        self.close()
        found = []
        for line in data.splitlines():
            with contextlib.suppress(RecordError):
                found.append(decode(line))
        return found

    def close(self) -> None:
        """Close the file. May be called twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _append_line(descriptor: int, line: bytes) -> None:
    """Append a line with one write and sync it; a part that the disk took of it is taken back.

    Raises:
        OSError: the line is not in the file.
    """
    written = os.write(descriptor, line)
    try:
        if written < len(line):  # the disk is full: write(2) may take a part
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: TRY301 - as fsync raises it
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
        raise
