"""Older results: the mutations of each workload that were run already, alone and with a load."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field

from ..documents.readers import read_text
from ..errors import ConfigError
from ..mutation.distributions import Value, value_key
from ..mutation.draw import MutationKey, mutation_key
from ..records.reader import read_records
from ..records.record import Phase, Record, Status, all_values
from ..statistics.grouping import function_of

__all__ = ["History", "PastRun", "read_history"]

_PREFIX = "hyperparam_"
_REPOSITORY = ("repository", "repo", "workload_repository")
_MODEL = ("model", "workload_model")
_STATUS = ("status", "training_success", "success")
_GOOD = frozenset({"passed", "true", "1", "1.0", "success", "yes", "completed"})
_FOREGROUND = "fg_"
"""Prefix of the same columns for the foreground of a run with a load, in files of older tools."""
_YES = frozenset({"true", "1", "1.0", "yes", "parallel"})


class PastRun(Struct, frozen=True, kw_only=True):
    """One training that succeeded: its workload or test, whether a load ran alongside, and its known values."""

    workload: str
    beside_load: bool
    values: Mapping[str, Value]


class History(Struct, frozen=True, kw_only=True):
    """Past runs, found by workload and mode."""

    runs: Mapping[tuple[str, bool], tuple[PastRun, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """One sentence per CSV file: the rows that were read, and those that were skipped and why."""

    @classmethod
    def of(cls, runs: Iterable[PastRun], notes: Iterable[str] = ()) -> History:
        """Return the history that consists of these runs."""
        grouped: dict[tuple[str, bool], list[PastRun]] = {}
        for run in runs:
            grouped.setdefault((run.workload, run.beside_load), []).append(run)
        return cls(runs={key: tuple(group) for key, group in grouped.items()}, notes=tuple(notes))

    def known(
        self, workload: str, *, beside_load: bool, names: Sequence[str], fixed: Mapping[str, Value]
    ) -> frozenset[MutationKey]:
        """Return the mutations of these hyperparameters that were run already.

        A past run counts when it holds all of ``names``, and agrees with ``fixed`` in each value that it has: files of
        older tools leave out the values that they did not mutate.
        """
        return frozenset(
            mutation_key({name: run.values[name] for name in names})
            for run in self.runs.get((workload, beside_load), ())
            if all(name in run.values for name in names) and _agrees(run.values, fixed)
        )

    def __len__(self) -> int:
        return sum(map(len, self.runs.values()))


def _agrees(values: Mapping[str, Value], fixed: Mapping[str, Value]) -> bool:
    return all(value_key(values[name]) == value_key(value) for name, value in fixed.items() if name in values)


def read_history(paths: Iterable[Path]) -> History:
    """Read the history in CSV files, ``records.jsonl`` files and folders of runs.

    A CSV has a row per training with the columns ``repository``, ``model``, ``hyperparam_*`` and a status; a training
    with a load may have them as ``fg_repository``, ``fg_model``, ``fg_hyperparam_*``. Only trainings that passed count,
    and a row with an empty status has not passed. A value such as ``10.000000`` equals 10.

    Raises:
        ConfigError: a file cannot be read, or is not a table of results.
        RecordError: as :func:`~pytest_parallel_energy.records.reader.read_records`.
    """
    notes: list[str] = []
    return History.of([run for path in paths for run in _runs_in(path, notes)], notes)


def _runs_in(path: Path, notes: list[str]) -> Iterator[PastRun]:
    if path.suffix.lower() == ".csv":
        skipped: Counter[str] = Counter()
        found = list(_csv_runs(path, skipped))
        reasons = ", ".join(f"{count} {reason}" for reason, count in skipped.items())
        notes.append(
            f"{path.name}: {len(found)} rows read, {skipped.total()} skipped{f' ({reasons})' if reasons else ''}"
        )
        yield from found
    elif path.is_dir() or path.suffix == ".jsonl":
        yield from (run for record in read_records(path).records if (run := _record_run(record)) is not None)
    else:
        state = "is neither a .csv nor a .jsonl file" if path.exists() else "there is no such file"
        raise ConfigError(f"{path}: {state}; name results with hyperparam_* columns, or the folder of a run")


def _record_run(record: Record) -> PastRun | None:
    work, values = record.workload, all_values(record)
    if not values or record.status is not Status.PASSED or record.phase is not Phase.MEASURED:
        return None
    return PastRun(
        workload=f"{work.repository}/{work.model}" if work else function_of(record),
        beside_load=bool(record.background),
        values=values,
    )


def _csv_runs(path: Path, skipped: Counter[str]) -> Iterator[PastRun]:
    reader = csv.DictReader(read_text(path, ConfigError).splitlines())
    try:
        columns = list(reader.fieldnames or ())
        _check_columns(path, columns)
        statuses = [name for name in (*_STATUS, *(_FOREGROUND + name for name in _STATUS)) if name in columns]
        for row in reader:
            # a row fills the plain columns or those of the foreground, whichever has its repository
            prefix = "" if _first(row, _REPOSITORY) else _FOREGROUND
            repository, model = (_first(row, names, prefix) for names in (_REPOSITORY, _MODEL))
            status = next((row[name].strip() for name in statuses if row[name] and row[name].strip()), "")
            values = {
                column.removeprefix(prefix + _PREFIX): _value(text)
                for column, text in row.items()
                if column is not None and column.startswith(prefix + _PREFIX) and text
            }
            if not (repository and model):
                skipped["without a repository or model"] += 1
            elif statuses and not status:
                skipped["with an empty status"] += 1
            elif statuses and status.lower() not in _GOOD:
                skipped["that did not pass"] += 1
            else:
                beside_load = _beside_load(row, default=prefix == _FOREGROUND)
                yield PastRun(workload=f"{repository}/{model}", beside_load=beside_load, values=values)
    except csv.Error as problem:
        raise ConfigError(f"{path}:{reader.line_num}: is not a table: {problem}") from problem


def _first(row: Mapping[str, str], names: tuple[str, ...], prefix: str = "") -> str:
    """Return the first of these columns that the row fills; empty if it fills none."""
    return next((text for name in names if (text := (row.get(prefix + name) or "").strip())), "")


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    """Check that a table has the columns of results, for trainings alone or with a load.

    Raises:
        ConfigError: a column is missing.
    """
    for names in (_REPOSITORY, _MODEL):
        if not any(prefix + name in columns for prefix in ("", _FOREGROUND) for name in names):
            shown = ", ".join(columns[:12]) or "none"
            raise ConfigError(f"{path}:1: has no column {' or '.join(names)}; its columns are {shown}")
    if not any(column.startswith((_PREFIX, _FOREGROUND + _PREFIX)) for column in columns):
        raise ConfigError(f"{path}:1: has no column {_PREFIX}*, so it has no mutations")


def _beside_load(row: Mapping[str, str], *, default: bool) -> bool:
    for name in ("is_parallel", "mode"):
        if row.get(name):
            return row[name].strip().lower() in _YES
    return default or bool(row.get("bg_name") or row.get("bg_repository"))


def _value(text: str) -> Value:
    """Return a value as a CSV shows it: a number wherever it reads as one.

    >>> _value("10.000000") == 10, _value("true"), _value("relu")
    (True, True, 'relu')
    """
    text = text.strip()
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text
