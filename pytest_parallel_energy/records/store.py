"""The folder of one run: records appended one by one, and the folders of the experiments.

One process appends to a store; other processes of the same session (xdist's workers) open it for experiment folders.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec.structs import replace

from ..errors import RecordError
from ..units import count_of
from .atomic_write import file_in_the_way, why, write_file
from .codec import to_json_text
from .latest_link import point_latest
from .masking import is_private
from .open_records import OpenRecords
from .reader import EXPERIMENT_NAME, RECORDS_NAME, RUN_NAME, read_records, unfinished_records, worker_records
from .record import Record
from .record_paths import path_inside
from .rescue import rescue_records, rescued_files
from .run_folder import make_results_dir, new_run_folder, safe_name
from .run_info import RunInfo, run_json
from .run_lock import RunInUseError, RunLock
from .worker_file import remove_kept

__all__ = ["RunStore"]

_SAME_NAMES = 10_000
_WORKERS_END_S = 15.0
"""Longest wait for workers of a killed controller: execnet ends them 10 s after it at the latest."""


class RunStore:
    """One run's folder.

    ``create`` makes one, ``resume`` takes over one of an earlier session, ``open`` joins one as a worker.

    Attributes:
        folder: the run's folder, absolute.
        run_id: its name.
        problems: what went wrong without a record being lost, in words; for the summary.
        resumed: the records of earlier sessions, where the run is resumed.
    """

    def __init__(self, folder: Path, info: RunInfo) -> None:
        self.folder = folder
        self.run_id = info.run_id
        self.problems: list[str] = []
        self.resumed: tuple[Record, ...] = ()
        self._info = info
        self._lock: RunLock | None = None
        self._file = OpenRecords(folder / RECORDS_NAME)
        self._pending: list[Record] = []
        self._known: set[str] = set()
        """Ids of the records in the file (no other process writes to it), pending, or saved elsewhere."""

    @classmethod
    def create(
        cls,
        base_dir: Path,
        *,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> RunStore:
        """Make a new run under ``base_dir``, which is made where it is missing, with this host's ``latest`` link.

        Sessions that start in the same instant get a folder each. ``folder`` is one that
        :func:`~.run_folder.choose_folder` chose, where workers had to know it before there was anything to keep.

        Raises:
            RecordError: the folder cannot be written: path, reason and remedy. Nothing has been started by then.
        """
        base_dir = base_dir.absolute()
        started = dt.datetime.now().astimezone()
        try:
            make_results_dir(base_dir)
            if folder is None:
                folder = new_run_folder(base_dir, started, name)
            folder.mkdir(exist_ok=True)
            info = RunInfo(
                run_id=folder.name,
                name=name,
                labels=dict(labels or {}),
                started_at=started.isoformat("T", "milliseconds"),
            )
            store = cls(folder, info)
            store._file.open()
            with contextlib.suppress(OSError):  # a file system without locks: readers see a run in progress
                store._lock = RunLock.hold(folder)
            store.write_run(info)
        except OSError as error:
            raise RecordError(_unwritable(base_dir, why(error))) from error
        except RecordError as error:
            raise RecordError(_unwritable(base_dir, str(error))) from error
        store._point_latest()
        return store

    @classmethod
    def open(cls, folder: Path, *, on_own_host: bool = True) -> RunStore:
        """Join the run in ``folder`` as a worker: for experiment folders and files, not for records.

        The run counts as in progress until :meth:`release`, also when the process that appends its records has died.
        ``on_own_host`` is false for a worker on another host than that process: then it writes to no file of the run
        that another host writes to as well.
        """
        store = cls(folder, RunInfo(run_id=folder.name, started_at=""))
        with contextlib.suppress(OSError, RecordError):  # the first experiment says what is wrong with the folder
            make_results_dir(folder.parent)
            folder.mkdir(exist_ok=True)
            if on_own_host:
                store._lock = RunLock.join(folder)
                store._begin_for_controller()
        return store

    def _begin_for_controller(self) -> None:
        """Make the folder one that can be read and resumed, in case the controller dies before its first record."""
        if (self.folder / RUN_NAME).exists():
            return
        os.close(os.open(self.folder / RECORDS_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644))
        started_at = dt.datetime.now().astimezone().isoformat("T", "milliseconds")
        self.write_run(replace(self._info, started_at=started_at))
        self._point_latest()

    @classmethod
    def resume(cls, folder: Path, *, becomes_latest: bool = True) -> RunStore:
        """Take over the run in ``folder`` from an earlier session, whose records are then in :attr:`resumed`.

        First the run is locked until :meth:`release`, then attempts that a crash cut off are adopted and rescued
        records are taken back, and only then the records are read: each finished experiment is among them once.
        ``run.json`` stays as it is.

        Args:
            folder: of the run.
            becomes_latest: point this host's ``latest`` link to the run.

        Raises:
            RecordError: another session is using the run, or the folder cannot be read, locked or written.
        """
        folder = folder.absolute()
        store = None
        try:
            lock = RunLock.hold(folder, wait_for_workers_s=_WORKERS_END_S)
            store = cls(folder, RunInfo(run_id=folder.name, started_at=""))
            store._lock = lock
            info = msgspec.json.decode((folder / RUN_NAME).read_bytes(), type=RunInfo)
            store._info = replace(info, ended_at=None, exit_status=None)
            store.run_id = info.run_id
            store._file.end_torn_line()
            store._take_over()
        except RunInUseError:
            raise
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecordError) as error:
            if store is not None:
                store.release()
            reason = why(error) if isinstance(error, OSError) else str(error)
            raise RecordError(
                f"the run in {folder} cannot be resumed: {reason}; fix it or start a new run by leaving out "
                "--energy-resume"
            ) from error
        if becomes_latest:
            store._point_latest()
        return store

    def _take_over(self) -> None:
        """Adopt what dead sessions left, then read what there is.

        Raises:
            RecordError: something cannot be read, or is not on the disk yet.
        """
        found = list(read_records(self.folder).records)  # without the unfinished: the run is locked
        self._known = {record.record_id for record in found}
        for file in rescued_files(self.run_id):
            for record in read_records(file).records:
                if record.record_id not in self._known:
                    self.append(record)
                    found.append(record)
            file.unlink()
        self.resumed = (*found, *self.adopt_unfinished())

    @property
    def info(self) -> RunInfo:
        """The content of ``run.json``, as this process knows it."""
        return self._info

    def append(self, record: Record) -> None:
        """Put a record on the disk: one write and one fsync, then ``experiment.json`` in its folder.

        A record that does not fit on the disk is kept, and written before the next one or by :meth:`flush`.

        Raises:
            RecordError: the record is not on the disk yet. All earlier ones are.
        """
        self._known.add(record.record_id)
        self._pending.append(record)
        try:
            self.flush()
        finally:  # also where the line did not fit: should this process be killed now, the attempt is not lost
            problem = self.keep_experiment(record)
        if problem:
            self.problems.append(f"{problem}; the record itself is in {RECORDS_NAME}")

    def keep_experiment(self, record: Record) -> str | None:
        """Write ``experiment.json`` in the record's folder; also for an attempt that has not ended yet.

        Returns:
            Why it could not be written; ``None`` when it was, or when the record has no folder.
        """
        if record.folder is None:
            return None
        try:
            folder = path_inside(self.folder, record.folder)
        except RecordError as error:
            return str(error)
        return self.keep_file(folder / EXPERIMENT_NAME, to_json_text(record), private=is_private(record))

    def keep_file(self, path: Path, content: str | bytes, *, private: bool = False) -> str | None:
        """Write a file that accompanies a record: no record depends on it, so that failing is a remark, not an error.

        Returns:
            Why it could not be written; ``None`` when it was.
        """
        try:
            write_file(path, content, synced=False, private=private)
        except RecordError as error:
            return str(error)
        return None

    def adopt_unfinished(self) -> Iterator[Record]:
        """Append the records that did not arrive, and yield each of them.

        They are those that a worker on another host still had in a file of its own, and those of attempts that left
        only an ``experiment.json``: they crashed, or were interrupted in a worker. Attempts whose own record is in the
        file, pending or saved elsewhere are left alone.

        Raises:
            RecordError: one does not fit on the disk; it stays in its own folder, where readers find it.
        """
        arrived_late = worker_records(self.folder, self._known, [])
        for record in itertools.chain(arrived_late, unfinished_records(self.folder, self._known)):
            try:
                self.append(record)
            except RecordError as error:
                self._pending = [pending for pending in self._pending if pending is not record]
                self._known.discard(record.record_id)
                raise RecordError(f"the attempt in {record.folder} could not be added: {error}") from error
            yield record
        if not self._pending:
            remove_kept(self.folder, self._known)

    def remove_experiment(self, folder: Path) -> None:
        """Remove the folder of an attempt that did not count (a skipped test), with its content."""
        shutil.rmtree(folder, ignore_errors=True)

    def experiment_folder(self, label: str) -> Path:
        """Make a new folder under ``experiments/``; a number is added where the name is taken.

        Raises:
            RecordError: it cannot be made.
        """
        name = safe_name(label)
        for count in range(1, _SAME_NAMES):
            folder = self.folder / "experiments" / (name if count == 1 else f"{name}-{count}")
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                continue
            except OSError as error:
                raise RecordError(f"{folder} cannot be made: {why(error)}") from error
            return folder
        raise RecordError(f"{self.folder / 'experiments'} already holds {_SAME_NAMES} folders named {name!r}")

    def relative(self, path: Path) -> str:
        """Return ``path`` as records keep it: relative to the run's folder where it lies inside: a run can be moved."""
        return str(path.relative_to(self.folder)) if path.is_relative_to(self.folder) else str(path)

    def write_run(self, info: RunInfo) -> None:
        """Replace ``run.json``.

        Raises:
            RecordError: it cannot be written.
        """
        self._info = info
        write_file(self.folder / RUN_NAME, run_json(info))

    def flush(self) -> None:
        """Write the pending records, oldest first.

        Raises:
            RecordError: some are not on the disk yet.
        """
        try:
            self._pending[:0] = self._file.take_removed()
            self._file.open()
            while self._pending:
                self._file.append(self._pending[0])
                del self._pending[0]
        except OSError as error:
            raise RecordError(
                f"{count_of(len(self._pending), 'record')} could not be written to {self.folder / RECORDS_NAME}: "
                f"{why(error)}; earlier records are safe, and writing is retried with the next one: make room"
            ) from error

    def rescue(self) -> str:
        """Save the pending records outside of the run, and return where, as a sentence.

        Their ``experiment.json`` goes: it would say that they crashed.
        """
        sentence = rescue_records(self.run_id, self._pending)
        for record in self._pending:
            if record.folder is not None:
                with contextlib.suppress(OSError, RecordError):
                    (path_inside(self.folder, record.folder) / EXPERIMENT_NAME).unlink()
        self._pending.clear()
        return sentence

    def end_run(self, exit_status: int) -> None:
        """Write the end and the exit status into ``run.json``.

        Raises:
            RecordError: it cannot be written.
        """
        ended_at = dt.datetime.now().astimezone().isoformat("T", "milliseconds")
        self.write_run(replace(self._info, ended_at=ended_at, exit_status=exit_status))

    def release(self) -> None:
        """Close the file of records, and let other sessions resume the run. May be called twice."""
        self._file.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def finish(self, exit_status: int) -> None:
        """Flush, end the run and release it, for scripts that need no more; sessions use ``run.closing``.

        Raises:
            RecordError: something could not be written; the message says where pending records were saved.
        """
        try:
            try:
                self.flush()
            except RecordError as error:
                raise RecordError(f"{error}; {self.rescue()}") from error
            self.end_run(exit_status)
        finally:
            self.release()

    def _point_latest(self) -> None:
        try:
            point_latest(self.folder)
        except OSError as error:
            self.problems.append(f"the link {self.folder.parent / 'latest'} does not point to this run: {why(error)}")


def _unwritable(base_dir: Path, reason: str) -> str:
    if file := file_in_the_way(base_dir):
        return (
            f"results cannot be written to {base_dir}: {file} is a file, not a folder; name a folder with "
            "--energy-dir=DIR"
        )
    return (
        f"results cannot be written to {base_dir}: {reason}; make that folder writable or name another one with "
        "--energy-dir=DIR"
    )
