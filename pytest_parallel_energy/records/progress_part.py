"""The parts of a record about the progress of a training: its epochs, and the energy until a metric reached a value."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["EpochEnergy", "Milestone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochEnergy:
    """One epoch, cut out of the power trace where the training's log names it."""

    name: str
    """As the log writes it, such as ``3``."""
    start_s: float
    """Seconds since the window opened."""
    seconds: float
    joules: float | None = None
    u95_j: float | None = None
    """Half-width of the 95 % interval of ``joules``; a cut between two samples is not known better than that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """The time and energy from the training's start until a metric reached a value; ``None`` where it did not."""

    metric: str
    target: float
    seconds: float | None = None
    joules: float | None = None
    u95_j: float | None = None
