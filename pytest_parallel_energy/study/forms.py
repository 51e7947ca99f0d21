"""The one form of an experiment file: resolved, but with every value at its place in the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from ..documents.node import Node

__all__ = ["EntryForm", "LoadForm", "StudyForm"]


class LoadForm(Struct, frozen=True, kw_only=True):
    """One background load.

    Args:
        node: the load in the file, for messages.
        fields: ``command``, or ``name``, or ``repository`` and ``model``; further ``batch_size`` (``"auto"``), the
            profile, ``n`` and the conditions.
        hyperparameters: the fixed values of its training.
        notes: unknown keys that are taken for notes.
    """

    node: Node
    fields: Mapping[str, Node]
    hyperparameters: Mapping[str, Node]
    notes: tuple[Node, ...] = ()


class EntryForm(Struct, frozen=True, kw_only=True):
    """One experiment.

    Args:
        node: the entry in the file, for messages.
        trained: the object that should name the workload, for messages.
        fields: by the names of ``keys.ENTRY``, each setting with its nearest value. ``runs_per_config`` and
            ``num_mutations`` are replaced by ``samples`` and ``repeats``; ``historical_csvs`` is left out where
            ``use_deduplication`` is false.
        mutates: true if hyperparameters are mutated.
        vary: whether they are mutated together or one at a time.
        loads: its background loads.
        notes: unknown keys that are taken for notes.
    """

    node: Node
    trained: Node
    fields: Mapping[str, Node]
    mutates: bool
    vary: Literal["all", "one-at-a-time"] = "all"
    loads: tuple[LoadForm, ...] = ()
    notes: tuple[Node, ...] = ()


class StudyForm(Struct, frozen=True, kw_only=True):
    """One experiment file: its name, the files that it includes, its entries, and all keys that are taken for notes."""

    name: Node | None
    includes: tuple[Node, ...]
    entries: tuple[EntryForm, ...]
    notes: tuple[Node, ...]
