"""The cells of a test, computed from its markers: the values to train, the repetitions, and their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from ..errors import ConfigError, nearest

if TYPE_CHECKING:
    from ..mutation.draw import Mutation
    from ..training.registry import Registry
    from ..training.workload import Workload
    from .markers import LoadRequest, MutateMark, WorkloadMark
    from .settings import Settings

__all__ = ["PUBLISHED", "CellParam", "MarkedPlan", "cells_of", "profile_of", "workload_of"]

PUBLISHED = "published"
"""The name by which a user selects the registry's own defaults where another profile is set."""


class CellParam(Struct, frozen=True, kw_only=True):
    """One repetition of one cell of a test: the parameter that the plugin adds to the test."""

    values: Mapping[str, Any] = field(default_factory=dict)
    """The mutated hyperparameters, exact; empty for the un-mutated cell."""
    label: str = ""
    repetition: int = 0
    """Counts from 0; measured repetitions and warm-ups are counted apart."""
    warmup: bool = False
    background: str = ""
    """Names of the loads that the markers start, joined by ``+``."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """The parameters of the test's own ``parametrize``: plain values as they are, others by the id that pytest gave."""

    @property
    def id(self) -> str:
        """The text in the test's brackets, such as ``learning_rate=0.0123-bg=VulBERTa/mlp-rep0``."""
        background = f"bg={self.background}" if self.background else ""
        repetition = f"{'warmup' if self.warmup else 'rep'}{self.repetition}"
        return "-".join(part for part in (self.label, background, repetition) if part)


class MarkedPlan(Struct, frozen=True, kw_only=True):
    """The plan that the markers of one test function give."""

    workload: WorkloadMark | None = None
    mutates: tuple[MutateMark, ...] = ()
    loads: tuple[LoadRequest, ...] = ()

    @property
    def background(self) -> str:
        """Names of the marked loads, for ids and tables."""
        return "+".join(load.name if load.n == 1 else f"{load.n}x{load.name}" for load in self.loads)


def profile_of(marked: str | None, settings: Settings) -> str | None:
    """Return the profile in force: the marker's, else the run's; ``None`` stands for the published defaults."""
    profile = marked or settings.profile
    return None if profile == PUBLISHED else profile


def workload_of(mark: WorkloadMark, registry: Registry) -> Workload:
    """Return the training that a marker names or describes.

    Raises:
        RegistryError: the workload is not registered.
    """
    from ..training.plain_command import command_workload

    return command_workload(mark.command) if mark.command else registry.workload(mark.name)


def cells_of(plan: MarkedPlan, settings: Settings, registry: Registry) -> tuple[CellParam, ...]:
    """Return every repetition of every cell: for each mutation the warm-ups, then the measured repetitions.

    Returns:
        At least one; a plain test yields a single default cell.

    Raises:
        ConfigError: an unknown workload, profile or hyperparameter, or a space that cannot be drawn from.
    """
    check_plan(plan, settings, registry)
    mutations = _mutations(plan, settings, registry)
    repeats = 1 if settings.disable else settings.repeats
    warmups = 0 if settings.disable else settings.warmup
    return tuple(
        CellParam(values=values, label=label, repetition=repetition, warmup=is_warmup, background=plan.background)
        for values, label in mutations
        for is_warmup, count in ((True, warmups), (False, repeats))
        for repetition in range(count)
    )


def check_plan(plan: MarkedPlan, settings: Settings, registry: Registry) -> None:
    """Refuse a workload or load that cannot be trained, before anything starts.

    Raises:
        ConfigError: an unknown workload, profile or hyperparameter, a value out of its type or limits, or a
            repository that is not where the registry says.
    """
    mark = plan.workload
    trained = [(mark.name, mark.profile, mark.fixed)] if mark and not mark.command else []
    if mark and mark.command:
        workload_of(mark, registry).check()
    # A command as load has nothing to check here: its program is looked for when it starts.
    trained += [(load.name, load.profile, load.hyperparameters) for load in plan.loads if not load.command]
    for number, (name, profile, fixed) in enumerate(trained):
        workload = registry.workload(name)
        try:
            workload.values(profile_of(profile, settings), **fixed)
        except ConfigError as problem:
            is_load = number >= len(trained) - sum(not load.command for load in plan.loads)
            raise ConfigError(f"{problem}{_meant(fixed, is_load=is_load)}") from problem
        workload.check()


def _meant(names: Iterable[str], *, is_load: bool) -> str:
    """Return the setting of the marker that a name is a misspelling of, in words; empty where it is near to none."""
    from ..load.conditions import CONDITIONS

    keywords = ("n", "profile", *CONDITIONS) if is_load else ("profile", "command")
    near = [guess for name in names if (guess := nearest(name, keywords)) not in {None, name}]
    return f"; or did you mean the marker's setting {near[0]!r}?" if near else ""


def _mutations(plan: MarkedPlan, settings: Settings, registry: Registry) -> Sequence[tuple[Mapping[str, Any], str]]:
    from ..mutation.labels import distinct_labels

    drawn = [mutation for mark in plan.mutates for mutation in _draw(mark, plan, settings, registry)]
    if not drawn:
        return [({}, "")]
    varied = [{name: mutation.values[name] for name in mutation.mutated} for mutation in drawn]
    # Labels of all markers together, because they must differ within the whole test.
    labels = iter(distinct_labels([values for values in varied if values]))
    return [(values, next(labels)) if values else ({}, "default") for values in varied]


def _draw(mark: MutateMark, plan: MarkedPlan, settings: Settings, registry: Registry) -> Sequence[Mutation]:
    from ..mutation.distributions import as_distribution
    from ..mutation.draw import draw_mutations

    if mark.drawn:
        return mark.drawn
    if plan.workload is None:
        if mark.names:
            raise ConfigError(
                f"mutate({mark.names[0]!r}) takes the registered distribution, and the test has no workload marker; "
                f"give the distribution itself, as in mutate({mark.names[0]}=log_uniform(1e-4, 1e-1))"
            )
        return draw_mutations({name: as_distribution(given) for name, given in mark.spaces.items()}, mark.draw)
    workload = workload_of(plan.workload, registry)
    profile = profile_of(plan.workload.profile, settings)
    return draw_mutations(
        workload.space(mark.names, mark.spaces, profile=profile),
        mark.draw,
        defaults=workload.values(profile, **plan.workload.fixed),
    )
