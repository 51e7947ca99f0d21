"""The background loads of one experiment: from what a marker says to loads that run, and what is noted of them."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, RegistryError
from ..plan.cells import MarkedPlan, profile_of
from ..processes.command import Command
from .legs import BesideLoad
from .record_parts import StartedLoad, attribution_part, background_part, command_identity, load_identity

if TYPE_CHECKING:
    from ..energy.result import WindowResult
    from ..load.background import BackgroundLoad
    from ..load.request import AutoBatch, LoadSettings
    from ..plan.markers import LoadMark
    from ..plan.settings import Settings
    from ..records.record import AttributionPart, BackgroundPart
    from ..training.workload import Workload
    from .session import Run

__all__ = ["ExperimentLoads"]

_BATCH = "batch_size"
_PLACEHOLDER = 1_000_003
"""Stands in the command for the batch size of each round: a prime that nobody asks for."""


class ExperimentLoads:
    """What runs beside one experiment.

    Args:
        session: what the experiments of this process share.
        settings: the test's.
        plan: what the markers say.
    """

    def __init__(self, session: Run, settings: Settings, plan: MarkedPlan) -> None:
        self.started: list[StartedLoad] = []
        self._session = session
        self._settings = settings
        self._plan = plan
        self._beside = BesideLoad()
        self._window_is_open = False

    @property
    def loads(self) -> list[BackgroundLoad]:
        """The loads, in the order in which they were started."""
        return [started.load for started in self.started]

    def identities(self) -> list[dict[str, Any]]:
        """What a repetition would have to start again: the marked loads, then those that the test started so far."""
        marked = [self._marked_identity(mark) for mark in self._plan.loads for _ in range(mark.n)]
        return marked + [started.identity() for started in self.started[len(marked) :]]

    def _marked_identity(self, mark: LoadMark) -> dict[str, Any]:
        if mark.command:
            return command_identity(mark.command, mark.conditions)
        profile = profile_of(mark.profile, self._settings)
        values = self._workload(mark.name).values(profile, **mark.hyperparameters)
        return load_identity(mark.name, values, mark.conditions)

    def _workload(self, name: str) -> Workload:
        try:
            return self._session.registry.workload(name)
        except RegistryError as error:
            if " " not in name:
                raise
            raise RegistryError(f"{error}; a command is a list of words: {shlex.split(name)}") from error

    # --- life ------------------------------------------------------------------------------------------------------

    def start_marked(self, folder: Path, *, trained: Workload | None) -> None:
        """Start what the markers name, one after the other, each ready before the next; then measure them alone.

        Args:
            folder: the experiment's.
            trained: the foreground's workload.
        """
        for mark in self._plan.loads:
            for _ in range(mark.n):
                self.start(mark, folder, trained=trained)
        if self.started:
            self._beside = self._session.legs.measure_loads(self.loads)
            self.started[0] = dataclasses.replace(self.started[0], solo_mean_w=self._beside.solo_w)

    def start(self, mark: LoadMark, folder: Path, *, trained: Workload | None) -> BackgroundLoad:
        """Start one load and wait until it is ready.

        Raises:
            ConfigError: an unknown workload, hyperparameter or condition.
            LoadError: it did not become ready; the message holds the tail of its log.
        """
        if mark.command:
            return self._start(_command_load(mark, folder=self._own(folder), settings=self._settings))
        workload = self._workload(mark.name)
        others = [started.workload for started in self.started] + [trained]
        if any(other is not None and other.path == workload.path for other in others):
            workload = workload.isolated()  # two trainings must not write into one checkout
        threads = self._session.load_threads(sum(load.n for load in self._plan.loads))
        return self._start(
            _registered_load(workload, mark, folder=self._own(folder), threads=threads, settings=self._settings)
        )

    def _own(self, folder: Path) -> Path:
        number = len(self.started) + 1
        return folder / ("background" if number == 1 else f"background-{number}")

    def _start(self, started: StartedLoad) -> BackgroundLoad:
        self.started.append(started)  # before it starts: whatever happens from here on, it will be stopped
        started.load.start()
        if self._window_is_open:
            started.load.window_opened()
        return started.load

    def stop(self) -> None:
        """Stop all, the last one first; each is stopped even when another's stopping fails."""
        errors: list[BaseException] = []
        for load in reversed(self.loads):
            try:
                load.stop()
            except BaseException as error:  # noqa: BLE001 - a timeout too; raised below, after the others were stopped
                errors.append(error)
        if errors:
            raise errors[0]

    # --- the window --------------------------------------------------------------------------------------------------

    def begin_attempt(self) -> None:
        """What the loads have done so far belongs to the attempt before."""
        for load in self.loads:
            load.begin_attempt()

    def before_window(self) -> None:
        """Note the CPU time of the loads; as little as possible stands between this and the window."""
        self._session.legs.open_window(self._beside, self.loads)

    def window_opened(self) -> None:
        """Coverage counts from here."""
        self._window_is_open = True
        for load in self.loads:
            load.window_opened()

    def window_closes(self) -> None:
        """Coverage counts to here."""
        self._window_is_open = False
        for load in self.loads:
            load.window_closed()

    def after_window(self) -> None:
        """Note the CPU time again."""
        self._session.legs.close_window(self._beside, self.loads)

    def troubles(self) -> tuple[str, ...]:
        """What has gone wrong with loads since they were ready. From another thread."""
        return tuple(trouble for load in self.loads if (trouble := load.trouble()))

    def check_coverage(self) -> None:
        """Refuse a measurement beside a load that was not there.

        Raises:
            LoadError: a load ran for less of the window than ``coverage_min`` asks.
        """
        for load in self.loads:
            load.check_coverage()

    # --- the record --------------------------------------------------------------------------------------------------

    def parts(self) -> tuple[BackgroundPart, ...]:
        """What each load has done so far."""
        return tuple(background_part(started) for started in self.started)

    def attribution(self, result: WindowResult, what: str) -> AttributionPart:
        """Whose joules those of the window were; ``what`` names the foreground's work."""
        return attribution_part(self._session.legs.attribute(result, what, self._beside if self.started else None))

    def remember_alone(self, result: WindowResult, what: str) -> None:
        """A test that passed is the leg alone of the tests that do the same work beside loads; one beside loads is not.

        Args:
            result: the test's window.
            what: as for :meth:`attribution`.
        """
        if not self.started:
            self._session.legs.remember(result, what)


def _registered_load(
    workload: Workload, mark: LoadMark, *, folder: Path, threads: int, settings: Settings
) -> StartedLoad:
    """A load that trains a workload, not started yet; its output folder is made.

    Raises:
        ConfigError: an unknown hyperparameter, or a condition that this workload or this machine cannot fulfil.
    """
    from ..load.background import BackgroundLoad

    profile, conditions = profile_of(mark.profile, settings), mark.conditions
    values = workload.values(profile, **mark.hyperparameters)
    workload.prepare(folder / "outputs", values, profile=profile)
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


def _command_load(mark: LoadMark, *, folder: Path, settings: Settings) -> StartedLoad:
    """A load that runs a plain command, not started yet.

    Raises:
        ConfigError: a condition that this machine cannot fulfil.
    """
    from ..load.background import BackgroundLoad

    rules = _load_settings(mark.conditions, settings, None)
    command = Command(argv=mark.command, cwd=mark.cwd)
    load = BackgroundLoad(command, name=mark.name, folder=folder, settings=rules)
    return StartedLoad(load=load, conditions=mark.conditions)


def _auto_batch(workload: Workload, values: Mapping[str, Any], conditions: Mapping[str, Any]) -> AutoBatch | None:
    from ..load.conditions import AUTO_BATCH, first_batch
    from ..load.request import AutoBatch

    if AUTO_BATCH not in conditions:
        return None
    return AutoBatch(first=first_batch(workload.name, values), placeholder=str(_PLACEHOLDER))


def _load_settings(conditions: Mapping[str, Any], settings: Settings, batch: AutoBatch | None) -> LoadSettings:
    from ..load.conditions import AUTO_BATCH
    from ..load.request import LoadSettings

    fields = {field: value for field, value in conditions.items() if field != AUTO_BATCH}
    return LoadSettings(coverage_min_ratio=settings.coverage_min, batch=batch, **fields)
