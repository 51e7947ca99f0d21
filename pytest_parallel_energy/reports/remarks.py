"""Remarks that a reader must know about an attempt or a cell: the same sentences in each report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..records.record import Phase, Record, Status
from ..statistics.grouping import Cell
from .load_lines import failed_rounds
from .strangers import cell_strangers, strangers

__all__ = ["cell_remarks", "origins", "remarks"]

_WIDE_RATIO = 0.2
"""With all legs on a machine whose power adds up, the half-width of a share is about a tenth of it
(``benchmarks/shares.py``)."""


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
    yield from _wide_share(record)
    for load in record.background:
        yield from (f"{load.name}: {flag}" for flag in load.flags)
        if load.rounds_failed:
            yield f"{load.name}: {failed_rounds(load)}; the load's folder has their logs"
    for domain in record.energy.domains:
        if domain.quality == "missing" and f"{domain.name}: {domain.reason}" not in record.meter.flags:
            yield f"{domain.name} is missing: {domain.reason or 'no reason given'}"


def _wide_share(record: Record) -> Iterator[str]:
    """Yield a sentence on a share of the energy that the legs at hand cannot narrow, without the error of the meter."""
    shares = record.attribution
    share_j, half_j = shares.foreground_j, shares.split_u95_j
    if not record.background or share_j is None or half_j is None or share_j <= 0 or half_j <= _WIDE_RATIO * share_j:
        return
    if record.energy.quality == "estimated":
        why = "an estimate from CPU time cannot be split better"
    elif shares.method == "shapley":
        why = "its energy alone and its energy on top of the load's differ, or other programs ran"
    else:
        why = "run the same training alone in the same session, on an otherwise idle machine, to narrow it"
    yield f"the training's share of the energy is known to ± {100 * half_j / share_j:.0f} % only: {why}"
