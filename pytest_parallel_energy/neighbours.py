"""From what a marker says to a background load: its command, its conditions, its identity."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .cells import profile_of
from .errors import ConfigError
from .processes.command import Command
from .recording import StartedLoad

if TYPE_CHECKING:
    from .load.settings import AutoBatch, LoadSettings
    from .markers import LoadMark
    from .settings import Settings
    from .training.workload import Workload

__all__ = ["command_load", "registered_load"]

_BATCH = "batch_size"
_PLACEHOLDER = 1_000_003
"""Stands in the command for the batch size of each round: a prime that nobody asks for."""


def registered_load(
    workload: Workload, mark: LoadMark, *, folder: Path, threads: int, settings: Settings
) -> StartedLoad:
    """A load that trains a workload, not started yet; its output folder is made.

    Raises:
        ConfigError: an unknown hyperparameter, or a condition that this workload or this machine cannot fulfil.
    """
    from .load.background import BackgroundLoad

    profile, conditions = profile_of(mark.profile, settings), mark.conditions
    values = workload.values(profile, **mark.hyperparameters)
    workload.prepare(folder / "outputs")
    batch = _auto_batch(workload, values, conditions)
    asked = dict(values) if batch is None else {**values, _BATCH: _PLACEHOLDER}
    command = workload.command(asked, output_dir=folder / "outputs", threads=threads, profile=profile)
    if batch is not None and not any(argument.endswith(batch.placeholder) for argument in command.argv):
        raise ConfigError(
            f'{workload.name} is not given its batch_size as an argument: batch_size="auto" cannot fit it'
        )
    rules = _load_settings(conditions, settings, batch)
    load = BackgroundLoad(command, name=workload.name, folder=folder, settings=rules)
    return StartedLoad(load=load, workload=workload, hyperparameters=values, conditions=conditions)


def command_load(
    argv: tuple[str, ...], *, folder: Path, conditions: Mapping[str, Any], settings: Settings
) -> StartedLoad:
    """A load that runs a plain command, not started yet.

    Raises:
        ConfigError: a condition that this machine cannot fulfil.
    """
    from .load.background import BackgroundLoad
    from .load.conditions import AUTO_BATCH

    if AUTO_BATCH in conditions:
        raise ConfigError('batch_size="auto" is for registered workloads: of a command nobody knows the batch size')
    rules = _load_settings(conditions, settings, None)
    load = BackgroundLoad(Command(argv=argv), name=Path(argv[0]).name, folder=folder, settings=rules)
    return StartedLoad(load=load, conditions=conditions)


def _auto_batch(workload: Workload, values: Mapping[str, Any], conditions: Mapping[str, Any]) -> AutoBatch | None:
    from .load.conditions import AUTO_BATCH
    from .load.settings import AutoBatch

    if AUTO_BATCH not in conditions:
        return None
    first = values.get(_BATCH)
    if isinstance(first, bool) or not isinstance(first, int):
        raise ConfigError(f'{workload.name} has no hyperparameter batch_size: batch_size="auto" has nothing to fit')
    return AutoBatch(first=first, placeholder=str(_PLACEHOLDER))


def _load_settings(conditions: Mapping[str, Any], settings: Settings, batch: AutoBatch | None) -> LoadSettings:
    from .load.conditions import AUTO_BATCH
    from .load.settings import LoadSettings

    fields = {field: value for field, value in conditions.items() if field != AUTO_BATCH}
    return LoadSettings(coverage_min_ratio=settings.coverage_min, batch=batch, **fields)
