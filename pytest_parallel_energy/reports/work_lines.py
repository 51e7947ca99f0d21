"""Energy per unit of work, milestones and projections of cells, in words."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from ..records.record import Record
from ..statistics.grouping import Cell, mean_or_none
from ..statistics.projection import Projection, project_cell
from ..statistics.quantities import value_of
from ..statistics.work_units import EDP, PER_UNIT, epoch_energies, work_of
from ..units import format_joules, format_seconds
from .layout import format_interval, format_number

__all__ = ["cell_work", "projection_sentence", "projection_sentences"]


def cell_work(cell: Cell) -> str:
    """Return the energy per unit of work, the energy-delay product and milestones of a cell; empty without any."""
    units = dict.fromkeys(unit for record in cell.sample for unit in work_of(record))
    words = [f"{format_joules(_sample_mean(cell, f'{PER_UNIT}{unit}'))} per {unit}" for unit in units]
    words += list(_stable_words(cell.sample))
    words += list(_milestone_words(cell.sample))
    if words:
        words.append(f"EDP {format_number(_sample_mean(cell, EDP))} J s")
    return "; ".join(words)


def _stable_words(records: Sequence[Record]) -> Iterable[str]:
    """Yield the range of the epochs' energies with the mean half-width of one; the first epoch holds the start."""
    epochs = [epoch for record in records for epoch in epoch_energies(record)[1:]]
    joules = [epoch.joules for epoch in epochs if epoch.joules is not None]
    errors = [epoch.u95_j for epoch in epochs if epoch.u95_j is not None]
    if len(joules) > 1 and len(joules) == len(errors) == len(epochs):
        each = format_interval(statistics.fmean(joules), statistics.fmean(errors), "J")
        yield f"epochs after the first {each} each ({format_joules(min(joules))} to {format_joules(max(joules))})"


def _milestone_words(records: Sequence[Record]) -> Iterable[str]:
    targets = dict.fromkeys((each.metric, each.target) for record in records for each in record.milestones)
    for metric, target in targets:
        found = [
            each for record in records for each in record.milestones if (each.metric, each.target) == (metric, target)
        ]
        reached = [each.joules for each in found if each.seconds is not None and each.joules is not None]
        missed = sum(each.seconds is None for each in found)
        words = f"{format_joules(statistics.fmean(reached))} to {metric} {target:g}" if reached else ""
        never = f"{metric} {target:g} not reached in {missed} of {len(found)}" if missed else ""
        yield ", ".join(filter(None, [words, never])) or f"energy to {metric} {target:g} unknown"


def _sample_mean(cell: Cell, quantity: str) -> float | None:
    return mean_or_none([value_of(record, quantity) for record in cell.sample])


def projection_sentences(cells: Iterable[Cell]) -> list[str]:
    """Return one sentence per cell whose full training can be projected from its epochs."""
    found = [(cell.name, project_cell(cell.passed)) for cell in cells]
    return [f"projection: {name}: {projection_sentence(each)}" for name, each in found if each is not None]


def projection_sentence(projection: Projection) -> str:
    """Return the projected energy and time of a full training, and what they come from."""
    energy, time = projection.energy, projection.time
    joules = format_interval(energy.value, energy.u95, "J")
    error = "" if time.u95 is None else f" ± {format_seconds(time.u95)}"
    return (
        f"a full training of {projection.epochs:g} epochs would use {joules} in {format_seconds(time.value)}{error}, "
        f"projected from {projection.stable} stable epochs of {projection.trained} trained ones; not measured"
    )
