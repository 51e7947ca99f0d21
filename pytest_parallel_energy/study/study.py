"""What an experiment file asks for, as values: nothing in them is left to be interpreted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..mutation.distributions import Distribution, Value
from ..mutation.draw import Draw
from ..plan.markers import LoadRequest

__all__ = ["Entry", "Study"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One experiment of a file: what a test function with markers would say.

    Args:
        place: file, line and place in it, for messages.
        name: part of the test's name: letters, digits and ``_``, unique in the file.
        workload: ``repository/model``.
        values: hyperparameters that are fixed.
        profile: profile of the registry; ``None`` leaves it to the run.
        space: what is mutated; empty for the values alone.
        draw: how it is drawn; ``None`` where nothing is.
        loads: what loops beside it.
        repeats: repetitions of each cell; ``None`` leaves it to the run.
        max_retries: as the option; ``None`` leaves it to the run.
        governor: as the option.
        timeout_s: seconds after which a training is stopped.
    """

    place: str
    name: str
    workload: str
    values: Mapping[str, Value] = field(default_factory=dict)
    profile: str | None = None
    space: Mapping[str, Distribution] = field(default_factory=dict)
    draw: Draw | None = None
    loads: tuple[LoadRequest, ...] = ()
    repeats: int | None = None
    max_retries: int | None = None
    governor: str | None = None
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One experiment file.

    Args:
        file: where it lies.
        name: what it calls itself; its file's name otherwise.
        entries: what to run, in order; at least one.
        notes: what a person should know about how it was understood, in words.
    """

    file: Path
    name: str
    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()
