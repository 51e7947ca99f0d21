"""Remarks that a reader must know about an attempt or a cell: the same sentences in each report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..records.record import Phase, Record, Status
from ..statistics.grouping import Cell
from .load_lines import failed_rounds
from .strangers import cell_strangers, strangers

__all__ = ["cell_remarks", "origins", "remarks"]


def remarks(record: Record) -> tuple[str, ...]:
    """Return the remarks about one attempt, each once: its failure, then training, meter, loads and sensors."""
    return tuple(dict.fromkeys((*_remarks(record), *strangers(record))))


def cell_remarks(cell: Cell) -> tuple[str, ...]:
    """Return the remarks about a cell, each once: on the attempts that failed or count, and on what is left out."""
    found = dict.fromkeys(sentence for record in cell.failed for sentence in remarks(record))
    if cell.failed and cell.n == 0:
        found["no attempt passed: the numbers are those of attempts that did not"] = None
    if count := sum(record.phase is Phase.WARMUP and record.status is Status.PASSED for record in cell.records):
        found[f"{count} {'warm-up' if count == 1 else 'warm-ups'} left out of the means"] = None
    found |= dict.fromkeys(_software(cell))
    found |= dict.fromkeys(sentence for record in cell.sample for sentence in _remarks(record))
    found |= dict.fromkeys(cell_strangers(cell.sample))
    return tuple(found)


def origins(cells: Iterable[Cell]) -> tuple[str, ...]:
    """Return one sentence per workload that is an own implementation, with the repository that it follows."""
    works = (record.workload for cell in cells for record in cell.sample)
    found = {
        f"{work.repository}: an own implementation after {work.after}": None for work in works if work and work.after
    }
    return tuple(found)


def _software(cell: Cell) -> Iterator[str]:
    """Yield a sentence per program of which the averaged attempts had several versions, and for old records."""
    for name, field in (("this plugin", "plugin_version"), ("Python", "python"), ("the kernel", "kernel")):
        versions = sorted({version for record in cell.sample if (version := getattr(record.host, field)) is not None})
        if len(versions) > 1:
            yield f"the attempts had several versions of {name}: {', '.join(versions)}"
    if any(record.schema_version == 1 for record in cell.sample):
        yield "recorded by an earlier version: command line, thread budget and devices are not part of the cell"


def _remarks(record: Record) -> Iterator[str]:
    if record.status is not Status.PASSED:
        status = "failed as expected (xfail)" if record.status is Status.XFAILED else record.status
        # the last attempt's reason begins with its workload, those of retried ones do not: one failure is one remark
        named = f"{record.workload.repository}/{record.workload.model}: " if record.workload is not None else ""
        yield f"{status}: {(record.reason or 'no reason given').removeprefix(named)}"
    if record.phase is Phase.WARMUP:
        yield "warm-up, left out of the means"
    if record.workload is not None:
        yield from record.workload.flags
    yield from record.meter.flags
    yield from record.attribution.flags
    for load in record.background:
        yield from (f"{load.name}: {flag}" for flag in load.flags)
        if load.rounds_failed:
            yield f"{load.name}: {failed_rounds(load)}; the load's folder has their logs"
    for domain in record.energy.domains:
        if domain.quality == "missing" and f"{domain.name}: {domain.reason}" not in record.meter.flags:
            yield f"{domain.name} is missing: {domain.reason or 'no reason given'}"
