"""What other processes used of the machine while a test was measured: remarks on attempts and cells."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from ..host.cpu_use import CpuUse
from ..records.record import Attribution, Record, WindowResult
from ..units import format_joules

__all__ = ["REMARKED_RATIO", "cell_strangers", "stranger_ratio", "strangers"]

REMARKED_RATIO = 0.05
"""A larger share of others is remarked: it is no longer small against the gain error of a RAPL counter (4 %)."""
_LEAST_CORES = 0.05
"""Other processes that use less of one CPU are those of every machine."""
_NO_JOULES_RATIO = 0.01


def stranger_ratio(energy: WindowResult, shares: Attribution) -> float:
    """Return the larger one of other processes' shares of CPU time and GPU use in a window, 0 to 1.

    0 where it is unknown, and where it is not more than an unused machine shows or than ``/proc/stat`` can tell.
    """
    return max(_cpu_ratio(energy, shares), shares.other_gpu_ratio or 0.0)


def strangers(record: Record) -> Iterator[str]:
    """Yield the remarks on one attempt."""
    yield from cell_strangers([record])


def cell_strangers(records: Sequence[Record]) -> Iterator[str]:
    """Yield the remarks on the attempts whose mean stands for a cell."""
    found = (_cpu_ratio(record.energy, record.attribution) for record in records)
    if ratios := [ratio for ratio in found if ratio > REMARKED_RATIO]:
        yield f"other processes used {_percent(ratios)} of the CPU time{_joules(records, len(ratios))}"
    shares = [record.attribution.other_gpu_ratio or 0.0 for record in records]
    if above := [share for share in shares if share > REMARKED_RATIO]:
        yield f"other processes had {_percent(above)} of the use of a GPU{_attempts(records, len(above))}"


def _cpu_ratio(energy: WindowResult, shares: Attribution) -> float:
    seconds = energy.window_s
    if shares.other_cpu_ratio is None or shares.other_cpu_s is None or not seconds:
        return 0.0
    own_s = (shares.foreground_cpu_s or 0.0) + (shares.background_cpu_s or 0.0)
    use = CpuUse(seconds=seconds, foreground_s=own_s, machine_s=own_s + shares.other_cpu_s)
    return shares.other_cpu_ratio if shares.other_cpu_s - use.other_u95_s > _LEAST_CORES * seconds else 0.0


def _percent(ratios: Sequence[float]) -> str:
    low, high = f"{min(ratios):.0%}".rstrip("%"), f"{max(ratios):.0%}".rstrip("%")
    return f"{high} %" if low == high else f"{low} to {high} %"


def _joules(records: Sequence[Record], disturbed: int) -> str:
    """Return the joules that are not the test's: those above idle, or their part of the whole without idle power."""
    where = _attempts(records, disturbed)
    pairs = [(joules, record.energy.total_j) for record in records if (joules := _other_j(record)) is not None]
    known = [(other_j, total_j) for other_j, total_j in pairs if total_j]
    if len(known) < len(records):
        return where
    other_j, total_j = (statistics.fmean(values) for values in zip(*known, strict=True))
    if other_j < _NO_JOULES_RATIO * total_j:
        return f"{where}, as they did while the idle power was measured: their energy is in the idle energy"
    mean = " on average" if len(records) > 1 else ""
    return f"{where}: about {format_joules(other_j)} of {format_joules(total_j)}{mean}"


def _other_j(record: Record) -> float | None:
    shares = record.attribution
    if shares.other_j is not None:
        return shares.other_j
    if shares.other_cpu_ratio is None or record.energy.total_j is None:
        return None
    return shares.other_cpu_ratio * record.energy.total_j


def _attempts(records: Sequence[Record], disturbed: int) -> str:
    return "" if disturbed == len(records) else f" in {disturbed} of {len(records)} attempts"
