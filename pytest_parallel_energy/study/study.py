"""The experiments of a file as values that need no further interpretation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from ..mutation.distributions import Distribution, Value
from ..mutation.draw import Draw, Mutation
from ..plan.markers import LoadRequest

__all__ = ["Entry", "Study"]


class Entry(Struct, frozen=True, kw_only=True):
    """One experiment of a file, equivalent to a test function with markers.

    Args:
        place: file, line and place in it, for messages.
        name: part of the test's name: letters, digits and ``_``, unique in the file.
        workload: ``repository/model``.
        values: hyperparameters that are fixed.
        profile: profile of the registry; ``None`` leaves it to the run.
        space: distributions of the mutated hyperparameters; empty for the values alone.
        draw: the rules of the draw; ``None`` where nothing is drawn.
        mutations: the result of the draw: no mutation of an earlier entry of the same kind is among them.
        loads: background loads that run alongside it.
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
    mutations: tuple[Mutation, ...] = ()
    loads: tuple[LoadRequest, ...] = ()
    repeats: int | None = None
    max_retries: int | None = None
    governor: str | None = None
    timeout_s: float | None = None


class Study(Struct, frozen=True, kw_only=True):
    """One experiment file.

    Args:
        file: its path.
        name: the name that the file gives the study; otherwise the file's own name.
        entries: the experiments in order; at least one.
        notes: remarks for the user about how the file was understood.
        history_notes: per file of older results the rows that were read, and those that were skipped and why.
    """

    file: Path
    name: str
    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()
    history_notes: tuple[str, ...] = ()
