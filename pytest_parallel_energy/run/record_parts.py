"""The parts of a record, built from an experiment's workload, loads and window."""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from ..records.masking import mask_arguments, mask_environment, mask_text
from ..records.record import JobPart, LoadReport, MeterPart, WindowResult, WorkloadPart
from ..records.trace import trace_csv_gz

if TYPE_CHECKING:
    from ..energy.window import Window
    from ..host.launcher import Rank
    from ..load.background import BackgroundLoad
    from ..load.conditions import LoadConditions
    from ..plan.cells import CellParam
    from ..training.foreground import TrainingResult
    from ..training.workload import Workload

__all__ = [
    "StartedLoad",
    "background_part",
    "command_identity",
    "energy_part",
    "finite_or_none",
    "job_part",
    "load_identity",
    "meter_part",
    "trace_file",
    "trained_part",
    "training_identity",
    "workload_part",
]


class StartedLoad(Struct, frozen=True, kw_only=True):
    """A background load of an experiment, and what it was started from; ``workload`` is ``None`` for a command."""

    load: BackgroundLoad
    identity: Mapping[str, Any]
    """The part of this load in the identity of a cell."""
    workload: Workload | None = None
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    profile: str | None = None
    began_s: float = 0.0
    """When its folder was prepared, in seconds since 1970."""
    conditions: LoadConditions
    solo_mean_w: float | None = None
    """Mean power of the machine while only the test's loads ran; of the first load alone where there are several."""


def load_identity(
    workload: Workload, values: Mapping[str, Any], profile: str | None, conditions: LoadConditions
) -> dict[str, Any]:
    """Return the part of a registered load in the identity of a cell: its values, command line and conditions.

    The share of the threads that it gets follows from the thread budget and the number of loads, which are in the
    identity already.
    """
    command = training_identity(workload, values, profile=profile, threads=1)
    return {"name": workload.name, "hyperparameters": dict(values), "command": command} | conditions_identity(
        conditions
    )


def command_identity(argv: Sequence[str], conditions: LoadConditions) -> dict[str, Any]:
    """Return the part of a plain command in the identity of a cell."""
    return {"command": list(argv)} | conditions_identity(conditions)


def conditions_identity(conditions: LoadConditions) -> dict[str, Any]:
    """Return the part of a load's conditions in its identity: empty where it has none."""
    return {"conditions": text} if (text := conditions.as_text()) else {}


def training_identity(
    workload: Workload, values: Mapping[str, Any], *, profile: str | None, threads: int
) -> dict[str, Any]:
    """Return the command line and the added environment of a training, with names for the paths of one machine.

    Required and profile arguments, launcher, a registered interpreter, environment and thread budget are in it; the
    output folder, the place of the checkout and the interpreter that runs the tests are not.
    """
    from ..training.checkout_copy import copy_place

    output, checkout = Path("/:output:"), str(workload.path)
    copy = str(copy_place(output, workload.path))
    plain = replace(workload, python=workload.python or (":python:",))
    command = plain.command(values, output_dir=output, threads=threads, profile=profile)

    def placed(text: str) -> str:
        text = text.replace(copy, ":output:/checkout").replace(str(output), ":output:")
        return ":checkout:" if text == checkout else text.replace(f"{checkout}/", ":checkout:/")

    return {
        "argv": [placed(word) for word in command.argv],
        "env": {name: placed(text) for name, text in command.env.items()},
    }


def workload_part(workload: Workload, values: Mapping[str, Any], profile: str | None, param: CellParam) -> WorkloadPart:
    """Return the workload and the values of a cell, before it was trained."""
    from ..training.progress_keys import epochs_in

    published = {name: some.default for name, some in workload.hyperparameters.items()}
    seed = values.get("seed")
    return WorkloadPart(
        repository=workload.repository,
        model=workload.model,
        after=workload.after,
        profile=profile,
        hyperparameters=dict(values),
        mutated=tuple(param.values),
        seed=seed if isinstance(seed, int) else None,
        full_epochs=epochs_in(published),
        better=dict(workload.better),
    )


def trained_part(part: WorkloadPart, result: TrainingResult, log: str) -> WorkloadPart:
    """Return the same with the outcome of the training, secrets masked; ``log`` is relative to the run's folder."""
    return replace(
        part,
        applied=dict(result.applied),
        command=mask_arguments(result.command),
        environment=mask_environment(result.environment),
        log=log,
        exit_code=result.exit_code,
        train_s=result.train_s,
        cpu_s=result.cpu_s,
        flags=tuple(result.flags),
        metrics=finite_or_none(result.metrics),
        series=dict(result.series),
    )


def masked(text: str, workload: Workload | None) -> str:
    """Return a message as a record has it, secrets masked: it may hold the end of a training's log."""
    return mask_text(text, {**os.environ, **(workload.environment if workload else {})})


def finite_or_none(numbers: Mapping[str, float]) -> dict[str, float | None]:
    """Return the numbers as a record has them: ``None`` for one that is not finite, because JSON has none."""
    return {name: number if math.isfinite(number) else None for name, number in numbers.items()}


def energy_part(result: WindowResult | None, trace: str | None) -> WindowResult:
    """Return the energy to store; all of it is missing where no window was opened.

    Args:
        result: the test's window.
        trace: path of its stored trace, relative to the run's folder.
    """
    energy = result or WindowResult()
    return energy if trace == energy.trace else dataclasses.replace(energy, trace=trace)


def trace_file(window: Window, degrees: Mapping[str, Sequence[float | None]]) -> bytes:
    """Return the content of ``trace.csv.gz``: the power of a window's domains, and temperatures at the same times."""
    trace = window.trace
    columns = [f"{domain.name}_w" for domain in window.domains] + [f"{name}_celsius" for name in degrees]
    rows = zip(*degrees.values(), strict=True) if degrees else itertools.repeat(())
    points = [(point.offset_s, [*point.watts, *row]) for point, row in zip(trace, rows, strict=False)]
    return trace_csv_gz(columns, points)


def job_part(rank: Rank) -> JobPart:
    """Return the place of this process in its launcher's job."""
    return JobPart(
        launcher=rank.launcher,
        key=rank.job,
        rank=rank.rank,
        size=rank.size,
        local_size=rank.local_size,
        node=rank.node,
        nodes=rank.nodes,
    )


def background_part(started: StartedLoad) -> LoadReport:
    """Return everything known about a load up to now."""
    workload = started.workload
    return replace(
        started.load.report(),
        repository=None if workload is None else workload.repository,
        model=None if workload is None else workload.model,
        hyperparameters=dict(started.hyperparameters),
        conditions=started.conditions.as_text(),
        solo_mean_w=started.solo_mean_w,
    )


def meter_part(
    window: Window | None,
    flags: tuple[str, ...],
    temperatures_c: tuple[Mapping[str, float], Mapping[str, float]] = ({}, {}),
) -> MeterPart:
    """Return the facts about the measurement.

    Args:
        window: the test's, ``None`` where none was opened.
        flags: of the experiment, after those of the window.
        temperatures_c: at the window's two ends.
    """
    if window is None:
        return MeterPart(flags=flags)
    measured = window.measurement()
    reasons = tuple(f"{domain.name}: {domain.reason}" for domain in measured.energy.domains if domain.reason)
    return MeterPart(
        sampler_cpu_s=measured.sampler_cpu_s,
        max_gap_s=measured.max_gap_s,
        start_temperatures_c=temperatures_c[0],
        end_temperatures_c=temperatures_c[1],
        flags=(*measured.flags, *reasons, *flags),
    )
