"""``summary.csv``: one row per record, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..records.atomic_write import write_file
from ..records.reader import read_records
from ..records.record import Record, all_values
from ..statistics.grouping import all_metrics
from ..statistics.window_shares import window_shares
from ..statistics.work_units import derived_quantities, derived_value, work_of

__all__ = ["summary_csv", "summary_row", "summary_table", "write_summary"]

_RECORD_FIELDS = (
    "record_id", "run_id", "nodeid", "cell", "repetition", "attempt", "phase", "status", "reason", "started_at",
    "duration_s", "folder",
)  # fmt: skip
_ENERGY_FIELDS = (
    "window_s", "total_j", "total_u95_j", "quality", "boundary", "cpu_j", "gpu_j", "dram_j", "mean_w", "peak_w",
    "idle_j", "above_idle_j", "total_low_j", "total_high_j",
)  # fmt: skip
_ATTRIBUTION_FIELDS = (
    "foreground_j", "background_j", "other_j", "low_j", "high_j", "method", "other_cpu_ratio", "other_gpu_ratio",
)  # fmt: skip
_LOAD_FIELDS = (
    "name", "repository", "model", "rounds_completed", "rounds_failed", "uptime_s", "coverage_ratio", "gap_s", "cpu_s",
    "solo_mean_w", "stop",
)  # fmt: skip
_HOST_FIELDS = ("machine_id", "hostname", "cpu", "git_commit", "plugin_version")
_GROUPS = ("label_", "workload_", "hyperparam_", "perf_", "energy_", "work_", "window_", "attribution_", "bg")
"""Prefixes in the order of their columns; what has none comes first, the host last."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""Tab and line ends too: some spreadsheets skip them before they look for a formula."""

_KEPT_ROWS = 10_000

Cell = str | int | float | bool | None


def write_summary(folder: Path) -> Path:
    """Write ``summary.csv`` into a run's folder, from the records that are on the disk; return its path.

    Raises:
        RecordError: the records cannot be read, or the file cannot be written.
    """
    return write_file(folder / "summary.csv", summary_csv(read_records(folder).records))


def summary_csv(records: Iterable[Record], *, prefixed: bool = False) -> str:
    """Return the table as CSV (RFC 4180, lines end with CR LF); an unknown value is an empty field, never 0.

    Spreadsheets run a field that begins with ``=``, ``+``, ``-`` or ``@`` as a formula. With ``prefixed`` such text
    gets an apostrophe before it; numbers stay as they are. See owasp.org/www-community/attacks/CSV_Injection.

    Columns: those of the record, then ``workload_*``, ``hyperparam_*``, ``perf_*`` (metrics), ``energy_*``, ``work_*``
    (amounts by unit), ``window_*`` (all windows of one name inside the test), ``attribution_*``, ``bg_*`` (a second
    load: ``bg2_*``), ``host_*``. Only the head for no records.
    """
    found = tuple(records)
    # a hundred thousand rows at once take more memory than their records, so that those are made twice
    kept = [summary_row(record) for record in found] if len(found) <= _KEPT_ROWS else None
    names = _names(map(summary_row, found) if kept is None else kept)
    text = io.StringIO()
    writer = csv.writer(text)
    field = _prefixed if prefixed else _text
    writer.writerow([field(name) for name in names])
    for row in map(summary_row, found) if kept is None else kept:
        writer.writerow([field(row.get(name)) for name in names])
    return text.getvalue()


def summary_table(records: Iterable[Record]) -> tuple[tuple[str, ...], tuple[Mapping[str, Cell], ...]]:
    """Return the column names in order and one mapping per record; a name that a mapping lacks is unknown there."""
    rows = tuple(summary_row(record) for record in records)
    return _names(rows), rows


def _names(rows: Iterable[Mapping[str, Cell]]) -> tuple[str, ...]:
    """Return all columns in order; without rows, those that each record has."""
    seen: dict[str, None] = {}
    for row in rows:
        seen.update(dict.fromkeys(row))
    always = (*_RECORD_FIELDS, *(f"energy_{name}" for name in _ENERGY_FIELDS))
    return tuple(sorted(seen or always, key=_group))


def summary_row(record: Record) -> dict[str, Cell]:
    """Return one record as flat columns."""
    row: dict[str, Cell] = {name: getattr(record, name) for name in _RECORD_FIELDS}
    row |= {f"label_{name}": value for name, value in record.labels.items()}
    if (workload := record.workload) is not None:
        row |= {
            f"workload_{name}": getattr(workload, name)
            for name in ("repository", "model", "profile", "seed", "exit_code", "train_s")
        }
        row["workload_mutated"] = " ".join(workload.mutated)
    elif record.mutated:
        row["workload_mutated"] = " ".join(record.mutated)
    row |= {f"hyperparam_{name}": value for name, value in all_values(record).items()}
    row |= {f"perf_{name}": value for name, value in all_metrics(record).items()}
    row |= {f"energy_{name}": getattr(record.energy, name) for name in _ENERGY_FIELDS}
    row |= {f"work_{unit}": amount for unit, amount in work_of(record).items()}
    row |= {f"energy_{name}": derived_value(record, name)[0] for name in derived_quantities(record)}
    for share in window_shares(record.energy):
        values = {"count": share.count, "s": share.seconds, "total_j": share.total_j, "share": share.share_ratio}
        row |= {f"window_{share.name}_{name}": value for name, value in values.items()}
    row |= {f"attribution_{name}": getattr(record.attribution, name) for name in _ATTRIBUTION_FIELDS}
    for index, load in enumerate(record.background, 1):
        prefix = "bg_" if index == 1 else f"bg{index}_"
        row |= {f"{prefix}{name}": getattr(load, name) for name in _LOAD_FIELDS}
        row |= {f"{prefix}hyperparam_{name}": value for name, value in load.hyperparameters.items()}
    row |= {f"host_{name}": getattr(record.host, name) for name in _HOST_FIELDS}
    return row


def _group(name: str) -> int:
    """Return the place of a column among the groups; ``sorted`` keeps the order of first appearance inside a group."""
    if name in _RECORD_FIELDS:
        return 0
    starts: Sequence[bool] = [name.startswith(prefix) for prefix in _GROUPS]
    return starts.index(True) + 1 if any(starts) else len(_GROUPS) + 1


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _prefixed(value: Any) -> str:
    text = _text(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA_STARTS) else text
