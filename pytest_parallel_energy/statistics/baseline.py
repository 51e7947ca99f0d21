"""Named baselines, kept by machine: ``baselines/<machine-id>/<name>.jsonl`` under the results folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import ConfigError, RecordError, did_you_mean
from ..records.atomic_write import why, write_file
from ..records.codec import encode
from ..records.latest_link import latest_run
from ..records.masking import is_private
from ..records.reader import Problem, Records, iter_records, read_records, records_file
from ..records.record import HostPart, Record

__all__ = [
    "DEFAULT_NAME",
    "add_to_baseline",
    "baseline_path",
    "check_reference",
    "find_path",
    "find_run",
    "save_baseline",
]

DEFAULT_NAME = "default"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


def baseline_path(base_dir: Path, host: HostPart, name: str = DEFAULT_NAME) -> Path:
    """Return the path of the baseline ``name`` of this machine, whether it exists or not.

    Raises:
        ConfigError: the name is not made of letters, digits, ``.``, ``_`` and ``-``.
        RecordError: the same for the machine's id, which names a folder.
    """
    return base_dir / "baselines" / _machine(host) / f"{check_name(name)}.jsonl"


def check_name(name: str) -> str:
    """Return the name itself when it can be a baseline's.

    Raises:
        ConfigError: it is not made of letters, digits, ``.``, ``_`` and ``-``.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} cannot name a baseline: use letters, digits, '.', '_' and '-', up to 80 of them")
    return name


def save_baseline(base_dir: Path, records: Sequence[Record], name: str = DEFAULT_NAME) -> tuple[Path, ...]:
    """Write all ``records`` as the baseline ``name``, replacing an older one; one file per machine among the records.

    Raises:
        ConfigError: there are no records, or the name is unusable.
        RecordError: a file cannot be written; the older baseline stays.
    """
    if not records:
        raise ConfigError("no records to save as a baseline: nothing was measured")
    by_path: dict[Path, list[Record]] = {}
    for record in records:
        by_path.setdefault(baseline_path(base_dir, record.host, name), []).append(record)
    return tuple(
        write_file(path, b"".join(encode(record) + b"\n" for record in found), private=any(map(is_private, found)))
        for path, found in by_path.items()
    )


def add_to_baseline(base_dir: Path, records: Sequence[Record], name: str = DEFAULT_NAME) -> tuple[Path, ...]:
    """Add ``records`` to the baseline ``name`` as one more session, or make it; one file per machine among the records.

    Records of the same run that are in it already are replaced. Two processes that do this at once take turns.

    Raises:
        ConfigError: there are no records, or the name is unusable.
        RecordError: the baseline is damaged or of a newer version, or cannot be written; it stays as it is.
    """
    if not records:
        raise ConfigError("no records to add to a baseline: nothing was measured")
    added = {record.run_id for record in records}
    paths = dict.fromkeys(baseline_path(base_dir, record.host, name) for record in records)
    with _one_at_a_time(base_dir):
        kept: list[Record] = []
        for path in filter(Path.exists, paths):
            check_reference(path)
            kept += [record for record in read_records(path).records if record.run_id not in added]
        return save_baseline(base_dir, [*kept, *records], name)


@contextlib.contextmanager
def _one_at_a_time(base_dir: Path) -> Iterator[None]:
    """Lock the folder of baselines, where its file system can do that."""
    folder = base_dir / "baselines"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise RecordError(f"{folder} cannot be used: {why(error)}") from error
    try:
        with contextlib.suppress(OSError):  # NFS cannot lock a folder
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def find_run(base_dir: Path, wanted: str, host: HostPart | None = None) -> Records:
    """Return the records of :func:`find_path`.

    Raises:
        ConfigError: nothing has that name; the message lists what there is.
        RecordError: it is there and cannot be read.
    """
    return read_records(find_path(base_dir, wanted, host))


def find_path(base_dir: Path, wanted: str, host: HostPart | None = None) -> Path:
    """Return the file of records that ``wanted`` names: a path, a run's id or its beginning, or a baseline.

    ``latest`` is a path too; an empty ``wanted`` is this machine's default baseline, else the latest run.

    A baseline of this machine comes before one of another machine, which the comparison then calls not comparable.

    Raises:
        ConfigError: nothing has that name; the message lists what there is.
        RecordError: it is there and holds no records.
    """
    if not wanted:
        default = base_dir / "baselines" / _machine(host) / f"{DEFAULT_NAME}.jsonl"
        return records_file(default) if default.exists() else find_path(base_dir, "latest", host)
    for candidate in (Path(wanted), latest_run(base_dir) if wanted == "latest" else base_dir / wanted):
        if candidate.exists():
            return records_file(candidate).resolve()
    baselines = sorted(base_dir.glob(f"baselines/*/{wanted}.jsonl")) if _NAME.fullmatch(wanted) else []
    own = [
        path for path in baselines if host is not None and path.parent.name == (host.machine_id or "unknown-machine")
    ]
    runs = sorted(path for path in base_dir.glob(f"{_escaped(wanted)}*") if _has_records(path))
    found = own or baselines or runs
    if not found:
        remedy = "it holds no runs; run pytest first, or name another folder (--dir, in pytest --energy-dir)"
        if known := _known(base_dir):
            remedy = did_you_mean(wanted, known)
        raise ConfigError(f"no run or baseline {wanted!r} under {base_dir}: {remedy}")
    if found is runs and len(runs) > 1:
        raise ConfigError(f"{wanted!r} begins {len(runs)} runs: {', '.join(path.name for path in runs)}")
    return records_file(found[0]).resolve()


def check_reference(path: Path) -> None:
    """Check that a gate can judge with the records at ``path``: all of them can be read, and there is one at least.

    Raises:
        RecordError: a line is damaged, a record is of a newer version, there are none, or it cannot be read.
    """
    problems: list[Problem] = []
    count = sum(1 for _ in iter_records(path, problems))
    if problems:
        raise RecordError(
            f"{path} is damaged, so that records may be missing: {problems[0]} (and {len(problems) - 1} more lines); "
            "save the baseline again with --energy-save-baseline, or remove the damaged lines"
        )
    if not count:
        raise RecordError(f"{path} holds no records; save the baseline again with --energy-save-baseline")


def _machine(host: HostPart | None) -> str:
    machine_id = (host.machine_id if host else None) or "unknown-machine"
    if not _NAME.fullmatch(machine_id):
        raise RecordError(
            f"the machine id {machine_id!r} of a record cannot name a folder of baselines: it must be made of letters, "
            "digits, '.', '_' and '-', up to 80 of them; leave the record out"
        )
    return machine_id


def _known(base_dir: Path) -> set[str]:
    runs = {path.name for path in base_dir.glob("*") if path.is_dir() and _has_records(path)}
    return runs | {path.stem for path in base_dir.glob("baselines/*/*.jsonl")}


def _has_records(path: Path) -> bool:
    try:
        records_file(path)
    except RecordError:
        return False
    return True


def _escaped(text: str) -> str:
    """Return the text with a glob's special characters taken literally; separators never reach a glob."""
    return re.sub(r"([*?\[])", r"[\1]", text).replace("/", "_")
