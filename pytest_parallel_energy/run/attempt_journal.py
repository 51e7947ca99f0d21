"""The attempt in progress on the disk, so that a killed process leaves a record of it."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from ..errors import RecordError
from ..records.atomic_write import why
from ..records.codec import encode
from ..records.reader import EXPERIMENT_NAME
from ..records.record import Record

__all__ = ["AttemptJournal"]


class AttemptJournal:
    """One file per process, overwritten in place by each attempt: a fraction of the cost of a new file per attempt.

    Readers find the file like the ``experiment.json`` of any attempt. Once the attempt's own record has been appended
    to the results, they ignore it, because both have the same ``record_id``.

    Args:
        folder: a new folder under ``experiments/``, for this process alone.

    Raises:
        RecordError: the file cannot be created.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._size_bytes = 0
        self._writing = threading.Lock()
        try:
            self._descriptor = os.open(folder / EXPERIMENT_NAME, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise RecordError(f"{folder / EXPERIMENT_NAME} cannot be created: {why(error)}") from error

    def write(self, record: Record) -> None:
        """Replace the file's content by ``record``.

        Raises:
            RecordError: it cannot be written.
        """
        self._overwrite(encode(record))

    def clear(self) -> None:
        """Empty the file: the attempt's record is kept elsewhere, or the attempt did not count.

        Raises:
            RecordError: it cannot be written.
        """
        self._overwrite(b"")

    def remove(self) -> None:
        """Remove the file and its folder, at the end of the process."""
        with self._writing:
            os.close(self._descriptor)
            with contextlib.suppress(OSError):
                (self.folder / EXPERIMENT_NAME).unlink()
                self.folder.rmdir()

    def _overwrite(self, content: bytes) -> None:
        # One write that covers what was there (JSON may end in spaces): a killed process leaves the old or the new.
        with self._writing:
            self._size_bytes = max(self._size_bytes, len(content) + 1)
            padded = content.ljust(self._size_bytes - 1) + b"\n"
            try:
                if os.fstat(self._descriptor).st_nlink == 0:
                    raise RecordError(f"{self.folder / EXPERIMENT_NAME} was removed while the run was in progress")
                if os.pwrite(self._descriptor, padded, 0) < len(padded):
                    raise RecordError(f"{self.folder / EXPERIMENT_NAME} cannot be written: the disk is full; make room")
            except OSError as error:
                raise RecordError(f"{self.folder / EXPERIMENT_NAME} cannot be written: {why(error)}") from error
