"""What the entries of an experiment file share while they are read: the registry, the profile, the draws so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..documents.node import Node, shown
from ..errors import ConfigError, ParallelEnergyError, did_you_mean
from ..mutation.distributions import Value
from ..mutation.draw import MutationKey
from ..training.registry import Registry
from ..training.workload import Workload

__all__ = ["StudyContext"]

_PUBLISHED = "published"
"""How a file asks for the registry's own defaults where the run has another profile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyContext:
    """What the entries of a file share while they are read.

    Args:
        registry: the workloads.
        profile: in force where the file names none; ``None`` is the published defaults.
        drawn: what earlier entries of the same kind (workload, loads, names) draw: a later one goes on with others.
        notes: what a person should know.
    """

    registry: Registry
    profile: str | None = None
    drawn: dict[tuple[str, str, tuple[str, ...]], set[MutationKey]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def in_force(self, profile: str | None) -> str | None:
        """The profile whose values and ranges count, as the registry knows it."""
        profile = profile or self.profile
        return None if profile == _PUBLISHED else profile

    def workload(self, who: Mapping[str, Node], node: Node) -> Workload:
        """The workload that ``repository`` and ``model`` name.

        Args:
            who: those two, where they are given.
            node: what lacks them otherwise.
        """
        for name in ("repository", "model"):
            if name not in who:
                node.fail(f"names no {shown(name)}", 'say what to train: {"repository": "…", "model": "…"}')
        repository, model = who["repository"].text(), who["model"].text()
        known = self.registry.names()
        models = [name.removeprefix(f"{repository}/") for name in known if name.startswith(f"{repository}/")]
        if models and model not in models:
            who["model"].fail(f"{repository} has no model {shown(model)}", did_you_mean(model, models))
        return self.named(f"{repository}/{model}", who["repository"])

    def named(self, name: str, node: Node, *, or_else: str = "") -> Workload:
        """The workload of this name.

        Args:
            name: ``repository/model``.
            node: what names it.
            or_else: a further remedy where there is none of that name.
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
        """Hyperparameters that are fixed, each checked by the workload.

        Args:
            workload: whose they are.
            nodes: the hyperparameters as they are written.
            profile: that the file names for it.
            place: where the profile is named.
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
