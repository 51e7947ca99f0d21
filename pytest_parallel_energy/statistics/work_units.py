"""Energy per unit of work, energy until a metric reached a value, and the energy-delay product."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..records.progress_part import EpochEnergy
from ..records.record import Record, all_metrics

__all__ = ["EDP", "PER_UNIT", "UNTIL", "derived_quantities", "derived_value", "epoch_energies", "work_of"]

PER_UNIT = "j_per_"
UNTIL = "j_to_"
EDP = "edp_js"
"""Joules times seconds of the window (Gonzalez and Horowitz 1996, IEEE J. Solid-State Circuits 31(9):1277)."""

_COUNTS: Mapping[str, str] = {
    "samples": "sample", "steps": "step", "epochs": "epoch", "tokens": "token", "images": "image",
}  # fmt: skip
"""Metrics that count units of work."""
_EPOCH_WINDOW = re.compile(r"epoch[ _-]?(\d+)", re.IGNORECASE)


def work_of(record: Record) -> dict[str, float]:
    """Return the amount of work by unit: from the registry, else from metrics that count it, else from windows."""
    metrics = all_metrics(record)
    amounts = {unit: value for name, unit in _COUNTS.items() if (value := metrics.get(name)) and value > 0}
    if "epoch" not in amounts and not record.epochs and (windows := epoch_energies(record)):
        amounts["epoch"] = float(len(windows))
    return {**amounts, **record.work}


def epoch_energies(record: Record) -> tuple[EpochEnergy, ...]:
    """Return the epochs of a record: those of its training's log, else its windows called ``epoch 1``, ``epoch 2``."""
    if record.epochs:
        return record.epochs
    return tuple(
        EpochEnergy(
            name=match[1],
            start_s=window.start_s or 0.0,
            seconds=window.window_s or 0.0,
            joules=window.total_j,
            u95_j=window.total_u95_j,
        )
        for window in record.energy.windows
        if (match := _EPOCH_WINDOW.fullmatch(window.name)) is not None
    )


def derived_quantities(record: Record) -> tuple[str, ...]:
    """Return the names of the derived quantities that a record has."""
    per_unit = [f"{PER_UNIT}{unit}" for unit in work_of(record)]
    until = [f"{UNTIL}{milestone.metric}" for milestone in record.milestones]
    return (*per_unit, *until, EDP)


def derived_value(record: Record, quantity: str) -> tuple[float | None, float | None]:
    """Return the value of a derived quantity, and the factor by which it follows from the window's total.

    Both are ``None`` where the record does not have it or does not know it; the factor is ``None`` for the energy until
    a metric reached a value, which is a part of the total.
    """
    total_j, energy = record.energy.total_j, record.energy
    if quantity.startswith(UNTIL):
        found = [each for each in record.milestones if f"{UNTIL}{each.metric}" == quantity]
        return (found[-1].joules if found else None), None
    if quantity == EDP:
        factor = energy.window_s
    else:
        amount = work_of(record).get(quantity.removeprefix(PER_UNIT))
        factor = 1 / amount if amount else None
    return (None if total_j is None or factor is None else total_j * factor), factor
