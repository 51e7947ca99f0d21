"""The parts of a record about the progress of a training: its epochs, and the energy until a metric reached a value."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["EpochEnergy", "Milestone"]


class EpochEnergy(Struct, frozen=True, kw_only=True):
    """One epoch, cut out of the power trace where the training's log names it."""

    name: str
    """As the log writes it, such as ``3``."""
    start_s: float
    """Seconds since the window opened."""
    seconds: float
    joules: float | None = None
    u95_j: float | None = None
    """Half-width of the 95 % interval of ``joules``; a cut between two samples is not known better than that."""


class Milestone(Struct, frozen=True, kw_only=True):
    """The time and energy from the training's start until a metric reached a value; ``None`` where it did not."""

    metric: str
    target: float
    seconds: float | None = None
    joules: float | None = None
    u95_j: float | None = None
