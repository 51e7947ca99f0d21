"""Merge runs of several machines or sessions: duplicates once, conflicts kept and named, nothing lost."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from .codec import encode
from .reader import HOSTS_NAME, RECORDS_NAME, Problem, read_records, records_file, supersedes
from .record import Record, Status

__all__ = ["Merged", "merge_runs", "merged_lines"]


class Merged(Struct, frozen=True, kw_only=True):
    """The result of a merge."""

    records: tuple[Record, ...]
    """Unique by ``record_id``, in the order of the sources."""
    sources: tuple[Path, ...]
    """The files that were read."""
    duplicates: int
    """Records that stood in several sources with the same content: kept once."""
    conflicts: tuple[str, ...]
    """Sentences for the user to check; no record is dropped for them."""
    problems: tuple[Problem, ...]


def merge_runs(paths: Sequence[Path]) -> Merged:
    """Return all records of ``paths``: runs, files, or folders that hold runs (searched through).

    Records with one id and different contents are both kept, the later one under a new id. Several passed attempts of
    one repetition of a cell in one run are named; those of different runs are what merging is for.

    Raises:
        RecordError: a path holds no records.
        NewerRecordError: a record is from a newer version.
    """
    sources = tuple(dict.fromkeys(file for path in paths for file in _sources(path)))
    problems: list[Problem] = []
    conflicts: list[str] = []
    kept: dict[str, Record] = {}
    duplicates = 0
    for source in sources:
        found = read_records(source)
        problems += found.problems
        for record in found.records:
            other = kept.get(record.record_id)
            if other == record or (other is not None and not supersedes(record, other)):
                duplicates += 1
                continue
            if other is not None and other.status is Status.CRASHED:  # that copy was made while the attempt ran
                kept[record.record_id] = record
                duplicates += 1
                continue
            if other is not None:
                record = _renamed(record)  # noqa: PLW2901 - the same record under its new id
                if record.record_id in kept:
                    duplicates += 1
                    continue
                conflicts.append(f"{source}: another record has the id {other.record_id}; kept as {record.record_id}")
            kept[record.record_id] = record
    records = tuple(kept.values())
    conflicts += _finished_twice(records)
    return Merged(
        records=records, sources=sources, duplicates=duplicates, conflicts=tuple(conflicts), problems=tuple(problems)
    )


def merged_lines(merged: Merged) -> Iterator[bytes]:
    """Yield the lines of a ``records.jsonl`` with all records: at no time are they all in memory."""
    return (encode(record) + b"\n" for record in merged.records)


def _sources(path: Path) -> Iterator[Path]:
    """Yield the files below a folder, or the one that the path stands for; ``latest`` repeats a run and is left out."""
    if path.is_dir() and not (path / RECORDS_NAME).is_file():
        files = (file for file in path.rglob(RECORDS_NAME) if not _through_link(file.parent, path))
        found = sorted(file.resolve() for file in files if not _is_of_worker(file))
        if found:
            yield from found
            return
    yield records_file(path).resolve()


def _is_of_worker(file: Path) -> bool:
    """Return whether the run's own file, which is read together with those of its workers, stands for this one."""
    return file.parent.parent.name == HOSTS_NAME and (file.parents[2] / RECORDS_NAME).is_file()


def _through_link(folder: Path, root: Path) -> bool:
    return any(parent.is_symlink() for parent in (folder, *folder.parents) if parent != root and root in parent.parents)


def _renamed(record: Record) -> Record:
    """Return the record under an id made of its content: merging the same files again gives the same ids."""
    digest = hashlib.sha256(encode(record)).hexdigest()[:8]
    return replace(record, record_id=f"{record.record_id}-{digest}")


def _finished_twice(records: Sequence[Record]) -> Iterator[str]:
    """Yield a sentence per repetition that passed more than once in one run."""
    seen: dict[tuple[str, str, str, int, str], int] = {}
    for record in records:
        if record.status is Status.PASSED:
            key = (record.run_id, record.nodeid, record.cell, record.repetition, record.phase)
            seen[key] = seen.get(key, 0) + 1
    for (run_id, nodeid, _, repetition, _), count in seen.items():
        if count > 1:
            yield f"{run_id}: repetition {repetition} of {nodeid} passed {count} times; all are kept"
