"""The folder of one run: records appended one by one, and the folders of the experiments.

One process appends to a store; other processes of the same session (xdist's workers) open it for experiment folders.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import fcntl
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ..errors import RecordError
from .atomic_write import replace_symlink, why, write_file
from .codec import encode, to_json_text
from .reader import EXPERIMENT_NAME, RECORDS_NAME, in_progress, read_records, unfinished_records
from .record import Record
from .run_info import RunInfo, run_json

__all__ = ["RunStore", "choose_folder", "experiment_label"]

_UNSAFE = re.compile(r"[^A-Za-z0-9._=+,@-]+")
_LONGEST_NAME = 120
"""Characters of a folder's name: most file systems take 255 bytes, and logs inside it need room in a path."""
_ATTEMPTS = 10_000


def experiment_label(cell: str, repetition: int, attempt: int) -> str:
    """The name of an experiment's folder; only retries carry their number.

    >>> experiment_label("3f2a", 0, 1), experiment_label("3f2a", 1, 2)
    ('3f2a-rep0', '3f2a-rep1-try2')
    """
    retry = f"-try{attempt}" if attempt > 1 else ""
    return f"{cell}-rep{repetition}{retry}"


class RunStore:
    """One run's folder. ``create`` makes one, ``open`` joins one that another process made.

    Attributes:
        folder: the run's folder, absolute.
        run_id: its name.
        problems: what went wrong without a record being lost, in words; for the summary.
    """

    def __init__(self, folder: Path, info: RunInfo) -> None:
        self.folder = folder
        self.run_id = info.run_id
        self.problems: list[str] = []
        self._info = info
        self._descriptor: int | None = None
        self._pending: list[bytes] = []

    @classmethod
    def create(
        cls,
        base_dir: Path,
        *,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> RunStore:
        """A new run under ``base_dir``, which is made where it is missing, with ``latest`` pointing to it.

        Sessions that start in the same instant get a folder each. ``folder`` is one that :func:`choose_folder` chose,
        where others had to be told of it before there was anything to keep.

        Raises:
            RecordError: the folder cannot be written: path, reason and remedy. Nothing has been started by then.
        """
        base_dir = base_dir.absolute()
        started = dt.datetime.now().astimezone()
        try:
            base_dir.mkdir(parents=True, exist_ok=True)
            if folder is None:
                folder = _new_run_folder(base_dir, started, name)
            folder.mkdir(exist_ok=True)
            info = RunInfo(
                run_id=folder.name,
                name=name,
                labels=dict(labels or {}),
                started_at=started.isoformat("T", "milliseconds"),
            )
            store = cls(folder, info)
            store._open_records()
            store.write_run(info)
            if not (base_dir / ".gitignore").exists():
                write_file(base_dir / ".gitignore", "# Results are not source code.\n*\n")
        except OSError as error:
            raise RecordError(_unwritable(base_dir, why(error))) from error
        except RecordError as error:
            raise RecordError(_unwritable(base_dir, str(error))) from error
        store._point_latest(base_dir)
        return store

    @classmethod
    def open(cls, folder: Path) -> RunStore:
        """The run in ``folder``, made by another process: for experiment folders and files, not for records."""
        return cls(folder, RunInfo(run_id=folder.name, started_at=""))

    @classmethod
    def resume(cls, folder: Path) -> RunStore:
        """Go on with the run in ``folder``, which its own session has left: records are appended to its records.

        Raises:
            RecordError: another session is at it, or the folder cannot be read or written.
        """
        import msgspec

        folder = folder.absolute()
        if in_progress(folder / RECORDS_NAME):
            raise RecordError(f"another session is at the run in {folder}; wait for it, or begin a run of your own")
        try:
            info = msgspec.json.decode((folder / "run.json").read_bytes(), type=RunInfo)
            store = cls(folder, replace(info, ended_at=None, exit_status=None))
            _end_torn_line(store._open_records(), folder / RECORDS_NAME)
            store.write_run(store.info)
        except (OSError, msgspec.MsgspecError) as error:
            reason = why(error) if isinstance(error, OSError) else str(error)
            raise RecordError(f"the run in {folder} cannot be gone on with: {reason}; begin a new one") from error
        store._point_latest(folder.parent)
        return store

    @property
    def info(self) -> RunInfo:
        """What ``run.json`` holds now."""
        return self._info

    def append(self, record: Record) -> None:
        """Put a record on the disk: one write and one fsync, then ``experiment.json`` in its folder.

        A record that does not fit on the disk is kept, and written before the next one or at :meth:`finish`.

        Raises:
            RecordError: the record is not on the disk yet. All earlier ones are.
        """
        self._pending.append(encode(record) + b"\n")
        self._flush()
        try:
            self.write_experiment(record)
        except RecordError as error:
            self.problems.append(f"{error}; the record itself is in {RECORDS_NAME}")

    def write_experiment(self, record: Record) -> None:
        """Write ``experiment.json`` in the record's folder; also for an attempt that has not ended yet.

        Raises:
            RecordError: it cannot be written.
        """
        if record.folder is not None:
            write_file(self.folder / record.folder / EXPERIMENT_NAME, to_json_text(record), synced=False)

    def adopt_unfinished(self) -> tuple[Record, ...]:
        """Append the records of attempts that left only an ``experiment.json``: crashed or interrupted in a worker.

        Raises:
            RecordError: one of them is not on the disk yet.
        """
        found = tuple(unfinished_records(self.folder, read_records(self.folder).records))
        for record in found:
            self.append(record)
        return found

    def remove_experiment(self, folder: Path) -> None:
        """Remove the folder of an attempt that was none (a skipped test), with what is in it."""
        shutil.rmtree(folder, ignore_errors=True)

    def experiment_folder(self, label: str) -> Path:
        """A new folder under ``experiments/``; a number is added where the name is taken.

        Raises:
            RecordError: it cannot be made.
        """
        name = _safe(label)
        for count in range(1, _ATTEMPTS):
            folder = self.folder / "experiments" / (name if count == 1 else f"{name}-{count}")
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                continue
            except OSError as error:
                raise RecordError(f"{folder} cannot be made: {why(error)}") from error
            return folder
        raise RecordError(f"{self.folder / 'experiments'} already holds {_ATTEMPTS} folders named {name!r}")

    def relative(self, path: Path) -> str:
        """``path`` as records keep it: relative to the run's folder where it lies inside: a run can be moved."""
        return str(path.relative_to(self.folder)) if path.is_relative_to(self.folder) else str(path)

    def write_run(self, info: RunInfo) -> None:
        """Replace ``run.json``.

        Raises:
            RecordError: it cannot be written.
        """
        self._info = info
        write_file(self.folder / "run.json", run_json(info))

    def finish(self, exit_status: int) -> None:
        """Close the run: what is still pending, and the exit status in ``run.json``.

        Raises:
            RecordError: something could not be written. Records that the disk did not take were saved elsewhere, and
                the message says where.
        """
        try:
            if self._pending:
                self._flush()
        except RecordError as error:
            raise RecordError(f"{error}; {self._rescue()}") from error
        finally:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
        ended_at = dt.datetime.now().astimezone().isoformat("T", "milliseconds")
        self.write_run(replace(self._info, ended_at=ended_at, exit_status=exit_status))

    def _open_records(self) -> int:
        if self._descriptor is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(self.folder / RECORDS_NAME, flags, 0o644)
            os.fsync(self._descriptor)
            with contextlib.suppress(OSError):  # a file system without locks: readers take the run for one in progress
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return self._descriptor

    def _flush(self) -> None:
        try:
            descriptor = self._open_records()
            while self._pending:
                _append_line(descriptor, self._pending[0])
                del self._pending[0]
        except OSError as error:
            raise RecordError(
                f"{len(self._pending)} record(s) could not be written to {self.folder / RECORDS_NAME}: {why(error)}; "
                "earlier ones are safe, and writing is tried again with the next one: make room"
            ) from error

    def _rescue(self) -> str:
        """Put what is pending where there may be room; what became of it, in words."""
        path = Path(tempfile.gettempdir()) / f"pytest-energy-{self.run_id}-{secrets.token_hex(4)}.jsonl"
        try:
            write_file(path, b"".join(self._pending))
        except RecordError as error:
            return f"and not elsewhere: {error}"
        return f"they were saved to {path}: append that file to {RECORDS_NAME} when there is room"

    def _point_latest(self, base_dir: Path) -> None:
        try:
            replace_symlink(base_dir / "latest", self.run_id)
        except OSError as error:
            self.problems.append(f"{base_dir / 'latest'} does not point to this run: {why(error)}")


def _append_line(descriptor: int, line: bytes) -> None:
    """Append a line with one write and sync it; a part that the disk took of it is taken back.

    Raises:
        OSError: the line is not in the file.
    """
    written = os.write(descriptor, line)
    if written < len(line):  # the disk is full: write(2) may take a part
        os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(descriptor)


def _end_torn_line(descriptor: int, file: Path) -> None:
    """End a line that a killed session left half-written, so that the next record has a line of its own."""
    with file.open("rb") as records:
        size = records.seek(0, os.SEEK_END)
        records.seek(max(0, size - 1))
        if size and records.read(1) != b"\n":
            _append_line(descriptor, b"\n")


def _new_run_folder(base_dir: Path, started: dt.datetime, name: str | None) -> Path:
    """A folder named by its time and a random part; ``mkdir`` settles who owns a name."""
    while True:
        folder = _named_folder(base_dir, started, name)
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder


def choose_folder(base_dir: Path, name: str | None = None) -> Path:
    """A name for a run that starts now, absolute; nothing is made yet."""
    return _named_folder(base_dir.absolute(), dt.datetime.now().astimezone(), name)


def _named_folder(base_dir: Path, started: dt.datetime, name: str | None) -> Path:
    middle = f"-{_safe(name)}" if name else ""
    return base_dir / f"{started.strftime('%Y%m%d-%H%M%S')}{middle}-{secrets.token_hex(3)}"


def _unwritable(base_dir: Path, reason: str) -> str:
    return (
        f"results cannot be written to {base_dir}: {reason}; make that folder writable or name another one with "
        "--energy-dir=DIR"
    )


def _safe(label: str) -> str:
    """A label as a folder's name: one level, no surprises in a shell, never hidden, never empty."""
    name = _UNSAFE.sub("_", label).lstrip(".-")[:_LONGEST_NAME]
    return name or "experiment"
