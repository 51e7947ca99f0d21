"""Records for other programs: CSV, Parquet, SQLite, and CodeCarbon's ``emissions.csv``."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..errors import ConfigError, did_you_mean
from ..records.codec import encode
from ..records.record import Record, WindowResult
from ..statistics.grouping import all_metrics
from ..units import JOULES_PER_KWH
from .costs import Factors, costs_of
from .csv_table import summary_csv, summary_table

__all__ = ["EXPORTS", "export_records"]

_MOST_COLUMNS = 1900
"""SQLite's default limit is 2000 columns a table (sqlite.org/limits.html)."""


def export_records(records: Sequence[Record], kind: str, factors: Factors | None = None) -> bytes:
    """Return the records as ``csv``, ``parquet``, ``sqlite`` or ``codecarbon``.

    Raises:
        ConfigError: an unknown kind, or what the kind needs is not installed or not given; the message says which.
    """
    if kind not in EXPORTS:
        raise ConfigError(f"there is no export to {kind!r}: {did_you_mean(kind, EXPORTS)}")
    return EXPORTS[kind](records, factors or Factors())


def _csv(records: Sequence[Record], _: Factors) -> bytes:
    return summary_csv(records).encode("utf-8", "backslashreplace")


def _parquet(records: Sequence[Record], _: Factors) -> bytes:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise ConfigError("export to parquet needs PyArrow: pip install pyarrow") from error
    names, rows = summary_table(records)
    columns = {name: _one_type([row.get(name) for row in rows]) for name in names}
    target = io.BytesIO()
    parquet.write_table(pa.table(columns), target, compression="zstd")
    return target.getvalue()


def _one_type(values: list[Any]) -> list[Any]:
    """Return a column of one type: text where numbers and text are mixed, floats where integers and floats are."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float}:
        return [float(value) if value is not None and float in kinds else value for value in values]
    if len(kinds) == 1 and kinds <= {bool}:
        return values
    return [None if value is None else str(value) for value in values]


def _sqlite(records: Sequence[Record], _: Factors) -> bytes:
    """Return a database of ``records`` (as ``summary.csv``, plus JSON), domains, windows, loads and metrics."""
    connection = sqlite3.connect(":memory:")
    try:
        names, rows = summary_table(records)
        kept = names[:_MOST_COLUMNS]  # what is beyond is in the column "json"
        lines = [[*map(row.get, kept), encode(record).decode()] for row, record in zip(rows, records, strict=True)]
        _insert(connection, "records", (*kept, "json"), lines)
        _insert(connection, "domains", *_domains(records))
        _insert(connection, "windows", *_windows(records))
        _insert(connection, "loads", *_loads(records))
        metrics = [(record.record_id, name, value) for record in records for name, value in all_metrics(record).items()]
        _insert(connection, "metrics", ("record_id", "name", "value"), metrics)
        connection.commit()
        return connection.serialize()
    finally:
        connection.close()


def _insert(connection: sqlite3.Connection, table: str, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    quoted = [f'"{name.replace(chr(34), chr(34) * 2)}"' for name in _distinct(names)]
    connection.execute(f'CREATE TABLE "{table}" ({", ".join(quoted)})')
    marks = ", ".join("?" * len(quoted))
    statement = f'INSERT INTO "{table}" VALUES ({marks})'  # noqa: S608 - names are quoted, values are bound
    connection.executemany(statement, ([_storable(value) for value in row] for row in rows))


def _distinct(names: Sequence[str]) -> list[str]:
    """Return names that SQLite, which ignores case, can tell apart."""
    seen: set[str] = set()
    found = []
    for name in names:
        unique, number = name, 2
        while unique.lower() in seen:
            unique, number = f"{name}_{number}", number + 1
        seen.add(unique.lower())
        found.append(unique)
    return found


def _storable(value: Any) -> Any:
    """Return a value that SQLite can hold: text for integers beyond 64 bits."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value)
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


_DOMAIN_NAMES = (
    "name",
    "kind",
    "device",
    "joules",
    "u95_j",
    "low_j",
    "high_j",
    "quality",
    "source",
    "counted",
    "mean_w",
    "peak_w",
    "reason",
)
_LOAD_NAMES = ("name", "repository", "model", "rounds_completed", "rounds_failed", "coverage_ratio", "cpu_s", "stop")
_WINDOW_NAMES = ("window_s", "total_j", "total_u95_j", "quality", "cpu_j", "gpu_j", "dram_j", "mean_w", "peak_w")


def _domains(records: Sequence[Record]) -> tuple[Sequence[str], list[list[Any]]]:
    rows = [[r.record_id, *(getattr(d, name) for name in _DOMAIN_NAMES)] for r in records for d in r.energy.domains]
    return ("record_id", *_DOMAIN_NAMES), rows


def _windows(records: Sequence[Record]) -> tuple[Sequence[str], list[list[Any]]]:
    rows = [
        [record.record_id, path, *(getattr(window, name) for name in _WINDOW_NAMES)]
        for record in records
        for path, window in _nested(record.energy, "")
    ]
    return ("record_id", "path", *_WINDOW_NAMES), rows


def _nested(energy: WindowResult, above: str) -> Iterable[tuple[str, WindowResult]]:
    """Yield each window with the names of those around it, outermost first."""
    path = f"{above}/{energy.name}" if above else energy.name
    yield path, energy
    for window in energy.windows:
        yield from _nested(window, path)


def _loads(records: Sequence[Record]) -> tuple[Sequence[str], list[list[Any]]]:
    rows = [[r.record_id, *(getattr(load, name) for name in _LOAD_NAMES)] for r in records for load in r.background]
    return ("record_id", *_LOAD_NAMES), rows


_CODECARBON = (
    "timestamp", "project_name", "run_id", "experiment_id", "duration", "emissions", "emissions_rate", "cpu_power",
    "gpu_power", "ram_power", "cpu_energy", "gpu_energy", "ram_energy", "energy_consumed", "country_name",
    "country_iso_code", "region", "cloud_provider", "cloud_region", "os", "python_version", "codecarbon_version",
    "cpu_count", "cpu_model", "gpu_count", "gpu_model", "longitude", "latitude", "ram_total_size", "tracking_mode",
    "on_cloud", "pue",
)  # fmt: skip
"""Columns of CodeCarbon's ``emissions.csv`` (``EmissionsData`` in codecarbon/output_methods/emissions_data.py)."""


def _codecarbon(records: Sequence[Record], factors: Factors) -> bytes:
    """Return CodeCarbon's file: energies in kWh, emissions in kg; unknown stays empty (CodeCarbon writes 0)."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=_CODECARBON, restval="", lineterminator="\n")
    writer.writeheader()
    for record in records:
        row = _codecarbon_row(record, factors)
        writer.writerow({name: "" if value is None else value for name, value in row.items()})
    return text.getvalue().encode("utf-8", "backslashreplace")


def _codecarbon_row(record: Record, factors: Factors) -> Mapping[str, Any]:
    energy, host = record.energy, record.host
    seconds = energy.window_s or record.duration_s
    carbon_g = costs_of(energy.total_j, factors).carbon_g
    parts = {"cpu": energy.cpu_j, "gpu": energy.gpu_j, "ram": energy.dram_j}
    return {
        "timestamp": record.started_at,
        "project_name": record.nodeid,
        "run_id": record.record_id,
        "experiment_id": record.cell,
        "duration": seconds,
        "emissions": None if carbon_g is None else carbon_g / 1000,
        "emissions_rate": None if carbon_g is None or not seconds else carbon_g / 1000 / seconds,
        **{
            f"{name}_power": None if joules is None or not seconds else joules / seconds
            for name, joules in parts.items()
        },
        **{f"{name}_energy": None if joules is None else joules / JOULES_PER_KWH for name, joules in parts.items()},
        "energy_consumed": None if energy.total_j is None else energy.total_j / JOULES_PER_KWH,
        "os": f"Linux-{host.kernel}" if host.kernel else None,
        "python_version": host.python,
        "cpu_count": host.threads,
        "cpu_model": host.cpu,
        "gpu_count": len(host.gpus) or None,
        "gpu_model": " | ".join(gpu.name for gpu in host.gpus) or None,
        "ram_total_size": None if host.memory_bytes is None else host.memory_bytes / 2**30,
        "tracking_mode": "machine",
        "pue": factors.pue.value if factors.pue else None,
    }


EXPORTS: Mapping[str, Callable[[Sequence[Record], Factors], bytes]] = {
    "csv": _csv,
    "parquet": _parquet,
    "sqlite": _sqlite,
    "codecarbon": _codecarbon,
}
"""Writers by name."""
