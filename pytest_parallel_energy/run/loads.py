"""The background loads of one experiment: starting them from their markers, and their part of the record."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ..errors import ConfigError
from ..plan.cells import profile_of
from ..processes.command import Command, with_own_python
from ..processes.rules import Ready
from ..records.record import Attribution
from .experiment_cell import ExperimentCell, registered_load
from .legs import WindowNotes
from .load_check import check_work, readiness_patterns
from .outputs import tidy_outputs
from .record_parts import StartedLoad, background_part

if TYPE_CHECKING:
    from ..load.background import BackgroundLoad
    from ..load.conditions import LoadConditions
    from ..load.request import AutoBatch, LoadSettings
    from ..plan.markers import LoadRequest
    from ..plan.settings import Settings
    from ..records.energy_values import WindowResult
    from ..records.record import LoadReport
    from ..training.workload import Workload
    from .session import Run

__all__ = ["ExperimentLoads"]

_BATCH = "batch_size"
_PLACEHOLDER = 1_000_003
"""Stands in the command for the batch size of each round: a prime, unlikely to be a real batch size."""


class ExperimentLoads:
    """The background loads of one experiment.

    Args:
        run: what the experiments of this process share.
        cell: the experiment's identity, which names the marked loads.
    """

    def __init__(self, run: Run, cell: ExperimentCell) -> None:
        self.started: list[StartedLoad] = []
        self._run = run
        self._cell = cell
        self._notes = WindowNotes()
        self._window_is_open = False

    @property
    def loads(self) -> list[BackgroundLoad]:
        """The loads, in the order in which they were started."""
        return [started.load for started in self.started]

    def started_identities(self) -> list[dict[str, Any]]:
        """Return the identities of the loads that the test itself has started so far, after the marked loads."""
        marked = sum(mark.n for mark in self._cell.plan.loads)
        return [dict(started.identity) for started in self.started[marked:]]

    # --- life ------------------------------------------------------------------------------------------------------

    def start_marked(self, folder: Path) -> None:
        """Start the marked loads, each ready before the next, then measure the power of the loads alone.

        Args:
            folder: the folder of the experiment's attempt.

        Raises:
            ConfigError: an unknown workload, hyperparameter or condition.
            LoadError: a load did not become ready; the message holds the tail of its log.
        """
        for mark in self._cell.plan.loads:
            for _ in range(mark.n):
                self.start(mark, folder)
        if self.started:
            leg = self._notes.leg = self._run.legs.measure_loads(self.loads)
            self.started[0] = replace(self.started[0], solo_mean_w=None if leg is None else leg.mean_w)

    def start(self, mark: LoadRequest, folder: Path) -> BackgroundLoad:
        """Start one load and wait until it is ready.

        Raises:
            ConfigError: an unknown workload, hyperparameter or condition.
            LoadError: the load did not become ready; the message holds the tail of its log.
        """
        number = len(self.started) + 1
        folder = folder / ("background" if number == 1 else f"background-{number}")
        threads = self._run.load_threads(sum(load.n for load in self._cell.plan.loads))
        if mark.command:
            started = _command_load(mark, self._cell, folder=folder, threads=threads)
        else:
            workload = registered_load(self._run.registry, mark.name)
            others = [started.workload for started in self.started] + [self._cell.workload]
            if any(other is not None and other.path == workload.path for other in others):
                workload = workload.isolated()  # two trainings must not write into one checkout
            started = _registered_load(workload, mark, self._cell, folder=folder, threads=threads)
        self.started.append(started)  # before the start, so that stop() stops it also if the start fails
        started.load.start()
        if self._window_is_open:
            started.load.window_opened()
        return started.load

    def stop(self) -> None:
        """Stop all loads, the last one first. Each is stopped even if stopping another one fails."""
        errors: list[BaseException] = []
        for load in reversed(self.loads):
            try:
                load.stop()
            except BaseException as error:  # noqa: BLE001 - a timeout too; raised below, after the others were stopped
                errors.append(error)
        if errors:
            raise errors[0]

    def tidy(self, *, passed: bool) -> None:
        """Remove what of the loads' outputs does not stay; call this when they were stopped."""
        works = [started.workload.path for started in self.started if started.workload is not None]
        tidy_outputs([load.log_dir for load in self.loads], works, self._cell.settings.keep, passed=passed)

    # --- the window --------------------------------------------------------------------------------------------------

    def begin_attempt(self) -> None:
        """Start counting again: the work of the loads so far belongs to the attempt before."""
        for load in self.loads:
            load.begin_attempt()

    def before_window(self) -> None:
        """Note the CPU time of the test, of the loads and of the machine, immediately before the window opens."""
        self._run.legs.open_window(self._notes, lambda: self.loads)

    def window_opened(self) -> None:
        """Start counting coverage."""
        self._window_is_open = True
        for load in self.loads:
            load.window_opened()

    def hold_window(self) -> None:
        """Note coverage of the loads and CPU times at a moment at which the window may close."""
        for load in self.loads:
            load.window_closed()
        self._run.legs.note_end(self._notes)

    def continue_window(self) -> None:
        """Forget the moment that was held, because the test has more work in the window."""
        for load in self.loads:
            load.window_continues()

    def close_window(self, *, at_hold: bool = False) -> None:
        """Stop counting coverage and CPU time, now or at the moment that was held."""
        self._window_is_open = False
        if not at_hold:
            self.hold_window()
        self._run.legs.close_window()

    def troubles(self) -> tuple[str, ...]:
        """Return what has gone wrong with the loads since they were ready. Called from another thread."""
        return tuple(trouble for load in self.loads if (trouble := load.trouble()))

    def check_coverage(self) -> None:
        """Check that the loads ran, and trained, during the window.

        Raises:
            LoadError: a load ran for less of the window than ``coverage_min`` requires, each of its rounds failed, or a
                completed round did not report its metrics.
        """
        for load in self.loads:
            load.check_rounds()
            load.check_coverage()
        for started in self.started:
            check_work(started)

    # --- the record --------------------------------------------------------------------------------------------------

    def parts(self) -> tuple[LoadReport, ...]:
        """Return the part of each load in the record, with its work so far."""
        return tuple(background_part(started) for started in self.started)

    def attribution(self, result: WindowResult, work: str) -> Attribution:
        """Return how the energy of the window is divided; ``work`` names the work of the test.

        It is unknown where boards are left out of the total: the legs and shares of use are of all boards.
        """
        if any(domain.excluded for domain in result.domains):
            flag = "not divided among owners, because the total leaves out GPUs (devices)"
            return replace(self._run.legs.use_alone(result, self._notes), flags=(flag,))
        return self._run.legs.attribute(result, work, self._notes, loaded=bool(self.started))

    def remember_alone(self, result: WindowResult, work: str) -> None:
        """Keep the window of a passed test without loads, to compare tests that do the same work with loads to it.

        Args:
            result: the test's window.
            work: as for :meth:`attribution`.
        """
        if not self.started:
            self._run.legs.remember(result, work, self._notes)


def _registered_load(
    workload: Workload, mark: LoadRequest, cell: ExperimentCell, *, folder: Path, threads: int
) -> StartedLoad:
    """Return a load that trains a workload, not started yet; its output folder is made.

    Raises:
        ConfigError: an unknown hyperparameter, or a condition that this workload or this machine cannot fulfil.
    """
    from ..load.background import BackgroundLoad

    profile, conditions = profile_of(mark.profile, cell.settings), mark.conditions
    values = workload.values(profile, **mark.hyperparameters)
    template = folder / "outputs" / "template"
    copied = workload.prepare(template, values, profile=profile)
    began_s = time.time()  # as the file system has it
    batch = _auto_batch(workload, values, conditions)
    asked = dict(values) if batch is None else {**values, _BATCH: _PLACEHOLDER}
    command = workload.command(asked, output_dir=template, threads=threads, profile=profile)
    if batch is not None and not any(argument.endswith(batch.placeholder) for argument in command.argv):
        raise ConfigError(
            f'{workload.name} is not given its batch_size as an argument: batch_size="auto" cannot fit it'
        )
    rules = replace(_load_settings(conditions, cell.settings, batch), template=template)
    patterns = readiness_patterns(workload, profile)
    if conditions.ready is None and patterns:
        rules = replace(rules, ready=Ready(kind="training", patterns=patterns))
    load = BackgroundLoad(command, name=workload.name, folder=folder, settings=rules)
    load.remarks += copied
    return StartedLoad(
        load=load,
        identity=cell.load_identity(mark),
        workload=workload,
        hyperparameters=values,
        profile=profile,
        began_s=began_s,
        conditions=conditions,
    )


def _command_load(mark: LoadRequest, cell: ExperimentCell, *, folder: Path, threads: int) -> StartedLoad:
    """Return a load that runs a plain command, not started yet; ``python`` is the interpreter that runs pytest.

    Raises:
        ConfigError: a condition that this machine cannot fulfil.
    """
    from ..load.background import BackgroundLoad
    from ..training.workload import thread_environment

    command = Command(argv=with_own_python(mark.command), cwd=mark.cwd, env=thread_environment(threads))
    rules = _load_settings(mark.conditions, cell.settings, None)
    load = BackgroundLoad(command, name=mark.name, folder=folder, settings=rules)
    return StartedLoad(load=load, identity=cell.load_identity(mark), conditions=mark.conditions)


def _auto_batch(workload: Workload, values: Mapping[str, Any], conditions: LoadConditions) -> AutoBatch | None:
    from ..load.conditions import first_batch
    from ..load.request import AutoBatch

    if not conditions.auto_batch:
        return None
    return AutoBatch(first=first_batch(workload.name, values), placeholder=str(_PLACEHOLDER))


def _load_settings(conditions: LoadConditions, settings: Settings, batch: AutoBatch | None) -> LoadSettings:
    from ..load.request import LoadSettings

    fields = {name: value for name, value in conditions.as_fields().items() if name != "auto_batch"}
    return LoadSettings(
        coverage_min_ratio=settings.coverage_min, shared_memory=settings.shared_memory, batch=batch, **fields
    )
