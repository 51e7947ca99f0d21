"""OpenMetrics text, for Prometheus' textfile collector and GitLab's metrics report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from ..statistics.grouping import Cell, group_cells
from .report import Report

__all__ = ["openmetrics_text"]

_PARTS = ("cpu", "gpu", "dram")
Sample = tuple[Mapping[str, str], float]


def openmetrics_text(report: Report) -> str:
    """Return one family per quantity and one sample per cell; ends with ``# EOF`` (OpenMetrics 1.0).

    Unknown values have no sample.

    Read by Prometheus' older text format as well, to which the unit and the end are comments.
    """
    cells = group_cells(report.records)
    families = (
        ("pytest_energy_joules", "joules", "Mean energy of one attempt of a cell.", _joules),
        ("pytest_energy_interval_joules", "joules", "Half-width of the 95 % interval of the mean energy.", _intervals),
        ("pytest_energy_duration_seconds", "seconds", "Mean duration of one attempt of a cell.", _seconds),
        ("pytest_energy_attempts", "", "Attempts of a cell by how they ended.", _attempts),
        ("pytest_energy_metric", "", "Mean of a metric that the training reported.", _metrics),
    )
    lines: list[str] = []
    for name, unit, text, samples in families:
        lines += _family((name, unit, text), cells, samples)
    return "\n".join([*lines, "# EOF", ""])


def _family(
    head: tuple[str, str, str], cells: Sequence[Cell], samples: Callable[[Cell], Iterable[Sample]]
) -> Iterable[str]:
    name, unit, text = head
    yield f"# TYPE {name} gauge"
    if unit:
        yield f"# UNIT {name} {unit}"
    yield f"# HELP {name} {text}"
    for cell in cells:
        for labels, value in samples(cell):
            known = {"test": cell.name, "cell": cell.cell, **labels}
            pairs = ",".join(f'{key}="{_escaped(label)}"' for key, label in known.items())
            yield f"{name}{{{pairs}}} {value!r}"


def _joules(cell: Cell) -> Iterable[Sample]:
    values = {"total": cell.energy().value, **{part: cell.part_j(part) for part in _PARTS}}
    for part, value in values.items():
        if value is not None:
            yield {"part": part, "quality": cell.quality}, value


def _intervals(cell: Cell) -> Iterable[Sample]:
    u95 = cell.energy().u95
    if u95 is not None:
        yield {"part": "total", "quality": cell.quality}, u95


def _seconds(cell: Cell) -> Iterable[Sample]:
    yield {}, cell.mean_s()


def _attempts(cell: Cell) -> Iterable[Sample]:
    for status, count in Counter(record.status for record in cell.records).items():
        yield {"status": status}, float(count)


def _metrics(cell: Cell) -> Iterable[Sample]:
    for name, value in cell.metrics().items():
        if value is not None:
            yield {"metric": name}, value


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
