"""The time and energy that a planned run will take, from earlier runs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field

from ..records.energy_values import Quality
from ..records.record import Phase, Record, Status
from ..statistics.measured_as import MeasuredAs, measured_as
from ..statistics.projection import stable_epochs
from ..training.progress_keys import epochs_in

__all__ = ["PROJECTED", "Expectation", "Past", "PastRepetition", "PlannedCell"]

PROJECTED = "projection"
"""The source of an expectation that follows from measured epochs."""

# Rough limits of the error of an expected time, as ratios; the plan prints times with them, never without.
_LEAST_RATIO = 0.05
_SINGLE_RATIO = 0.25
"""One earlier repetition has no known spread."""
_OTHER_VALUES_RATIO = 0.3
"""Other values of a workload, such as another batch size, and other code take another time."""
_OTHER_LENGTH_RATIO = 0.5
"""A time that is scaled from one number of epochs to another counts the start of the training as if it grew too."""
_ENOUGH = 3
"""Values from which a spread is computed."""


class PlannedCell(Struct, frozen=True, kw_only=True):
    """One cell of a plan.

    Args:
        name: for the user.
        cell: its identity as its markers give it, as ``planned_cell`` of records.
        code: hash of the code that it trains, as records hold it.
        workload: ``repository/model``; empty where the test trains nothing registered.
        profile: the registry profile in force; ``None`` for the published values.
        values: the hyperparameters.
        loads: names of the concurrent loads, one per load.
        repetitions: measured ones.
        warmups: those before.
    """

    name: str
    cell: str
    code: str | None = None
    workload: str = ""
    profile: str | None = None
    values: Mapping[str, object] = field(default_factory=dict)
    loads: tuple[str, ...] = ()
    repetitions: int = 1
    warmups: int = 0

    @property
    def runs(self) -> int:
        """The number of runs, warm-ups included."""
        return self.repetitions + self.warmups


class Expectation(Struct, frozen=True, kw_only=True):
    """The time and energy that one repetition of a cell is expected to take; ``None`` is unknown."""

    seconds: float | None = None
    error_ratio: float = 0.0
    """The time lies between ``seconds / (1 + error_ratio)`` and ``seconds * (1 + error_ratio)``, roughly."""
    joules: float | None = None
    """In the measurement window; ``None`` also where an earlier energy is unknown."""
    logs_j: tuple[float, ...] = ()
    """Logarithms of the joules of this very cell: the spread that a comparison of it will have."""
    quality: Quality | None = None
    """The worst quality among the earlier energies."""
    n: int = 0
    source: str = ""
    """The earlier runs that it is from: ``this cell``, ``other code`` of it, ``this workload``, ``other epochs``, or
    ``projection`` where the epochs of trainings with other numbers of them were measured."""


class PastRepetition(Struct, frozen=True, kw_only=True):
    """One repetition that passed."""

    seconds: float
    joules: float | None
    quality: Quality
    way: MeasuredAs | None
    """How the joules were measured; ``None`` where they are unknown."""
    epochs: float | None
    per_epoch: tuple[float, float, float] | None = None
    """Number of epochs, and mean seconds and joules of the stable ones, where the record has epochs."""


class Past(Struct):
    """Repetitions that passed, by planned cell and its code, and by workload, profile and loads."""

    by_cell: dict[str, dict[str | None, list[PastRepetition]]] = field(default_factory=dict)
    by_workload: dict[tuple[str, str | None, tuple[str, ...]], list[PastRepetition]] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[Record]) -> Past:
        """Return the past that consists of these records."""
        past = cls()
        for record in records:
            if record.status is not Status.PASSED or record.phase is not Phase.MEASURED:
                continue
            work = record.workload
            found = PastRepetition(
                seconds=record.duration_s,
                joules=record.energy.total_j,
                quality=Quality(record.energy.quality),
                way=measured_as(record),
                epochs=epochs_in(work.hyperparameters) if work else None,
                per_epoch=_per_epoch(record),
            )
            # a test that overrides values or starts loads itself has another cell than its markers give
            by_code = past.by_cell.setdefault(record.planned_cell or record.cell, {})
            by_code.setdefault(record.code, []).append(found)
            if work:
                loads = tuple(sorted(load.name for load in record.background))
                past.by_workload.setdefault((f"{work.repository}/{work.model}", work.profile, loads), []).append(found)
        return past

    def expect(self, planned: PlannedCell) -> Expectation:
        """Return the expectation from earlier runs of the cell, else of its workload with its profile and loads.

        Runs of the cell with other code stand in where there are none with its own. Other cells of the workload may
        have trained for other numbers of epochs: the time and energy are then scaled.
        """
        by_code = self.by_cell.get(planned.cell, {})
        if own := by_code.get(planned.code):
            spread = _ratio([run.seconds for run in own]) if len(own) >= _ENOUGH else _SINGLE_RATIO
            return _expectation(own, [(run.seconds, run.joules) for run in own], max(spread, _LEAST_RATIO), "this cell")
        if by_code:
            *_, before = by_code.values()
            scaled = [(run.seconds, run.joules) for run in before]
            return _expectation(before, scaled, max(_ratio([s for s, _ in scaled]), _OTHER_VALUES_RATIO), "other code")
        others = self.by_workload.get((planned.workload, planned.profile, tuple(sorted(planned.loads))), ())
        if not others:
            return Expectation()
        epochs = epochs_in(planned.values)
        scaled, same_length = _at_epochs(others, epochs)
        ratio = max(_ratio([seconds for seconds, _ in scaled]), _OTHER_VALUES_RATIO)
        if same_length:
            return _expectation(others, scaled, ratio, "this workload")
        if all(run.per_epoch for run in others):
            return _expectation(others, scaled, ratio, PROJECTED)
        return _expectation(others, scaled, max(ratio, _OTHER_LENGTH_RATIO), "other epochs")


def _expectation(
    runs: Sequence[PastRepetition], scaled: Sequence[tuple[float, float | None]], ratio: float, source: str
) -> Expectation:
    # joules that were measured in different ways have no mean: those of the newest way count
    ways = [run.way for run in runs if run.way is not None]
    alike = [(run, value) for run, (_, value) in zip(runs, scaled, strict=True) if run.way in {None, *ways[-1:]}]
    joules = [value for _, value in alike if value is not None]
    complete = len(joules) == len(alike)
    of_cell = source == "this cell"
    return Expectation(
        seconds=statistics.fmean(seconds for seconds, _ in scaled),
        error_ratio=ratio,
        joules=statistics.fmean(joules) if complete else None,
        logs_j=tuple(math.log(value) for value in joules if value > 0) if of_cell and complete else (),
        quality=max((run.quality for run, _ in alike), key=Quality.rank),
        n=len(runs),
        source=source,
    )


def _at_epochs(runs: Sequence[PastRepetition], epochs: float | None) -> tuple[list[tuple[float, float | None]], bool]:
    """Return seconds and joules of each run, scaled to so many epochs, and whether all had that many already.

    Runs whose epochs were measured are extended by the mean of the stable ones. Else, where the runs have two lengths
    or more, the time is the least-squares line over the epochs; with one length, or where the line has a negative part,
    it is proportional to them.
    """
    lengths = [run.epochs for run in runs]
    known = [length for length in lengths if length is not None]
    if epochs is None or len(known) < len(runs) or set(known) == {epochs}:
        return [(run.seconds, run.joules) for run in runs], True
    if (projected := [_projected(run, epochs) for run in runs if run.per_epoch]) and len(projected) == len(runs):
        return projected, False
    ratios = [epochs / length for length in known]
    if len(set(known)) > 1:
        line = statistics.linear_regression(known, [run.seconds for run in runs])
        if line.slope > 0 and line.intercept >= 0:
            at_epochs = line.intercept + line.slope * epochs
            ratios = [at_epochs / (line.intercept + line.slope * length) for length in known]
    return [
        (run.seconds * ratio, None if run.joules is None else run.joules * ratio)
        for run, ratio in zip(runs, ratios, strict=True)
    ], False


def _projected(run: PastRepetition, epochs: float) -> tuple[float, float | None]:
    trained, epoch_s, epoch_j = run.per_epoch or (epochs, 0.0, 0.0)
    more = epochs - trained
    joules = None if run.joules is None else max(0.0, run.joules + more * epoch_j)
    return max(0.0, run.seconds + more * epoch_s), joules


def _per_epoch(record: Record) -> tuple[float, float, float] | None:
    stable = stable_epochs(record)
    if stable is None:
        return None
    return float(stable.trained), statistics.fmean(stable.seconds), statistics.fmean(stable.joules)


def _ratio(values: Sequence[float]) -> float:
    """Return twice the standard deviation over the mean; 0 for one value."""
    if len(values) < 2 or statistics.fmean(values) <= 0:  # noqa: PLR2004 - one value has no spread
        return 0.0
    return 2 * statistics.stdev(values) / statistics.fmean(values)
