"""The records of a worker on another host, on a disk that it can reach, until the controller has them.

Each worker writes a file of its own, so that no file is written by two hosts: ``hosts/<name>/records.jsonl`` in the
folder of the run. Where the hosts share that folder, the controller takes from there what a lost connection kept back;
where they do not, ``merge`` reads the copied folder.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Sequence
from pathlib import Path

from ..errors import RecordError
from .atomic_write import why
from .codec import encode
from .reader import HOSTS_NAME, RECORDS_NAME, Problem, iter_records, worker_files
from .record import Record
from .run_folder import safe_name

__all__ = ["WorkerFile", "remove_kept"]


class WorkerFile:
    """The file of one worker.

    Args:
        run_folder: the folder of the run on the worker's host.
        worker: the host's name and the worker's, such as ``node1-gw0``.
    """

    def __init__(self, run_folder: Path, worker: str) -> None:
        self._folder = run_folder / HOSTS_NAME / safe_name(worker)

    def append(self, records: Sequence[Record]) -> None:
        """Append records and sync them.

        Raises:
            RecordError: they cannot be written.
        """
        lines = b"".join(encode(record) + b"\n" for record in records)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            with os.fdopen(os.open(self._folder / RECORDS_NAME, flags, 0o600), "ab") as file:
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise RecordError(f"{self._folder} cannot be written: {why(error)}") from error


def remove_kept(run_folder: Path, known: Collection[str]) -> None:
    """Remove the files whose records are all among ``known``: the controller has put them on its own disk."""
    for file in worker_files(run_folder):
        problems: list[Problem] = []
        with contextlib.suppress(RecordError, OSError):
            ids = [record.record_id for record in iter_records(file, problems)]
            if not problems and all(record_id in known for record_id in ids):
                file.unlink()
                file.parent.rmdir()
    with contextlib.suppress(OSError):  # another worker's file is still there, or there was none
        (run_folder / HOSTS_NAME).rmdir()
