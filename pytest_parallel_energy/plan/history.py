"""What older results hold: which mutations of which workload were run already, alone and beside a load."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

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
_GOOD = frozenset({"", "passed", "true", "1", "1.0", "success", "yes", "completed"})
_YES = frozenset({"true", "1", "1.0", "yes", "parallel"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """One training that succeeded: its workload or test, whether a load ran alongside, and its known values."""

    workload: str
    beside_load: bool
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Past runs, found by workload and mode."""

    runs: Mapping[tuple[str, bool], tuple[PastRun, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, runs: Iterable[PastRun]) -> History:
        """The history that these runs are."""
        grouped: dict[tuple[str, bool], list[PastRun]] = {}
        for run in runs:
            grouped.setdefault((run.workload, run.beside_load), []).append(run)
        return cls(runs={key: tuple(group) for key, group in grouped.items()})

    def known(
        self, workload: str, *, beside_load: bool, names: Sequence[str], fixed: Mapping[str, Value]
    ) -> frozenset[MutationKey]:
        """The mutations of these hyperparameters that were run already.

        A past run counts when it holds all of ``names``, and agrees with ``fixed`` wherever it says anything: files of
        older tools leave out what they did not mutate.
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
    """The history in CSV files (``hyperparam_*`` columns), ``records.jsonl`` files and folders of runs.

    Only trainings that passed count. A value such as ``10.000000`` equals 10.

    Raises:
        ConfigError: a file cannot be read, or is not a table of results.
        RecordError: as ``results.reader.read_records``.
    """
    return History.of(run for path in paths for run in _runs_in(path))


def _runs_in(path: Path) -> Iterator[PastRun]:
    if path.suffix.lower() == ".csv":
        yield from _csv_runs(path)
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


def _csv_runs(path: Path) -> Iterator[PastRun]:
    reader = csv.DictReader(read_text(path, ConfigError).splitlines())
    try:
        columns = list(reader.fieldnames or ())
        repository, model = _column(path, columns, _REPOSITORY), _column(path, columns, _MODEL)
        if not any(column.startswith(_PREFIX) for column in columns):
            raise ConfigError(f"{path}:1: has no column {_PREFIX}*, so it says nothing about mutations")
        for row in reader:
            status = next((row[name] for name in _STATUS if name in columns), None) or ""
            if status.strip().lower() in _GOOD and row[repository]:
                yield PastRun(
                    workload=f"{row[repository]}/{row[model]}",
                    beside_load=_beside_load(row),
                    values={
                        column.removeprefix(_PREFIX): _value(text)
                        for column, text in row.items()
                        if column is not None and column.startswith(_PREFIX) and text
                    },
                )
    except csv.Error as problem:
        raise ConfigError(f"{path}:{reader.line_num}: is not a table: {problem}") from problem


def _column(path: Path, columns: list[str], names: tuple[str, ...]) -> str:
    for name in names:
        if name in columns:
            return name
    raise ConfigError(
        f"{path}:1: has no column {' or '.join(names)}; its columns are {', '.join(columns[:12]) or 'none'}"
    )


def _beside_load(row: Mapping[str, str]) -> bool:
    for name in ("is_parallel", "mode"):
        if row.get(name):
            return row[name].strip().lower() in _YES
    return bool(row.get("bg_name") or row.get("bg_repository"))


def _value(text: str) -> Value:
    """A value as a CSV shows it: a number wherever it reads as one.

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
