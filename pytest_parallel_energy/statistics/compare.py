"""Two runs, cell by cell: what changed, how sure that is, and what it would take to be sure."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from ..records.record import Record, WorkloadPart, all_metrics
from . import stats
from .directions import directed
from .judgement import Change, Evidence, Verdict, change_of, judge
from .matching import CellPair, match_cells, measured_alike
from .quantities import QUANTITIES, Threshold, check_quantities, is_derived, offset_j, resolution_of, value_of
from .session_effects import ONE_SESSION, drift_remarks
from .work_units import work_of

__all__ = ["Comparison", "Row", "Verdict", "comparable", "compare_runs", "default_threshold"]

_DEFAULT_RATIO = 0.05
"""Change below which two means count as the same where no threshold was given."""
_BARE = WorkloadPart(repository="", model="", hyperparameters={})
_CONCLUSIVE = {Verdict.WORSE, Verdict.BETTER, Verdict.NO_CHANGE}


class Row(Struct, frozen=True, kw_only=True):
    """One quantity of one cell in both runs."""

    cell: str
    name: str
    quantity: str
    old_values: tuple[float, ...]
    new_values: tuple[float, ...]
    unknown: int = 0
    """Attempts that passed without a value of this quantity."""
    change: Change | None = None
    """``None`` where one run has no value, or where a percentage has no meaning."""
    p: float | None = None
    """Welch's test, corrected by Holm over all cells and quantities of the comparison."""
    sessions: tuple[int, int] = (1, 1)
    """Sessions that the older and the newer values are from."""
    quality: str = ""
    """Quality of the energies: of both runs, or ``older, now newer`` where they differ."""
    resolution: float | None = None
    """Smallest difference that the sensors can tell, in the quantity's unit."""
    threshold: Threshold
    verdict: Verdict = Verdict.INCONCLUSIVE
    reason: str = ""
    """Reason for the verdict, in a few words."""

    @property
    def change_ratio(self) -> float | None:
        """Relative change: 0.05 is 5 % more; ``None`` where it is unknown or has no meaning."""
        return None if self.change is None or self.change.absolute else self.change.value

    @property
    def old_mean(self) -> float | None:
        """Mean in the older run."""
        return statistics.fmean(self.old_values) if self.old_values else None

    @property
    def new_mean(self) -> float | None:
        """Mean in the newer run."""
        return statistics.fmean(self.new_values) if self.new_values else None


class Comparison(Struct, frozen=True, kw_only=True):
    """All rows, and the cells that only one run has (by name)."""

    old_name: str
    new_name: str
    rows: tuple[Row, ...]
    only_old: tuple[str, ...] = ()
    only_new: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    """Sentences about the comparison as a whole."""

    @property
    def inconclusive(self) -> tuple[Row, ...]:
        """The rows that say nothing about the threshold: neither worse, better nor unchanged."""
        return tuple(row for row in self.rows if row.verdict not in _CONCLUSIVE)

    @property
    def regressions(self) -> tuple[Row, ...]:
        """The rows that are worse."""
        return tuple(row for row in self.rows if row.verdict is Verdict.WORSE)


class _Draft(Struct, frozen=True, kw_only=True):
    """A row before its verdict, with the values that are tested: of repeats, or the means of sessions."""

    row: Row
    old: tuple[float, ...]
    new: tuple[float, ...]


def compare_runs(
    old: tuple[str, Sequence[Record]],
    new: tuple[str, Sequence[Record]],
    thresholds: Sequence[Threshold],
    *,
    by: str = "test",
) -> Comparison:
    """Compare the newer run with the older one, for each threshold's quantity.

    Args:
        old: a name and the records.
        new: a name and the records.
        thresholds: one per quantity.
        by: ``test``, or ``workload`` to compare what different tests trained.

    Raises:
        ConfigError: no record has a threshold's quantity, or the direction in which it is worse is unknown or is not
            that of the registry.
    """
    records = (*old[1], *new[1])
    if records:
        check_quantities(thresholds, records)
    wanted = [directed(threshold, records) for threshold in thresholds] if records else []
    matching = match_cells(old[1], new[1], by=by)
    drafts = [
        draft
        for threshold in wanted
        for pair in matching.pairs
        for part in measured_alike(pair, threshold.quantity)
        if (draft := _draft(part, threshold)) is not None
    ]
    rows = _family(drafts)
    remarks = [*matching.remarks]
    remarks += [ONE_SESSION] if any(row.change and row.sessions == (1, 1) for row in rows) else []
    remarks += drift_remarks([(row.name, row.old_values) for row in rows], "older")
    remarks += drift_remarks([(row.name, row.new_values) for row in rows], "newer")
    return Comparison(
        old_name=old[0],
        new_name=new[0],
        rows=rows,
        only_old=matching.only_old,
        only_new=matching.only_new,
        remarks=tuple(remarks),
    )


def comparable(record: Record) -> Record:
    """Return what a comparison needs of a record: a fifth of its memory, which counts from 100 000 records on."""
    workload, energy = record.workload, record.energy
    counted = tuple(domain for domain in energy.domains if domain.counted)
    if energy.windows or len(counted) < len(energy.domains):
        energy = dataclasses.replace(energy, windows=(), domains=counted)
    return replace(
        record,
        metrics=all_metrics(record),
        work=work_of(record),
        epochs=(),
        workload=replace(_BARE, better=workload.better) if workload and workload.better else None,
        background=(),
        labels={},
        hyperparameters={},
        parameters={},
        energy=energy,
    )


def default_threshold(quantity: str) -> Threshold:
    """Return a threshold of five percent: more is worse, except for metrics, whose direction their records have."""
    return Threshold(
        quantity=quantity, limit=_DEFAULT_RATIO, falls=False if quantity in QUANTITIES or is_derived(quantity) else None
    )


def _family(drafts: Sequence[_Draft]) -> tuple[Row, ...]:
    """Return the judged rows, their p values corrected together (Holm 1979).

    A constant that stayed the same is not a test, and does not weaken the others.
    """
    tested = [
        i
        for i, draft in enumerate(drafts)
        if draft.row.verdict is not Verdict.NOT_COMPARABLE
        and (change := draft.row.change) is not None
        and change.limit_p is not None
        and not (change.constant and change.value == 0)
    ]
    p_values = stats.holm([drafts[i].row.change.limit_p for i in tested])  # type: ignore[union-attr,misc]
    corrected = dict(zip(tested, p_values, strict=True))
    return tuple(_judged(draft, corrected.get(i), max(len(tested), 1)) for i, draft in enumerate(drafts))


def _judged(draft: _Draft, p: float | None, family: int) -> Row:
    row = replace(draft.row, p=p)
    if row.verdict is Verdict.NOT_COMPARABLE:
        return row
    verdict, reason = judge(
        Evidence(
            old=draft.old,
            new=draft.new,
            threshold=row.threshold,
            change=row.change,
            p=p,
            family=family,
            resolution=row.resolution,
            sessions=row.sessions,
        )
    )
    if row.unknown:
        reason += f"; {row.unknown} {'attempt' if row.unknown == 1 else 'attempts'} without a value"
    return replace(row, verdict=verdict, reason=reason)


def _draft(pair: CellPair, threshold: Threshold) -> _Draft | None:
    """Return the values and their change; ``None`` where no attempt has or lacks a value."""
    quantity = threshold.quantity
    found = [[(record.run_id, value_of(record, quantity)) for record in cell.passed] for cell in (pair.old, pair.new)]
    old, new = ([(run, value) for run, value in values if value is not None] for values in found)
    unknown = sum(value is None for values in found for _, value in values)
    if not (old or new or unknown):
        return None
    sessions = (len({run for run, _ in old}) or 1, len({run for run, _ in new}) or 1)
    row = Row(
        cell=pair.new.cell,
        name=pair.new.name,
        quantity=quantity,
        old_values=tuple(value for _, value in old),
        new_values=tuple(value for _, value in new),
        unknown=unknown,
        sessions=sessions,
        quality=", now ".join(dict.fromkeys(str(cell.quality) for cell in (pair.old, pair.new) if cell.records)),
        threshold=threshold,
    )
    several = max(sessions) > 1
    before, after = (_session_means(old), _session_means(new)) if several else (row.old_values, row.new_values)
    if before and after and pair.one_way:
        row = replace(row, change=change_of(before, after, threshold, sessions=several))
    if pair.obstacle:
        row = replace(row, verdict=Verdict.NOT_COMPARABLE, reason=pair.obstacle)
    return _Draft(row=replace(row, resolution=_resolution(pair, quantity)), old=before, new=after)


def _session_means(values: Sequence[tuple[str, float]]) -> tuple[float, ...]:
    """Return the mean of each session: repeats of one session share what differs between sessions.

    Taking them as independent is the error called pseudoreplication (Hurlbert 1984, Ecological Monographs 54:187).
    """
    by_run: dict[str, list[float]] = {}
    for run, value in values:
        by_run.setdefault(run, []).append(value)
    return tuple(statistics.fmean(found) for found in by_run.values())


def _resolution(pair: CellPair, quantity: str) -> float | None:
    """Return the coarsest resolution of both sides, and what a constant offset adds where their lengths differ.

    ``None`` where a record's resolution is unknown.
    """
    found = []
    for cell in (pair.old, pair.new):
        known = [record for record in cell.passed if value_of(record, quantity) is not None]
        found += [resolution_of(record, quantity) for record in known]
    values = [value for value in found if value is not None]
    if not values or len(values) < len(found):
        return None
    return max(values) + offset_j(pair.old.passed, pair.new.passed, quantity)
