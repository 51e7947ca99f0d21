"""Two runs, cell by cell: what changed, how sure that is, and what it would take to be sure."""

from __future__ import annotations

import enum
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..records.record import HostPart, Record
from . import stats
from .grouping import Cell, all_metrics, group_cells, sample_sd
from .quantities import Threshold, resolution_of, value_of

__all__ = ["Comparison", "Row", "Verdict", "comparable", "compare_runs", "default_threshold"]

_DEFAULT_RATIO = 0.05
"""Change below which two means count as the same where no threshold was given."""


class Verdict(enum.StrEnum):
    """What a comparison of two cells says."""

    WORSE = "worse"
    BETTER = "better"
    NO_CHANGE = "no change"
    INCONCLUSIVE = "inconclusive"
    NOT_COMPARABLE = "not comparable"
    NOT_TESTED = "not tested"
    """SciPy is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One quantity of one cell in both runs."""

    cell: str
    name: str
    quantity: str
    old_values: tuple[float, ...]
    new_values: tuple[float, ...]
    unknown: int = 0
    """Attempts that passed without a value of this quantity."""
    change_ratio: float | None = None
    """Relative change of the mean: 0.05 is 5 % more."""
    difference: stats.Difference | None = None
    p: float | None = None
    """Mann-Whitney's, corrected by Holm over the cells of this quantity."""
    resolution: float | None = None
    """Smallest difference that the sensors can tell, in the quantity's unit."""
    threshold: Threshold
    verdict: Verdict = Verdict.INCONCLUSIVE
    reason: str = ""
    """What stands behind the verdict, in a few words."""

    @property
    def old_mean(self) -> float | None:
        """Mean in the older run."""
        return statistics.fmean(self.old_values) if self.old_values else None

    @property
    def new_mean(self) -> float | None:
        """Mean in the newer run."""
        return statistics.fmean(self.new_values) if self.new_values else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All rows, and the cells that only one run has (by name)."""

    old_name: str
    new_name: str
    rows: tuple[Row, ...]
    only_old: tuple[str, ...] = ()
    only_new: tuple[str, ...] = ()

    @property
    def regressions(self) -> tuple[Row, ...]:
        """The rows that are worse."""
        return tuple(row for row in self.rows if row.verdict is Verdict.WORSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    old: Cell
    new: Cell
    obstacle: str = ""
    """Why the two cannot be compared; empty when they can."""


def compare_runs(
    old: tuple[str, Sequence[Record]], new: tuple[str, Sequence[Record]], thresholds: Sequence[Threshold]
) -> Comparison:
    """The newer run against the older one, for each threshold's quantity.

    Args:
        old: a name and the records.
        new: a name and the records.
        thresholds: one a quantity.
    """
    pairs, only_old, only_new = _matched(group_cells(old[1]), group_cells(new[1]))
    rows = tuple(row for threshold in thresholds for row in _family(pairs, threshold))
    return Comparison(old_name=old[0], new_name=new[0], rows=rows, only_old=only_old, only_new=only_new)


def comparable(record: Record) -> Record:
    """What a comparison needs of a record: about a fifth of its memory, which counts from 100 000 of them on."""
    return replace(
        record,
        metrics=all_metrics(record),
        workload=None,
        background=(),
        labels={},
        energy=replace(record.energy, windows=(), domains=tuple(d for d in record.energy.domains if d.counted)),
    )


def default_threshold(quantity: str) -> Threshold:
    """Five percent more is worse."""
    return Threshold(quantity=quantity, ratio=_DEFAULT_RATIO)


def _matched(old: Sequence[Cell], new: Sequence[Cell]) -> tuple[list[_Pair], tuple[str, ...], tuple[str, ...]]:
    """Pairs by cell; what is left by name, which then lacks the same host, values or load."""
    olds = {cell.cell: cell for cell in old}
    pairs = [_Pair(old=olds.pop(cell.cell), new=cell) for cell in new if cell.cell in olds]
    paired = {pair.new.cell for pair in pairs}
    pairs = [replace(pair, obstacle=_other_machine(pair.old, pair.new)) for pair in pairs]
    names = {cell.name: cell for cell in olds.values()}
    only_new = []
    for cell in new:
        if cell.cell in paired:
            continue
        if (other := names.pop(cell.name, None)) is None:
            only_new.append(cell.name)
            continue
        del olds[other.cell]
        pairs.append(
            _Pair(old=other, new=cell, obstacle=_other_machine(other, cell) or "other values, load or threads")
        )
    return pairs, tuple(cell.name for cell in olds.values()), tuple(only_new)


def _other_machine(old: Cell, new: Cell) -> str:
    before, after = ({record.host.machine_id for record in cell.sample} for cell in (old, new))
    if before == after or None in before | after:
        return ""
    return f"another machine: {_host_name(old.sample[0].host)}, now {_host_name(new.sample[0].host)}"


def _host_name(host: HostPart) -> str:
    return host.hostname or host.machine_id or "unknown"


def _family(pairs: Sequence[_Pair], threshold: Threshold) -> list[Row]:
    """The rows of one quantity, their p values corrected together."""
    drafts = [_draft(pair, threshold) for pair in pairs]
    rows = [row for row in drafts if row.old_values or row.new_values or row.unknown]
    tested = [i for i, row in enumerate(rows) if row.difference and row.difference.mann_whitney_p is not None]
    p_values = stats.holm([rows[i].difference.mann_whitney_p or 0.0 for i in tested])  # type: ignore[union-attr]
    for index, p in zip(tested, p_values, strict=True):
        rows[index] = replace(rows[index], p=p)
    return [row if row.verdict is Verdict.NOT_COMPARABLE else _judged(row, len(tested)) for row in rows]


def _draft(pair: _Pair, threshold: Threshold) -> Row:
    quantity = threshold.quantity
    found = [[value_of(record, quantity) for record in cell.passed] for cell in (pair.old, pair.new)]
    old, new = (tuple(value for value in values if value is not None) for values in found)
    row = Row(
        cell=pair.new.cell,
        name=pair.new.name,
        quantity=quantity,
        old_values=old,
        new_values=new,
        unknown=sum(value is None for values in found for value in values),
        threshold=threshold,
    )
    if old and new and statistics.fmean(old) != 0:
        row = replace(row, change_ratio=statistics.fmean(new) / statistics.fmean(old) - 1)
    if pair.obstacle:
        return replace(row, verdict=Verdict.NOT_COMPARABLE, reason=pair.obstacle)
    if old and new and stats.have_scipy():
        row = replace(row, difference=stats.difference(old, new))
    return replace(row, resolution=_resolution((*pair.old.passed, *pair.new.passed), quantity))


def _resolution(records: Sequence[Record], quantity: str) -> float | None:
    """The coarsest of both sides; unknown where one is."""
    found = [resolution_of(record, quantity) for record in records if value_of(record, quantity) is not None]
    known = [value for value in found if value is not None]
    return max(known) if known and len(known) == len(found) else None


def _judged(row: Row, family: int) -> Row:
    verdict, reason = _verdict(row, family)
    return replace(row, verdict=verdict, reason=reason)


def _verdict(row: Row, family: int) -> tuple[Verdict, str]:
    """The verdict and its reason. ``worse`` and ``better`` need p, the threshold and the sensors' resolution."""
    obstacle = _obstacle(row, family)
    if obstacle is not None:
        return obstacle
    change, limit = row.change_ratio or 0.0, row.threshold.ratio
    significant = row.p is not None and row.p <= stats.ALPHA
    if abs(change) < limit:
        return (Verdict.NO_CHANGE, _within(row)) if significant or _inside(row) else _too_noisy(row)
    if not significant:
        return _too_noisy(row)
    if row.resolution is None:
        return Verdict.INCONCLUSIVE, "the sensors' resolution is unknown"
    if abs((row.new_mean or 0.0) - (row.old_mean or 0.0)) <= row.resolution:
        return Verdict.INCONCLUSIVE, f"below the sensors' resolution of {row.resolution:.3g}"
    worse = (change < 0) == row.threshold.falls
    return (Verdict.WORSE if worse else Verdict.BETTER), f"p = {row.p:.2g}, threshold {row.threshold}"


def _obstacle(row: Row, family: int) -> tuple[Verdict, str] | None:
    """What makes a test impossible, where something does."""
    if not row.old_values or not row.new_values:
        return Verdict.INCONCLUSIVE, "no value in " + ("the older run" if not row.old_values else "the newer run")
    if row.change_ratio is None:
        return Verdict.INCONCLUSIVE, "the older mean is 0"
    if not stats.have_scipy():
        return Verdict.NOT_TESTED, stats.INSTALL_HINT
    n_old, n_new = len(row.old_values), len(row.new_values)
    if stats.smallest_p(n_old, n_new) * max(family, 1) > stats.ALPHA and not _constant(row):
        need = stats.repeats_for_p(max(family, 1))
        return Verdict.INCONCLUSIVE, f"n too small: {n_old} and {n_new}, need {need}"
    return None


def _constant(row: Row) -> bool:
    """Both sides are one and the same value throughout, as a deterministic metric is."""
    return len({*row.old_values, *row.new_values}) == 1 and min(len(row.old_values), len(row.new_values)) > 1


def _inside(row: Row) -> bool:
    """Whether the interval of the ratio lies within the threshold: evidence for no change, not lack of evidence."""
    if _constant(row):
        return True
    found = row.difference
    if found is None or found.ratio_low is None or found.ratio_high is None:
        return False
    return 1 - row.threshold.ratio < found.ratio_low and found.ratio_high < 1 + row.threshold.ratio


def _cv_ratio(values: Sequence[float]) -> float:
    mean = abs(statistics.fmean(values))
    return sample_sd(values) / mean if mean else 0.0


def _within(row: Row) -> str:
    return f"within {row.threshold.ratio * 100:.4g} %"


def _too_noisy(row: Row) -> tuple[Verdict, str]:
    """The spread hides a change of the threshold's size: how many repeats would show it."""
    spreads = [_cv_ratio(values) for values in (row.old_values, row.new_values) if len(values) > 1]
    need = stats.repeats_for_spread(max(spreads, default=0.0), row.threshold.ratio)
    enough = min(len(row.old_values), len(row.new_values))
    return Verdict.INCONCLUSIVE, f"too noisy: need {max(need, enough + 1)}"
