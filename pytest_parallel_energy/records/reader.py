"""Reading records back: from a run's folder, a file, or the folder that holds all runs."""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct
from msgspec.structs import force_setattr

from ..errors import RecordError
from .atomic_write import why
from .codec import NewerRecordError, decode
from .latest_link import latest_run
from .record import HostPart, Record, Status
from .run_lock import LOCK_NAME, in_progress

__all__ = [
    "EXPERIMENT_NAME",
    "HOSTS_NAME",
    "RECORDS_NAME",
    "RUN_NAME",
    "Problem",
    "Records",
    "check_target",
    "iter_records",
    "no_collection",
    "read_records",
    "records_file",
    "supersedes",
    "unfinished_records",
    "worker_files",
    "worker_records",
]

RECORDS_NAME = "records.jsonl"
EXPERIMENT_NAME = "experiment.json"
RUN_NAME = "run.json"
HOSTS_NAME = "hosts"
"""The folder in a run's in which each worker on another host has a file of its own."""
_PRECIOUS = frozenset({RECORDS_NAME, RUN_NAME, LOCK_NAME})


class Problem(Struct, frozen=True, kw_only=True):
    """A line that could not be read, and was left out."""

    path: Path
    line: int
    """Counted from 1."""
    reason: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.reason}"


class Records(Struct, frozen=True, kw_only=True):
    """The records that were read, in the order of writing, and the lines that could not be."""

    path: Path
    records: tuple[Record, ...]
    problems: tuple[Problem, ...]


def records_file(path: Path) -> Path:
    """Return the file of records that ``path`` stands for: itself, or one in a run's folder or its ``latest``.

    Raises:
        RecordError: there is none, or it is not a plain file (reading a pipe or a device might never end).
    """
    for candidate in (path, path / RECORDS_NAME, latest_run(path) / RECORDS_NAME):
        if candidate.is_file():
            return candidate
    state = "does not exist"
    if path.is_dir():
        state = f"holds no {RECORDS_NAME}"
    elif path.exists():
        state = "is neither a plain file nor a folder"
    raise RecordError(f"no records at {path}: it {state}; name a run's folder, such as energy-results/latest")


def check_target(path: Path, sources: Iterable[Path] = ()) -> None:
    """Refuse to write over records: a report or an export must not destroy what it was made of.

    Args:
        path: the file to be written; links are followed, and hard links are recognised.
        sources: the files that were read. The files that make up a run are refused also where they are not among them.

    Raises:
        RecordError: writing to ``path`` would replace records.
    """
    target = path.resolve()
    run = target.parent / RUN_NAME
    if target.exists() and (target.name == EXPERIMENT_NAME or (target.name in _PRECIOUS and run.exists())):
        raise RecordError(f"{path} belongs to a run and would be overwritten: name another file to write to")
    for source in sources:
        with suppress(OSError):  # a target that does not exist yet is not a source
            if target.samefile(source):
                raise RecordError(f"{path} is one of the files that were read: name another file to write to")


def read_records(path: Path, keep: Callable[[Record], Record] | None = None) -> Records:
    """Return all records at ``path``; what a crash left half-written is reported and skipped.

    Of two lines with one ``record_id`` the later one counts (an attempt that was recorded as timed out and then ended
    after all), see :func:`supersedes`. In the folder of a run that is over, attempts that a crash cut off are read from
    their own folders.

    Args:
        path: see :func:`records_file`.
        keep: what to keep of each record, where not all of it is needed (many records take much memory).

    Raises:
        RecordError: nothing is there, it cannot be read, or it is another kind of file, such as a CSV.
        NewerRecordError: a record is from a newer version; the message names file, line and version.
    """
    problems: list[Problem] = []
    file = records_file(path)
    hosts: dict[HostPart, HostPart] = {}
    by_id: dict[str, Record] = {}
    with no_collection():
        for record in iter_records(file, problems):
            # all records of a machine share one value, which is a fifth of each; no other code has the record yet
            force_setattr(record, "host", hosts.setdefault(record.host, record.host))
            if supersedes(record, by_id.get(record.record_id)):
                by_id[record.record_id] = keep(record) if keep else record
    records = tuple(by_id.values())
    if problems and not records and file.suffix != ".jsonl":
        raise RecordError(
            f"{file} is not a file of records (line {problems[0].line}: {problems[0].reason}); name a run's folder, "
            "such as energy-results/latest, or its records.jsonl"
        )
    if file.name == RECORDS_NAME and not in_progress(file.parent):
        for record in worker_records(file.parent, by_id, problems):
            by_id[record.record_id] = keep(record) if keep else record
        records = (*by_id.values(), *unfinished_records(file.parent, by_id))
    return Records(path=file, records=records, problems=tuple(problems))


@contextmanager
def no_collection() -> Iterator[None]:
    """Put off garbage collection while many values are made: none is garbage, and looking takes half the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def supersedes(record: Record, other: Record | None) -> bool:
    """Return whether ``record`` replaces ``other``, an earlier one with the same id.

    ``crashed`` is only ever a guess, written before an attempt ends: it replaces no record that says how it ended.
    """
    return other is None or record.status is not Status.CRASHED or other.status is Status.CRASHED


def unfinished_records(run_folder: Path, known: Collection[str]) -> Iterator[Record]:
    """Yield attempts that have an ``experiment.json`` but no line: their process died before it was appended.

    They say of themselves how they ended: ``crashed``, unless something could still be written.

    Args:
        run_folder: the run's folder.
        known: ids of the records that have a line.
    """
    for file in sorted((run_folder / "experiments").glob(f"*/{EXPERIMENT_NAME}")):
        try:
            record = decode(file.read_bytes()) if file.is_file() else None
        except (OSError, RecordError):
            continue  # written whole or not at all: this one is not ours
        if record is not None and record.record_id not in known:
            yield record


def worker_files(run_folder: Path) -> list[Path]:
    """Return the files of workers on other hosts in the folder of a run, in the order of their names."""
    return sorted((run_folder / HOSTS_NAME).glob(f"*/{RECORDS_NAME}"))


def worker_records(run_folder: Path, known: Collection[str], problems: list[Problem]) -> Iterator[Record]:
    """Yield what the files of workers hold beyond the records that are ``known``: a lost connection kept them back.

    Raises:
        RecordError: as :func:`iter_records`.
    """
    for file in worker_files(run_folder):
        for record in iter_records(file, problems):
            if record.record_id not in known:
                yield record


def iter_records(file: Path, problems: list[Problem]) -> Iterator[Record]:
    """Yield the records of one file, so that memory does not grow with the file.

    Each line that is not a record is added to ``problems`` and left out: a power cut can leave half a line, or zeros,
    and a full disk half a line in the middle.

    Raises:
        RecordError: the file cannot be read.
        NewerRecordError: as :func:`read_records`.
    """
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    yield decode(line)
                except NewerRecordError as error:
                    raise NewerRecordError(f"{file}:{number}: {error}") from error
                except RecordError as error:
                    torn = "" if line.endswith(b"\n") else "half-written last line, skipped; "
                    problems.append(Problem(path=file, line=number, reason=f"{torn}{error}"))
    except OSError as error:
        raise RecordError(f"{file} cannot be read: {why(error)}") from error
