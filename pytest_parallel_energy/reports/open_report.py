"""A report's content from a run's folder, however old."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct, field

from ..errors import RecordError
from ..records.reader import read_records
from ..records.record import Record
from ..records.record_paths import path_inside
from ..records.run_info import read_run_info
from ..records.trace import Trace, read_trace
from ..statistics.compare import Comparison
from .costs import Factors
from .report import Report

__all__ = ["ReportContext", "load_report"]


class ReportContext(Struct, frozen=True, kw_only=True):
    """The content of a report other than the records."""

    comparison: Comparison | None = None
    factors: Factors = field(default_factory=Factors)
    problems: tuple[str, ...] = ()


def load_report(path: Path, context: ReportContext | None = None, *, traces: bool = True) -> Report:
    """Return the report of the run, file or results folder at ``path``; damaged lines are among its problems.

    Args:
        path: as for ``read_records``.
        context: the content other than the records.
        traces: whether to read the power traces, which only some reports show.

    Raises:
        RecordError: there are no records.
        NewerRecordError: a record is from a newer version.
    """
    context = context or ReportContext()
    found = read_records(path)
    folder = found.path.parent
    problems = [*context.problems, *map(str, found.problems)]
    return Report(
        records=found.records,
        info=read_run_info(folder),
        comparison=context.comparison,
        factors=context.factors,
        traces=_traces(folder, found.records, problems) if traces else {},
        problems=tuple(problems),
    )


def _traces(folder: Path, records: tuple[Record, ...], problems: list[str]) -> dict[str, Trace]:
    found = {}
    for record in records:
        if record.energy.trace is None:
            continue
        try:
            found[record.record_id] = read_trace(path_inside(folder, record.energy.trace))
        except RecordError as error:
            problems.append(str(error))
    return found
