"""The times by which the shards of a sweep are balanced: the same on all hosts that read the same files."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping

from msgspec import Struct

from ..records.record import Record, Status
from ..statistics.grouping import cell_name

__all__ = ["ShardCell", "expected_times_s"]


class ShardCell(Struct, frozen=True, kw_only=True):
    """A cell to assign to a shard: its workload (empty for none) and the number of its runs, warm-ups included."""

    workload: str
    runs: int


def expected_times_s(cells: Mapping[str, ShardCell], past: Iterable[Record]) -> dict[str, float]:
    """Return the seconds that all runs of each cell are expected to take.

    A run takes as long as earlier ones of the same cell on average, else as those of its workload, else as all of them;
    without any, each run counts as 1 s. Cells are compared by name: their stored hash depends on the host.
    """
    by_cell: dict[str, list[float]] = {}
    by_workload: dict[str, list[float]] = {}
    for record in past:
        if record.status is Status.PASSED:
            by_cell.setdefault(cell_name(record.nodeid), []).append(record.duration_s)
            if work := record.workload:
                by_workload.setdefault(f"{work.repository}/{work.model}", []).append(record.duration_s)
    all_s = [seconds for group in by_cell.values() for seconds in group] or [1.0]
    return {
        name: cell.runs * statistics.fmean(by_cell.get(name) or by_workload.get(cell.workload) or all_s)
        for name, cell in cells.items()
    }
