"""The state that the entries of an experiment file share while they are read."""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterable, Mapping
from pathlib import Path

from msgspec import Struct, field

from ..documents.node import Node, shown
from ..errors import ConfigError, ParallelEnergyError, did_you_mean
from ..mutation.distributions import Value
from ..mutation.draw import MutationKey, Samples
from ..plan.history import History, read_history
from ..training.registry import Registry
from ..training.workload import Workload

__all__ = ["AnyOf", "DrawKind", "StudyContext"]

DrawKind = tuple[str, str, tuple[str, ...]]
"""Entries of one kind draw different mutations: the workload, its loads, and the names of the mutated values."""

_PUBLISHED = "published"
"""The name by which a file selects the registry's own defaults where the run has another profile."""


class AnyOf(Struct, frozen=True):
    """Several containers as one, without a copy: an entry that copied the earlier draws would cost their number."""

    parts: tuple[Container[MutationKey], ...]

    def __contains__(self, key: object) -> bool:
        return any(key in part for part in self.parts)


class StudyContext(Struct, frozen=True, kw_only=True):
    """The registry, the profile, and the draws of the entries read so far.

    Args:
        registry: the workloads.
        profile: in force where the file names none; ``None`` is the published defaults.
        root: pytest's root folder; ``None`` where there is none.
        strict: refuse unknown keys that otherwise count as notes.
        drawn: mutations of earlier entries of the same kind (workload, loads, names), which later entries do not
            repeat.
        samples: the samples that entries with the same kind, space and rules have read, so that the next one goes on.
        known: mutations that older results hold, by the entry's kind and its files.
        notes: remarks for the user.
        history_notes: per file of older results the rows that were read and skipped.
    """

    registry: Registry
    profile: str | None = None
    root: Path | None = None
    strict: bool = False
    drawn: dict[DrawKind, set[MutationKey]] = field(default_factory=dict)
    samples: dict[Hashable, dict[tuple[str, ...], Samples]] = field(default_factory=dict)
    known: dict[Hashable, frozenset[MutationKey]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    history_notes: list[str] = field(default_factory=list)
    _histories: dict[Path, History] = field(default_factory=dict)

    def history(self, file: Path) -> History:
        """Return the older results in a file, which is read once.

        Raises:
            ConfigError: it cannot be read, or is not a table of results.
        """
        if file not in self._histories:
            self._histories[file] = read_history([file])
            self.history_notes.extend(self._histories[file].notes)
        return self._histories[file]

    def in_force(self, profile: str | None) -> str | None:
        """Return the profile whose values and ranges count, as the registry knows it."""
        profile = profile or self.profile
        return None if profile == _PUBLISHED else profile

    def workload(self, names: Mapping[str, Node], node: Node) -> Workload:
        """Return the workload that ``repository`` and ``model`` name.

        Args:
            names: the nodes of these two, where they are given.
            node: the object that a message names where one of them is missing.
        """
        for name in ("repository", "model"):
            if name not in names:
                node.fail(f"names no {shown(name)}", 'say what to train: {"repository": "…", "model": "…"}')
        repository, model = names["repository"].text(), names["model"].text()
        known = self.registry.names()
        models = [name.removeprefix(f"{repository}/") for name in known if name.startswith(f"{repository}/")]
        if models and model not in models:
            names["model"].fail(f"{repository} has no model {shown(model)}", did_you_mean(model, models))
        return self.named(f"{repository}/{model}", names["repository"])

    def named(self, name: str, node: Node, *, or_else: str = "") -> Workload:
        """Return the workload of this name.

        Args:
            name: ``repository/model``.
            node: the node that names it.
            or_else: a further remedy for a message about an unknown name.
        """
        known = self.registry.names()
        if name not in known:
            remedy = did_you_mean(name, known) if known else "name a registry of workloads with --energy-models=FILE"
            node.fail(f"there is no workload {shown(name)}", remedy + or_else)
        try:
            return self.registry.workload(name)
        except ConfigError as error:
            node.fail(str(error))

    def values(
        self, workload: Workload, nodes: Mapping[str, Node], profile: str | None, *, place: Node
    ) -> dict[str, Value]:
        """Return the fixed hyperparameters, each checked by the workload.

        Args:
            workload: the workload that has them.
            nodes: the hyperparameters as they are written.
            profile: the profile that the file names for it.
            place: the node that names the profile.
        """
        profile = self.in_force(profile)
        values: dict[str, Value] = {}
        for name, node in nodes.items():
            try:
                values[name] = workload.values(profile, **{name: node.scalar()})[name]
            except ParallelEnergyError as error:
                node.fail(str(error))
        try:
            workload.profile(profile)
        except ParallelEnergyError as error:
            place.fail(str(error))
        return values

    def check_notes(self, notes: Iterable[Node], workload: Workload) -> None:
        """Refuse a note whose key is a hyperparameter: its value would be lost.

        Raises:
            ConfigError: there is one; the message says where its value belongs.
        """
        for note in notes:
            if note.path[-1] in workload.values(None):
                note.fail(f"is a hyperparameter of {workload.name}", 'write it under "hyperparameters"')
