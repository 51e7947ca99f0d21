"""Collection: one item per repetition of each cell, and the values that markers give to items."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import asdict, replace

from ..errors import ConfigError, ParallelEnergyError
from .configuration import settings_from
from .fixtures import asks_for_energy

if TYPE_CHECKING:
    from ..plan.cells import CellParam, MarkedPlan
    from ..plan.limits import Limit
    from ..plan.settings import Settings
    from ..run.experiment_cell import ExperimentCell
    from ..run.session import Run

__all__ = [
    "FINISHED_INPUT",
    "HOST_INPUT",
    "LEFTOVERS_OUTPUT",
    "REFUSAL_OUTPUT",
    "RUN_INPUT",
    "STUDY_OUTPUT",
    "Items",
    "refusal",
]

RUN_INPUT = "parallel_energy_run"
"""The results folder of the run, as xdist's controller tells its workers."""
HOST_INPUT = "parallel_energy_host"
"""The name of the worker's host, where that is another one than the controller's."""
FINISHED_INPUT = "parallel_energy_finished"
"""The finished experiments of a resumed run, which xdist's controller sends to its workers."""
LEFTOVERS_OUTPUT = "parallel_energy_leftovers"
"""Sentences on the leftover processes that a worker of xdist killed, which it sends to its controller."""
REFUSAL_OUTPUT = "parallel_energy_refusal"
"""The reason why a worker of xdist cannot run at all; without it, xdist would only report that no worker is left."""
STUDY_OUTPUT = "parallel_energy_study"
"""The part of a sweep that this session runs, which only the workers of xdist know: its controller collects nothing."""
_CELL = "_energy_cell"


class Items:
    """The experiments among the collected tests: their settings, markers, parameters and identities.

    Args:
        config: pytest's.
        given: ``True`` when the user set an option of this plugin.
    """

    def __init__(self, config: pytest.Config, *, given: bool) -> None:
        self.config = config
        self._settings: Settings | None = None
        self._session: Run | None = None
        self._given = given

    @property
    def settings(self) -> Settings:
        """The settings of this session.

        Raises:
            pytest.UsageError: an option, environment variable or ini setting has an invalid value.
        """
        if self._settings is None:
            self._settings = settings_from(self.config, os.environ)
        return self._settings

    @property
    def settings_if_any(self) -> Settings | None:
        """The settings; ``None`` if the user gave none, which is cheap to find out."""
        return self.settings if self._given else None

    @property
    def session(self) -> Run:
        """The state that the experiments share, made when first needed."""
        if self._session is None:
            from ..run.session import Run

            worker_input = getattr(self.config, "workerinput", {})
            finished = None
            if FINISHED_INPUT in worker_input:
                from ..plan.finished import Finished

                finished = Finished.from_plain(worker_input[FINISHED_INPUT])
            self._session = Run(
                self.settings,
                self.config.rootpath,
                run_folder=Path(worker_input[RUN_INPUT]) if RUN_INPUT in worker_input else None,
                arguments=tuple(str(argument) for argument in self.config.invocation_params.args),
                finished=finished,
            )
            self._session.on_own_host = HOST_INPUT not in worker_input
        return self._session

    @property
    def has_session(self) -> bool:
        """``True`` when there may be something to report or to close."""
        return self._session is not None

    # --- what an item is ---------------------------------------------------------------------------------------

    def is_experiment(self, item: pytest.Item, fixture_names: Iterable[str] | None = None) -> bool:
        """Return whether the item is measured: it asks for one of our fixtures, has one of our markers, or all are."""
        if self._given and self.settings.measure_all:
            return True
        names = getattr(item, "fixturenames", ()) if fixture_names is None else fixture_names
        return asks_for_energy(item, names)

    def settings_of(self, item: pytest.Item) -> Settings:
        """Return the settings of one test.

        Raises:
            ConfigError: its ``energy`` marker says something that is not understood.
        """
        mark = item.get_closest_marker("energy")
        if mark is None:
            return self.settings
        if mark.args:
            raise ConfigError(f"the marker 'energy' takes keywords only; it has {mark.args!r}")
        return self.settings.for_test(mark.kwargs)

    @staticmethod
    def plan_of(item: pytest.Item) -> MarkedPlan:
        """Return the item's markers as values, in the order in which they were written; then its parametrised load.

        Raises:
            ConfigError: a marker says something that is not understood.
        """
        from ..plan.cells import MarkedPlan
        from ..plan.markers import LoadRequest, MutateMark, WorkloadMark

        # iter_markers gives the decorator next to the function first; people read from the top.
        marks = list(item.iter_markers())[::-1]
        workload = item.get_closest_marker("workload")
        loads = [LoadRequest.from_mark(mark) for mark in marks if mark.name == "background_load"]
        callspec = getattr(item, "callspec", None)
        if callspec and callspec.params.get("background_load") is not None:
            loads.append(LoadRequest.from_parameter(callspec.params["background_load"]))
        return MarkedPlan(
            workload=WorkloadMark.from_mark(workload) if workload else None,
            mutates=tuple(MutateMark.from_mark(mark) for mark in marks if mark.name == "mutate"),
            loads=tuple(loads),
        )

    @staticmethod
    def limits_of(item: pytest.Item) -> tuple[Limit, ...]:
        """Return the limits that the item's markers set on its energy and power.

        Raises:
            ConfigError: a marker says something that is not understood.
        """
        from ..plan.limits import limit_from_mark

        marks = [mark for mark in item.iter_markers() if mark.name in {"limit_energy", "limit_power"}]
        return tuple(limit_from_mark(mark.name, mark.args, mark.kwargs) for mark in marks)

    @staticmethod
    def param_of(item: pytest.Item) -> CellParam:
        """Return the cell and repetition of the item."""
        from ..plan.cells import CellParam

        callspec = getattr(item, "callspec", None)
        if callspec is None:
            return CellParam()
        param: CellParam = callspec.params.get(_CELL, CellParam())
        # the load is part of the plan; an object's text may hold its address, which no two processes share: its id then
        rest = callspec.id.removesuffix(param.id)
        own = {
            name: value if isinstance(value, str | int | float | None) else f"of {rest}"
            for name, value in callspec.params.items()
            if name not in {_CELL, "background_load"}
        }
        return replace(param, parameters=own) if own else param

    def cell_of(self, item: pytest.Item) -> ExperimentCell:
        """Return the identity of the item's experiment; this opens and starts nothing.

        Raises:
            ConfigError: a marker says something that is not understood.
        """
        return self.session.cell(item.nodeid, self.settings_of(item), self.plan_of(item), self.param_of(item))

    # --- collection -------------------------------------------------------------------------------------------------

    def collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Return an experiment file as a module of tests; ``None`` for any other file."""
        from ..plan.cells import profile_of
        from .experiment_files import ExperimentFile, is_experiment_file

        named = parent.session.isinitpath(file_path)
        if not is_experiment_file(file_path, named=named, patterns=self.settings.config):
            return None
        found: pytest.Collector = ExperimentFile.from_parent(
            parent,
            path=file_path,
            registry=lambda: self.session.registry,
            profile=profile_of(None, self.settings),
            strict=self.settings.strict_files,
        )
        return found

    def generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make one item of each repetition of each cell of an experiment."""
        from ..plan.cells import cells_of

        item = metafunc.definition
        with _refused_at(item):
            settings = self.settings_of(item)
            plan = self.plan_of(item)
            if not (plan.workload or plan.mutates or plan.loads or settings.repeats + settings.warmup > 1):
                return
            cells = cells_of(plan, settings, self.session.registry)
        metafunc.fixturenames.append(_CELL)
        metafunc.parametrize(_CELL, cells, indirect=True, ids=[cell.id for cell in cells])

    def add_keywords(self, item: pytest.Item, names: list[str]) -> None:
        """Let ``-k learning_rate:0.0123`` find an item; start marked loads for a test that does not ask for them.

        Args:
            item: an experiment.
            names: its fixtures; ``background_load`` is added for a marked load.
        """
        values = self.param_of(item).values
        if values:
            from ..mutation.labels import value_label

            # as the id shows it, and exact: a rounded 0.1424 is no part of 0.14238998724374657
            short = {f"{name}:{value_label(value)}" for name, value in values.items()}
            item.extra_keyword_matches.update(short | {f"{name}:{value}" for name, value in values.items()})
        if "background_load" not in names and item.get_closest_marker("background_load"):
            names.append("background_load")

    def prepare(self) -> None:
        """Open the sensors and the results folder and kill leftover processes, before the first test starts.

        A rank whose node another rank measures, and a pytest below one that measures, open and kill nothing.

        Raises:
            pytest.UsageError: ``--energy-sensors`` names an unknown one, ``--energy-strict`` is not satisfied, the
                results folder cannot be written, or ``--energy-ranks`` refuses to run.
        """
        if self.settings.disable:
            return
        try:
            self.session.check_ranks()
            if not self.session.measures:
                return
            self.session.open_meter()
            self.session.announce_measuring()
            self.session.check_strict()
            self.session.open_store()
            self.session.describe_resumed_run()
            self.session.kill_leftovers()  # in each worker of xdist too: its controller does not know what is measured
            if (output := getattr(self.config, "workeroutput", None)) is not None:
                from ..console.session_header import leftover_lines

                output[LEFTOVERS_OUTPUT] = leftover_lines(self.session.swept, self.session.unswept)
                if (study := self.session.study) is not None:
                    output[STUDY_OUTPUT] = asdict(study)
        except ParallelEnergyError as error:
            raise refusal(self.config, error) from error


def refusal(config: pytest.Config, error: ParallelEnergyError) -> pytest.UsageError:
    """Return pytest's error for a session that cannot run; a worker of xdist also tells its controller why."""
    output = getattr(config, "workeroutput", None)
    if output is not None:
        host = config.workerinput.get(HOST_INPUT)  # type: ignore[attr-defined]
        output[REFUSAL_OUTPUT] = f"{host}: {error}" if host else str(error)
    return pytest.UsageError(str(error))


@contextmanager
def _refused_at(item: pytest.Item) -> Iterator[None]:
    """Turn this package's errors into collection errors, which pytest shows without a traceback."""
    try:
        yield
    except ParallelEnergyError as error:
        raise pytest.Collector.CollectError(f"{item.nodeid}: {error}") from error
