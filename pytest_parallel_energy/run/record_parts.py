"""From what an experiment's parts report to the parts of its record."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..records.record import AttributionPart, BackgroundPart, EnergyPart, MeterPart, WorkloadPart

if TYPE_CHECKING:
    from ..energy.result import WindowResult
    from ..load.background import BackgroundLoad
    from ..plan.cells import CellParam
    from ..training.foreground import TrainingResult
    from ..training.workload import Workload

__all__ = [
    "StartedLoad",
    "attribution_part",
    "background_part",
    "command_identity",
    "energy_part",
    "load_identity",
    "meter_part",
    "trained_part",
    "workload_part",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedLoad:
    """A background load of an experiment, and what it was started from; ``workload`` is ``None`` for a command."""

    load: BackgroundLoad
    workload: Workload | None = None
    hyperparameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    conditions: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    solo_mean_w: float | None = None
    """Mean power of the machine while only the test's loads ran; of the first load alone where there are several."""

    def identity(self) -> dict[str, Any]:
        """What a repetition of the cell would have to start again."""
        if self.workload is None:
            return command_identity(self.load.command.argv, self.conditions)
        return load_identity(self.workload.name, self.hyperparameters, self.conditions)


def load_identity(name: str, values: Mapping[str, Any], conditions: Mapping[str, Any]) -> dict[str, Any]:
    """What a registered load is, for the identity of a cell."""
    return {"name": name, "hyperparameters": dict(values)} | conditions_identity(conditions)


def command_identity(argv: Sequence[str], conditions: Mapping[str, Any]) -> dict[str, Any]:
    """What a plain command as load is, for the identity of a cell."""
    return {"command": list(argv)} | conditions_identity(conditions)


def conditions_identity(conditions: Mapping[str, Any]) -> dict[str, Any]:
    """What a load's conditions add to its identity: nothing where there are none."""
    if not conditions:
        return {}
    return {"conditions": {field: str(value) for field, value in sorted(conditions.items())}}


def workload_part(workload: Workload, values: Mapping[str, Any], profile: str | None, param: CellParam) -> WorkloadPart:
    """What was asked for."""
    seed = values.get("seed")
    return WorkloadPart(
        repository=workload.repository,
        model=workload.model,
        after=workload.after,
        profile=profile,
        hyperparameters=dict(values),
        mutated=tuple(param.values),
        seed=seed if isinstance(seed, int) else None,
    )


def trained_part(part: WorkloadPart, result: TrainingResult, log: str) -> WorkloadPart:
    """What was asked for, with what came of it; ``log`` is relative to the run's folder."""
    return dataclasses.replace(
        part,
        applied=dict(result.applied),
        command=tuple(result.command),
        environment=dict(result.environment),
        log=log,
        exit_code=result.exit_code,
        train_s=result.train_s,
        cpu_s=result.cpu_s,
        flags=tuple(result.flags),
        metrics=dict(result.metrics),
    )


def energy_part(result: WindowResult | None, trace: str | None) -> EnergyPart:
    """The window's energy; ``missing`` where no window was opened."""
    if result is None:
        return EnergyPart()
    return dataclasses.replace(_window_part(result), trace=trace)


def _window_part(result: WindowResult) -> EnergyPart:
    import msgspec

    shared = {one.name for one in dataclasses.fields(EnergyPart)} & {one.name for one in dataclasses.fields(result)}
    fields = {name: getattr(result, name) for name in shared - {"trace"}}
    domains = tuple(msgspec.to_builtins(result.domains))
    windows = tuple(msgspec.to_builtins(_window_part(inner)) for inner in result.windows)
    return msgspec.convert(fields | {"domains": domains, "windows": windows}, EnergyPart)


def background_part(started: StartedLoad) -> BackgroundPart:
    """What a load has done so far."""
    import msgspec

    origin: dict[str, Any] = {"hyperparameters": dict(started.hyperparameters)}
    origin |= conditions_identity(started.conditions)
    if started.workload is not None:
        origin |= {"repository": started.workload.repository, "model": started.workload.model}
    if started.solo_mean_w is not None:
        origin["solo_mean_w"] = started.solo_mean_w
    return msgspec.convert(msgspec.to_builtins(started.load.report()) | origin, BackgroundPart)


def attribution_part(fields: Mapping[str, Any]) -> AttributionPart:
    """Whose joules."""
    return AttributionPart(**fields)


def meter_part(
    result: WindowResult | None,
    flags: tuple[str, ...],
    temperatures_c: tuple[Mapping[str, float], Mapping[str, float]] = ({}, {}),
) -> MeterPart:
    """How the measuring went, and what a reader must know; temperatures are those at the window's two ends."""
    if result is None:
        return MeterPart(flags=flags)
    return MeterPart(
        sampler_cpu_s=result.sampler_cpu_s,
        max_gap_s=result.max_gap_s,
        start_temperatures_c=temperatures_c[0],
        end_temperatures_c=temperatures_c[1],
        flags=(*result.flags, *(f"{one.name}: {one.reason}" for one in result.domains if one.reason), *flags),
    )
