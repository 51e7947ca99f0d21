"""The check that the runs to merge are all shards of one sweep, each once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..records.record import Phase, Record, Status
from ..records.run_info import RunInfo, StudyPart
from .grouping import cell_name

__all__ = ["study_problems"]

_NAMED = 10
"""Number of cells that a sentence names."""


def study_problems(runs: Iterable[RunInfo], records: Iterable[Record]) -> tuple[str, ...]:
    """Return a sentence per problem: shards of different studies, missing or doubled shards, and missing cells."""
    studies: dict[str, list[tuple[StudyPart, str]]] = {}
    for run in runs:
        if run.study is not None:
            studies.setdefault(run.study.id, []).append((run.study, run.run_id))
    problems = []
    if len(studies) > 1:
        names = "; ".join(f"{name}: {', '.join(run for _, run in parts)}" for name, parts in studies.items())
        problems.append(
            f"these are shards of different studies, which collected other cells or read another history ({names})"
        )
    passed = {
        cell_name(record.nodeid)
        for record in records
        if record.status in {Status.PASSED, Status.XFAILED} and record.phase is Phase.MEASURED
    }
    for parts in studies.values():
        problems += _problems_of(parts, passed)
    return tuple(problems)


def _problems_of(parts: Sequence[tuple[StudyPart, str]], passed: set[str]) -> Iterator[str]:
    study = parts[0][0]
    by_shard: dict[int, list[str]] = {}
    for part, run_id in parts:
        by_shard.setdefault(part.shard, []).append(run_id)
    # the balanced split leaves shards beyond the number of cells empty
    for shard in range(1, min(study.count, len(study.cells)) + 1):
        if shard not in by_shard:
            yield f"study {study.id}: shard {shard}/{study.count} is missing"
    for shard, run_ids in sorted(by_shard.items()):
        if len(run_ids) > 1:
            yield f"study {study.id}: shard {shard}/{study.count} occurs {len(run_ids)} times: {', '.join(run_ids)}"
    missing = [cell for cell in study.cells if cell not in passed]
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        yield (
            f"study {study.id}: {len(missing)} of {len(study.cells)} cells have no measurement that passed: "
            f"{', '.join(missing[:_NAMED])}{more}"
        )
