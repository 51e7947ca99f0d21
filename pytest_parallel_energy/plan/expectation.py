"""What a planned run will take, from what earlier runs took."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..records.record import Phase, Record, Status

__all__ = ["Expectation", "Past", "PlannedCell", "detectable_ratio"]

# Student's t, 0.8 and 0.975 quantiles, for 2 to 10 degrees of freedom (NIST/SEMATECH e-Handbook of Statistical
# Methods, 1.3.6.7.2); above, z + (z**3 + z) / (4 df) is within 1 % (Abramowitz and Stegun 26.7.5).
_T_800 = (1.061, 0.978, 0.941, 0.920, 0.906, 0.896, 0.889, 0.883, 0.879)
_T_975 = (4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
_NORMAL_800, _NORMAL_975 = 0.842, 1.960


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCell:
    """One cell of a plan.

    Args:
        name: for people.
        cell: its identity, as records hold it.
        workload: ``repository/model``; empty where nothing registered is trained.
        loads: how many loads run beside it.
        repetitions: measured ones.
        warmups: those before.
    """

    name: str
    cell: str
    workload: str = ""
    loads: int = 0
    repetitions: int = 1
    warmups: int = 0

    @property
    def runs(self) -> int:
        """All that will run."""
        return self.repetitions + self.warmups


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What one repetition of a cell took before. ``None`` is unknown.

    ``source`` says whose past it is: ``cell`` (this one), ``workload`` (others of it), or nothing.
    """

    seconds: float | None = None
    joules: float | None = None
    spread_ratio: float | None = None
    """Standard deviation of the joules over their mean; needs three runs of the same cell."""
    n: int = 0
    source: str = ""


@dataclass(slots=True)
class Past:
    """Durations and joules of runs that passed, by cell and by workload."""

    by_cell: dict[str, list[tuple[float, float | None]]] = field(default_factory=dict)
    by_workload: dict[tuple[str, int], list[tuple[float, float | None]]] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[Record]) -> Past:
        """The past that these records are."""
        past = cls()
        for record in records:
            if record.status is Status.PASSED and record.phase is Phase.MEASURED:
                took = (record.duration_s, record.energy.total_j)
                past.by_cell.setdefault(record.cell, []).append(took)
                if work := record.workload:
                    key = (f"{work.repository}/{work.model}", len(record.background))
                    past.by_workload.setdefault(key, []).append(took)
        return past

    def expect(self, planned: PlannedCell) -> Expectation:
        """What the cell will take: as it did before, else as others of its workload did."""
        for found, source in (
            (self.by_cell.get(planned.cell), "cell"),
            (self.by_workload.get((planned.workload, planned.loads)), "workload"),
        ):
            if found:
                joules = [one for _, one in found if one is not None]
                return Expectation(
                    seconds=statistics.fmean(seconds for seconds, _ in found),
                    joules=statistics.fmean(joules) if joules else None,
                    spread_ratio=_spread_ratio(joules) if source == "cell" else None,
                    n=len(found),
                    source=source,
                )
        return Expectation()


def _spread_ratio(joules: Sequence[float]) -> float | None:
    enough = 3
    if len(joules) < enough or statistics.fmean(joules) <= 0:
        return None
    return statistics.stdev(joules) / statistics.fmean(joules)


def detectable_ratio(spread_ratio: float | None, repetitions: int) -> float | None:
    """The smallest difference between two such cells that so many repetitions of each will show.

    As a share of the mean, with 80 % power at the 5 % level, two-sided, by the two-sample t test:
    ``(t(0.975) + t(0.8)) * s * sqrt(2 / n)`` with ``2 n - 2`` degrees of freedom (Cohen 1988, chapter 2).

    >>> round(detectable_ratio(0.02, 5), 3)
    0.04
    """
    if spread_ratio is None or repetitions < 2:  # noqa: PLR2004 - one value has no spread
        return None
    freedom = 2 * repetitions - 2
    quantiles = _t(_T_975, _NORMAL_975, freedom) + _t(_T_800, _NORMAL_800, freedom)
    return quantiles * spread_ratio * math.sqrt(2 / repetitions)


def _t(table: Sequence[float], z: float, freedom: int) -> float:
    return table[freedom - 2] if freedom - 2 < len(table) else z + (z**3 + z) / (4 * freedom)
