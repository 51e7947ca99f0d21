"""The choice and the order of the experiments to run: resumed runs, known mutations, order, plan, budget."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from ..errors import ConfigError, ParallelEnergyError, RecordError
from ..units import count_of
from .collection import refusal
from .report_records import records_of

if TYPE_CHECKING:
    from ..plan.budget import EnergyBudget
    from ..plan.shards import Shard
    from .collection import Items
    from .reporting import Reporting

__all__ = ["Sweeping"]

_RUNS_OF_THE_PAST = 50
"""Number of the newest runs in the results folder from which a plan is estimated."""


class Sweeping:
    """The selection of experiments, registered when an option or setting about energy is given.

    Args:
        collection: the facts about the items.
        reporting: the keeper of the records; ``None`` in a worker of xdist.
    """

    def __init__(self, collection: Items, reporting: Reporting | None) -> None:
        self._collection = collection
        self._reporting = reporting
        self._plan: list[str] = []
        self._left_out = {"finished": 0, "known": 0, "others": 0}
        self._history_notes: tuple[str, ...] = ()
        self._declared: dict[str, int] = {}
        self._budget: EnergyBudget | None = None
        self._read_bytes = 0

    # --- the start of a session --------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Take over the run to resume, before anything else is done: locked from now on, no experiment runs twice.

        Raises:
            pytest.UsageError: it is not there, cannot be read or written, or another session is using it.
        """
        settings = self._collection.settings
        if settings.plan and session.config.getoption("numprocesses", None):
            raise pytest.UsageError("--energy-plan runs nothing, so there is nothing to distribute: leave -n out")
        if settings.budget is not None:
            from ..plan.budget import EnergyBudget

            self._budget = EnergyBudget(settings.budget)
        if settings.resume is None or self._reporting is None:
            return
        run = self._collection.session
        looks_only = session.config.option.collectonly or settings.plan or not run.measures
        try:
            if run.resumed_folder is not None and not looks_only:
                run.open_store()
            records = run.resumed_records
        except ParallelEnergyError as error:
            raise pytest.UsageError(f"--energy-resume: {error}") from error
        if not session.config.option.collectonly and (run.measures or settings.disable):
            self._reporting.records.extend(records)
        for record in records if self._budget else ():
            self._budget.add(record)  # type: ignore[union-attr]

    # --- which, and in what order -------------------------------------------------------------------------------

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Remember the declared order: other plugins shuffle."""
        self._declared.setdefault(item.nodeid, len(self._declared))

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Leave out experiments that are finished or known, and put the rest in order."""
        del session
        try:
            self._leave_out(items)
        except ParallelEnergyError as error:
            raise refusal(self._collection.config, error) from error
        if self._collection.settings.order is not None:
            self._put_in_order(items)

    def _leave_out(self, items: list[pytest.Item]) -> None:
        settings, shard = self._collection.settings, self._shard()
        if settings.resume is None and not settings.history and shard is None:
            return
        # first what depends on the history alone: all hosts of a sweep must split the same cells
        known = self._known(items) if settings.history else set()
        others = set() if shard is None else self._others(shard, items, known)
        finished = (
            self._finished(item for item in items if item not in others) if settings.resume is not None else set()
        )
        self._left_out = {"finished": len(finished), "known": len(known - finished), "others": len(others)}
        dropped = finished | known | others
        if dropped:
            self._collection.config.hook.pytest_deselected(items=[item for item in items if item in dropped])
            items[:] = [item for item in items if item not in dropped]

    def _shard(self) -> Shard | None:
        """Return the part of the sweep to run: the one that was asked for, else the one of the run to resume."""
        settings, run = self._collection.settings, self._collection.session
        if settings.shard is not None or settings.resume is None or run.resumed_folder is None:
            return settings.shard
        from ..plan.shards import Shard
        from ..records.run_info import read_run_info

        info = read_run_info(run.resumed_folder)
        if info is None or info.study is None:
            return None
        return Shard(index=info.study.shard, count=info.study.count)

    def _others(self, shard: Shard, items: Iterable[pytest.Item], known: set[pytest.Item]) -> set[pytest.Item]:
        """Return the items of the other shards, and note which part of the sweep this session runs.

        Raises:
            ConfigError: the run to resume is another part, or a part of another sweep.
        """
        from ..plan.shard_times import ShardCell, expected_times_s
        from ..plan.shards import shard_of_cells, study_id
        from ..records.run_info import StudyPart, read_run_info

        counts: dict[str, list[pytest.Item]] = {}
        for item in items:
            if item not in known and self._collection.is_experiment(item):
                counts.setdefault(_cell_name(item), []).append(item)
        cells = {}
        for name, members in counts.items():
            workload = self._collection.cell_of(members[0]).workload
            cells[name] = ShardCell(workload=workload.name if workload else "", runs=len(members))
        shards = shard_of_cells(expected_times_s(cells, self._history_records()), shard.count)
        study = StudyPart(
            id=study_id(shards, shard.count), shard=shard.index, count=shard.count, cells=tuple(sorted(shards))
        )
        run = self._collection.session
        resumed = None if run.resumed_folder is None else read_run_info(run.resumed_folder)
        if resumed is not None and resumed.study not in (None, study):
            before = resumed.study
            raise ConfigError(
                f"--energy-resume: {resumed.run_id} is shard {before.shard}/{before.count} of the study {before.id}, "
                f"and this session is shard {shard} of {study.id}; give each shard its own --energy-dir, or start "
                "a new run"
            )
        run.study = study
        return {item for name, members in counts.items() if shards[name] != shard.index for item in members}

    def _finished(self, items: Iterable[pytest.Item]) -> set[pytest.Item]:
        """Return the items that have a record, and the warm-ups of cells of which every item has one."""
        finished = self._collection.session.finished
        if not finished:
            return set()
        dropped: set[pytest.Item] = set()
        groups: dict[str, dict[str, Any]] = {}
        for item in filter(self._collection.is_experiment, items):
            cell, group = (
                self._collection.cell_of(item),
                groups.setdefault(_cell_name(item), {"warm": [], "open": False}),
            )
            if cell.param.warmup:
                group["warm"].append(item)
            elif finished.holds(item.nodeid, cell.id, cell.code):
                dropped.add(item)
            else:
                group["open"] = True
        return dropped | {item for group in groups.values() if not group["open"] for item in group["warm"]}

    def _known(self, items: Iterable[pytest.Item]) -> set[pytest.Item]:
        """Return the mutated cells that older results hold."""
        from ..mutation.draw import mutation_key
        from ..plan.history import read_history

        try:
            history = read_history(self._collection.settings.history)
        except ParallelEnergyError as error:
            raise ConfigError(f"--energy-history: {error}") from error
        self._history_notes = history.notes
        known: dict[Any, frozenset[Any]] = {}
        found = set()
        for item in filter(self._collection.is_experiment, items):
            cell = self._collection.cell_of(item)
            mutated = cell.param.values
            if not mutated:
                continue
            work = cell.workload.name if cell.workload else item.nodeid.partition("[")[0]
            fixed = {name: value for name, value in cell.hyperparameters.items() if name not in mutated}
            key = (work, bool(cell.plan.loads), tuple(mutated), mutation_key(fixed))
            if key not in known:
                known[key] = history.known(key[0], beside_load=key[1], names=key[2], fixed=fixed)
            if mutation_key(mutated) in known[key]:
                found.add(item)
        return found

    def _put_in_order(self, items: list[pytest.Item]) -> None:
        """Rearrange the experiments among the places of experiments; other tests stay where they are."""
        from ..plan.order import Slot, arrange

        settings = self._collection.settings
        places = [index for index, item in enumerate(items) if self._collection.is_experiment(item)]
        ours = sorted((items[index] for index in places), key=lambda item: self._declared.get(item.nodeid, 0))
        params = [self._collection.param_of(item) for item in ours]
        slots = [
            Slot(cell=_cell_name(item), repetition=param.repetition, warmup=param.warmup)
            for item, param in zip(ours, params, strict=True)
        ]
        for place, chosen in zip(places, arrange(slots, settings.order or "declared", settings.seed), strict=True):
            items[place] = ours[chosen]

    def pytest_report_collectionfinish(self, items: Iterable[pytest.Item]) -> list[str]:
        """Report what was left out and why, and in what order the rest runs."""
        settings, lines = self._collection.settings, []
        modules = dict.fromkeys(item.getparent(pytest.Module) for item in items)
        notes = [note for module in modules for note in getattr(module, "history_notes", ())]
        lines += [f"energy: historical_csvs: {note}" for note in dict.fromkeys(notes)]
        if settings.resume is not None and self._reporting is not None:
            lines += self._resume_lines()
        lines += [f"energy: --energy-history: {note}" for note in self._history_notes]
        if self._left_out["known"]:
            count = count_of(self._left_out["known"], "mutation")
            lines.append(f"energy: {count} left out, known from --energy-history")
        if (study := self._collection.session.study) is not None:
            count = count_of(self._left_out["others"], "experiment")
            lines.append(
                f"energy: shard {study.shard}/{study.count} of study {study.id}: {count} left to the other shards"
            )
        if settings.order is not None:
            seed = "" if settings.order == "declared" else f", seed {settings.seed}"
            lines.append(f"energy: order {settings.order}{seed}")
        return lines

    def _resume_lines(self) -> list[str]:
        session = self._collection.session
        if session.resumed_folder is None:
            return ["energy: no previous run to resume; starting a new one"]
        count = count_of(self._left_out["finished"], "finished experiment")
        lines = [f"energy: resuming {session.resumed_folder.name}, whose report keeps {count}"]
        if other := session.finished.other_code:
            lines.append(f"energy: {len(other)} finished with other code (another commit) will run again")
        return lines

    # --- plan ----------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Make the table of the plan instead of running, under ``--energy-plan``."""
        if not self._collection.settings.plan or session.config.option.collectonly or session.testsfailed:
            return None
        try:
            self._plan = self._run_table(session.items, session.config.get_terminal_writer().fullwidth)
        except ParallelEnergyError as error:
            raise pytest.UsageError(f"--energy-plan: {error}") from error
        return True

    def _run_table(self, items: Iterable[pytest.Item], width: int) -> list[str]:
        from ..plan.expectation import Past, PlannedCell
        from ..plan.run_table import PlanConditions, run_table

        planned: dict[tuple[str, str], PlannedCell] = {}
        for item in filter(self._collection.is_experiment, items):
            cell = self._collection.cell_of(item)
            key = (_cell_name(item), cell.id)
            known = planned.get(key) or PlannedCell(
                name=key[0].partition("::")[2],
                cell=cell.id,
                code=cell.code,
                workload=cell.workload.name if cell.workload else "",
                profile=cell.profile,
                values=cell.hyperparameters,
                loads=tuple(load.name for load in cell.plan.loads for _ in range(load.n)),
                repetitions=0,
            )
            warmup = cell.param.warmup
            planned[key] = replace(known, repetitions=known.repetitions + (not warmup), warmups=known.warmups + warmup)
        settings = self._collection.settings
        cooldown = settings.cooldown
        fixed_cooldown = cooldown is not None and cooldown.until == "seconds"
        conditions = PlanConditions(
            now=dt.datetime.now().astimezone(),
            width=width,
            price=settings.price,
            idle_s=settings.idle,
            cooldown_s=cooldown.seconds if cooldown is not None and fixed_cooldown else 0.0,
            cooldown_limit_s=cooldown.limit_s if cooldown is not None and not fixed_cooldown else 0.0,
            thresholds=settings.compare_fail,
        )
        return run_table(list(planned.values()), Past.of(self._past_records()), conditions)

    def _past_records(self) -> Iterable[Any]:
        from ..records.reader import RECORDS_NAME, read_records

        session = self._collection.session
        files = [file for file in session.results_dir.glob(f"*/{RECORDS_NAME}") if not file.parent.is_symlink()]
        for file in sorted(files)[-_RUNS_OF_THE_PAST:]:
            yield from read_records(file).records
        yield from self._history_records()

    def _history_records(self) -> Iterable[Any]:
        from ..records.reader import read_records

        for name in self._collection.settings.history:
            if name.suffix != ".csv":
                yield from read_records(name).records

    @pytest.hookimpl(tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the plan."""
        if self._plan:
            terminalreporter.section("energy plan")
            for line in self._plan:
                terminalreporter.write_line(line)

    # --- budget --------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count the energy of each record. Runs before the hook that takes the records off the report."""
        if self._budget is None:
            return
        for record in records_of(report):
            self._budget.add(record)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Stop the session after an experiment that spent the budget."""
        result = yield
        if self._budget is not None and hasattr(item.config, "workerinput"):
            self._count_others(self._budget)
        if self._budget is not None and self._budget.is_spent:
            item.session.shouldstop = f"{self._budget.words()}; --energy-resume resumes the run"
        return result

    def _count_others(self, budget: EnergyBudget) -> None:
        """Count, in a worker of pytest-xdist, the energy of the other workers from the run's records."""
        from ..records.codec import decode
        from ..records.reader import RECORDS_NAME

        try:
            with (self._collection.session.run_folder / RECORDS_NAME).open("rb") as file:
                file.seek(self._read_bytes)
                lines = file.read().split(b"\n")
        except FileNotFoundError:
            return  # nothing is kept yet
        for line in lines[:-1]:  # the last one has no end yet
            self._read_bytes += len(line) + 1
            with contextlib.suppress(RecordError):
                budget.add(decode(line))

    # --- the end ---------------------------------------------------------------------------------------------------

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int | pytest.ExitCode) -> None:
        """Let a resumed run with nothing left to do succeed."""
        nothing_ran = exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED
        left_out = any(self._left_out.values()) or (self._reporting is not None and bool(self._reporting.records))
        if nothing_ran and left_out:
            session.exitstatus = pytest.ExitCode.OK


def _cell_name(item: pytest.Item) -> str:
    """Return the item's id without its repetition."""
    from ..statistics.grouping import cell_name

    return cell_name(item.nodeid)
