"""The progress of a training in its record: epochs and milestones with their energy, units of work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..energy.trace_cut import cut_trace
from ..records.progress_part import EpochEnergy, Milestone
from ..training.progress_keys import amount_of
from ..units import NS_PER_S

if TYPE_CHECKING:
    from ..energy.window import Window
    from ..training.foreground import TrainingResult
    from ..training.log_marks import LogMarks
    from ..training.workload import Workload

__all__ = ["progress_parts"]

_MOST_EPOCHS = 10_000


def progress_parts(
    workload: Workload, values: Mapping[str, Any], result: TrainingResult, window: Window | None
) -> dict[str, Any]:
    """Return ``epochs``, ``milestones`` and ``work`` of a record.

    Args:
        workload: that was trained.
        values: its hyperparameters.
        result: of the training.
        window: the closed window around it; ``None`` where there was none.
    """
    return {
        "epochs": _epochs(result.marks, window),
        "milestones": _milestones(result.marks, window),
        "work": _work(workload, values, result),
    }


def _epochs(marks: LogMarks, window: Window | None) -> tuple[EpochEnergy, ...]:
    """Return the first epochs of a training, 10 000 at most; without energy where no window was open.

    Args:
        marks: the times in the log, on the clock of the window.
        window: the closed window around the training.
    """
    spans = marks.epochs[:_MOST_EPOCHS]
    opened_s = marks.start_s if window is None else window.opened.after_ns / NS_PER_S
    offsets = [(span.start_s - opened_s, span.end_s - opened_s) for span in spans]
    energies = cut_trace(window.measurement(), offsets) if window is not None else ()
    return tuple(
        EpochEnergy(
            name=span.name,
            start_s=start_s,
            seconds=end_s - start_s,
            joules=energies[number].joules if energies else None,
            u95_j=energies[number].u95_j if energies else None,
        )
        for number, (span, (start_s, end_s)) in enumerate(zip(spans, offsets, strict=True))
    )


def _milestones(marks: LogMarks, window: Window | None) -> tuple[Milestone, ...]:
    """Return the time and energy from the training's start until its metrics reached their values."""
    opened_s = marks.start_s if window is None else window.opened.after_ns / NS_PER_S
    found = []
    for reached in marks.reached:
        if reached.at_s is None:
            found.append(Milestone(metric=reached.metric, target=reached.target))
            continue
        span = (marks.start_s - opened_s, reached.at_s - opened_s)
        (energy,) = cut_trace(window.measurement(), [span]) if window is not None else (None,)
        found.append(
            Milestone(
                metric=reached.metric,
                target=reached.target,
                seconds=reached.at_s - marks.start_s,
                joules=None if energy is None else energy.joules,
                u95_j=None if energy is None else energy.u95_j,
            )
        )
    return tuple(found)


def _work(workload: Workload, values: Mapping[str, Any], result: TrainingResult) -> dict[str, float]:
    """Return the amount of work by unit; the epochs that the log shows are a unit, unless the registry has its own."""
    known = {**values, **result.metrics}
    amounts = {unit: amount_of(terms, known) for unit, terms in workload.work.items()}
    if result.marks.epochs:
        amounts.setdefault("epoch", float(len(result.marks.epochs)))
    return {unit: amount for unit, amount in amounts.items() if amount is not None}
