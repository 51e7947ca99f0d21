"""One experiment: its windows, loads and trainings, composed into the records that are kept of it."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..energy.thermal import ThermalLog, read_temperatures_c
from ..errors import ConfigError, LimitError, SensorError, TrainingError
from ..plan.cells import CellParam, MarkedPlan, profile_of
from ..plan.limits import Limit, broken_limits
from ..records.atomic_write import write_file
from ..records.cell import cell_id, host_class
from ..records.record import AttributionPart, HostPart, Phase, Record, Status, WorkloadPart
from ..records.store import experiment_label
from ..records.trace import TRACE_NAME, trace_csv_gz
from .loads import ExperimentLoads
from .record_parts import energy_part, meter_part, trained_part, workload_part

if TYPE_CHECKING:
    from ..energy.result import WindowResult
    from ..energy.window import Window
    from ..plan.settings import Settings
    from ..training.foreground import TrainingResult
    from ..training.workload import Workload
    from .session import Run

__all__ = ["Experiment", "Trained"]

_CRASHED = "the session ended before this attempt did"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What ``train()`` gives.

    ``seconds`` is the last attempt's wall time and ``attempts`` counts from 1; ``log`` is the last attempt's.
    """

    metrics: Mapping[str, float]
    log: Path
    command: tuple[str, ...]
    seconds: float
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """One attempt: from its start to the record."""

    number: int
    record_id: str
    folder: Path
    started_at: str
    started_s: float
    host: HostPart
    """With the governor that was in force when the attempt began."""

    @classmethod
    def begin(cls, number: int, folder: Path, host: HostPart) -> _Attempt:
        return cls(
            number=number,
            record_id=uuid.uuid4().hex,
            folder=folder,
            started_at=dt.datetime.now().astimezone().isoformat(timespec="milliseconds"),
            started_s=time.monotonic(),
            host=host,
        )


class Experiment:
    """The attempts of one test, from set-up to the records.

    Args:
        session: what the experiments of this process share.
        nodeid: pytest's name of the item.
        settings: the run's, with what the test's own marker says.
        plan: what the markers say.
        param: which cell and repetition this item is.
    """

    def __init__(self, session: Run, *, nodeid: str, settings: Settings, plan: MarkedPlan, param: CellParam) -> None:
        self.session = session
        self.nodeid = nodeid
        self.settings = settings
        self.plan = plan
        self.param = param
        self.metrics: dict[str, float] = {}
        self.flags: list[str] = []
        self.loads = ExperimentLoads(session, settings, plan)
        self.window: Window | None = None
        self._trained: tuple[Workload, dict[str, Any], TrainingResult] | None = None
        """The last training of the attempt in progress."""
        self._trainings = 0
        """How many there were in it."""
        self._result: WindowResult | None = None
        self._attempt: _Attempt | None = None
        self._records: list[Record] = []
        self._status = Status.PASSED
        self._reason: str | None = None
        self._discarded = False
        self._keeping = threading.Lock()
        self._kept = False
        self._thermal = ThermalLog(self._read_temperatures_c)

    # --- what this experiment is -------------------------------------------------------------------------------

    @property
    def workload(self) -> Workload | None:
        """The marked workload."""
        return self.session.registry.workload(self.plan.workload.name) if self.plan.workload else None

    @property
    def profile(self) -> str | None:
        """The profile in force, ``None`` for the published defaults."""
        return profile_of(self.plan.workload.profile if self.plan.workload else None, self.settings)

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """This cell's values: the workload's, with the marker's fixed ones and the mutated ones."""
        if self.plan.workload is None or self.workload is None:
            return dict(self.param.values)
        return self.workload.values(self.profile, **{**self.plan.workload.fixed, **self.param.values})

    def cell(self) -> str:
        """The identity of this cell: the marked loads, and those that the test started itself so far."""
        return cell_id(self._work, self._values, self.loads.identities(), host_class(self.session.host))

    def code(self) -> str | None:
        """The identity of what trains, as it is on the disk: the workload's script, else the test's own file."""
        if self.workload is not None:
            return self.session.code_of(self.workload.path / self.workload.script)
        return self.session.code_of(self.session.root / self.nodeid.partition("::")[0])

    @property
    def _work(self) -> str:
        """What is trained, or which test trains by itself."""
        work = self.plan.workload.name if self.plan.workload else self.nodeid.partition("[")[0]
        return f"{work}@{self.profile}" if self.profile else work

    @property
    def _values(self) -> dict[str, Any]:
        """The hyperparameters, and what the test's own ``parametrize`` varies, which may be anything."""
        return self.hyperparameters | {f"[{name}]": value for name, value in self.param.parameters.items()}

    @property
    def _work_and_values(self) -> str:
        """The same for tests that do the same work, beside whatever load."""
        return f"{self._work} {sorted(self._values.items())}"

    # --- one attempt after the other ---------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """The folder of the attempt in progress."""
        return self._current().folder

    def begin(self) -> None:
        """Start the first attempt: its folder exists from now on, and says that it was not finished.

        When disabled there is a scratch folder instead, and nothing is kept.

        Raises:
            RecordError: the results folder cannot be written.
        """
        self._begin_attempt(1)

    @property
    def measured(self) -> bool:
        """Whether windows are opened and records kept."""
        return not self.settings.disable

    def _begin_attempt(self, number: int) -> None:
        if not self.measured:
            self._attempt = _Attempt.begin(number, self.session.scratch_folder(), self.session.host)
            return
        label = experiment_label(
            f"{self.cell()}-warmup" if self.param.warmup else self.cell(), self.param.repetition, number
        )
        folder = self.session.open_store().experiment_folder(label)
        self._attempt = _Attempt.begin(number, folder, self.session.host_now())
        # a heartbeat must not take the last attempt's joules and training for this one's
        self.window, self._result, self._trained, self._trainings = None, None, None, 0
        self._keep(self._record(Status.CRASHED, _CRASHED, None))

    def _current(self) -> _Attempt:
        if self._attempt is None:
            raise RuntimeError("the experiment has not begun")
        return self._attempt

    def open_window(self) -> None:
        """Open the window of the attempt in progress; the loads' coverage counts from here."""
        self._thermal.open()
        self.loads.before_window()
        self.window = self.session.open_meter().begin("test", edges=True)
        self.loads.window_opened()

    def close_window(self) -> None:
        """Close the window, if one is open."""
        if self.window is None or self._result is not None:
            return
        # those that the test forgot would take in the next test
        for inner in self.session.open_meter().open_windows[::-1]:
            if inner is not self.window:
                inner.close()
        self._result = self.window.end()  # first: whoever does not answer must not lengthen the window
        self.loads.window_closes()
        self._thermal.note()
        self.loads.after_window()

    def _read_temperatures_c(self) -> Mapping[str, float]:
        return read_temperatures_c(self.session.open_meter().sensors, sysfs_root=Path(self.settings.sysfs_root))

    def _attribution(self, result: WindowResult | None) -> AttributionPart:
        if result is None:
            return AttributionPart()
        return self.loads.attribution(result, self._work_and_values)

    def check(self, limits: tuple[Limit, ...]) -> None:
        """Refuse a measurement that is worth nothing, or that the test does not allow itself.

        Raises:
            LoadError: a load ran for less of the window than ``coverage_min`` asks.
            SensorError: under ``--energy-strict``, a sensor failed during the window.
            LimitError: a limit is broken, or cannot be checked because the value is unknown.
        """
        self.loads.check_coverage()
        self._check_measured()
        broken = broken_limits(energy_part(self._result, None), limits)
        if broken:
            raise LimitError("; ".join(broken))

    def _check_measured(self) -> None:
        result = self._result
        if self.settings.strict and result is not None and result.total_j is None:
            reasons = "; ".join(f"{one.name}: {one.reason}" for one in result.domains if one.reason)
            raise SensorError(f"--energy-strict: the energy of this test is missing ({reasons or 'no sensor'})")

    def note(self, status: Status, reason: str) -> None:
        """Say that the attempt in progress did not pass; the first word counts (a tear-down may fail after it)."""
        if self._status is Status.PASSED:
            timed_out = status is Status.FAILED and self._trained and self._trained[2].status == "timeout"
            self._status = Status.TIMEOUT if timed_out else status
            self._reason = reason

    def discard(self) -> None:
        """The test was skipped: there was no attempt, and nothing is kept of it."""
        self._discarded = True

    def finish(self) -> tuple[Record, ...]:
        """Close what is open, and give the records of all attempts; whoever appends them keeps the last one."""
        self.close_window()
        with self._keeping:
            self._kept = True  # no heartbeat from here on
        if self._discarded:
            self.session.open_store().remove_experiment(self.folder)
            return tuple(self._records)
        if self._status is Status.PASSED and not self.param.warmup and self._result is not None:
            self.loads.remember_alone(self._result, self._work_and_values)
        record = self._record(self._status, self._reason, self._result)
        if not self.session.owns_store:  # should this worker die before the controller has it
            self._keep(record)
        return (*self._records, record)

    def finish_unappended(self) -> None:
        """Close what is open where nobody is there any more to append: the records go to the experiments' folders."""
        for record in self.finish():
            self._keep(record)

    def note_temperatures(self) -> None:
        """Read the temperatures once more, while the window is open. From another thread."""
        if self.window is not None and self._result is None:
            self._thermal.note()

    def keep_heartbeat(self) -> None:
        """Write down the joules so far, for the case that this process dies without a word. From another thread."""
        with self._keeping:
            if not self._kept and self.window is not None and self._result is None:
                self._keep(self._record(Status.CRASHED, f"{_CRASHED}; its last heartbeat", self.window.snapshot()))

    def keep_last_words(self, status: Status, reason: str) -> None:
        """Keep the attempt in progress as if it ended now: the process is about to end without tear-down.

        Called from another thread than the test's. Should the test end in its last moment after all, its own record
        has the same ``record_id`` and replaces this one.
        """
        result = self.window.snapshot() if self.window is not None and self._result is None else self._result
        with self._keeping:
            self._kept = True
            record = self._record(status, reason, result)
            self._keep(record)
        if self.session.owns_store:
            self.session.open_store().append(record)

    # --- the foreground training -----------------------------------------------------------------------------------

    def train(self, name: str | None, timeout_s: float | None, overrides: Mapping[str, Any]) -> Trained:
        """Run the training, again where it fails and retries are left; each failed attempt is a record of its own.

        Raises:
            ConfigError: nothing to train, or an unknown workload or hyperparameter.
            TrainingError: the last attempt failed too.
        """
        workload, values = self._what_to_train(name, overrides)
        for attempt in itertools.count(1):
            result = self._train_once(workload, values, timeout_s)
            if result.status == "passed":
                return Trained(
                    metrics=result.metrics,
                    log=result.log,
                    command=tuple(result.command),
                    seconds=result.train_s,
                    attempts=attempt,
                )
            if attempt > self.settings.max_retries:
                break
            self._try_again(result)
        raise TrainingError(f"{workload.name}: {result.reason}")

    def _what_to_train(self, name: str | None, overrides: Mapping[str, Any]) -> tuple[Workload, dict[str, Any]]:
        if name is not None:
            workload = self.session.registry.workload(name)
            profile = profile_of(None, self.settings)
            return workload, workload.values(profile, **{**self.param.values, **overrides})
        if self.workload is None:
            raise ConfigError(
                'train() has nothing to train: mark the test with @pytest.mark.workload("repository/model"), '
                'or name it, train("repository/model")'
            )
        return self.workload, self.workload.values(self.profile, **{**self.hyperparameters, **overrides})

    def _train_once(self, workload: Workload, values: dict[str, Any], timeout_s: float | None) -> TrainingResult:
        from ..training.foreground import Training, train_once

        self._trainings += 1
        again = self._trainings > 1  # a second training of one attempt gets a log and outputs of its own
        folder = self.folder / f"training-{self._trainings}" if again else self.folder
        folder.mkdir(exist_ok=True)
        with self.named_window(f"train {workload.name}"):
            result = train_once(
                Training(
                    workload=workload,
                    values=values,
                    threads=self.session.threads,
                    profile=self.profile,
                    timeout_s=timeout_s,
                ),
                folder,
            )
        self._trained = (workload, values, result)
        return result

    def _try_again(self, failed: TrainingResult) -> None:
        """Each attempt's joules are its own, unless they are part of something that is measured as a whole."""
        first_in_window = self._trainings == 1 and self.window is not None and self._result is None
        if first_in_window and self.session.open_meter().open_windows == [self.window]:
            self._next_attempt(failed)
        else:
            self.flags.append(f"a training failed and was tried again within this measurement: {failed.reason}")

    def _next_attempt(self, failed: TrainingResult) -> None:
        """Close the failed attempt's window and open the next."""
        self.close_window()
        with self._keeping:
            record = self._record(Status(failed.status), failed.reason, self._result)
            self._keep(record)
            self._records.append(record)
            self.loads.begin_attempt()
            self._begin_attempt(self._current().number + 1)
        self.open_window()

    @contextmanager
    def named_window(self, name: str) -> Iterator[Window | None]:
        """A window inside the test's; nothing is measured where none is open (set-up and tear-down)."""
        if self.window is None or self._result is not None:
            yield None
            return
        with self.session.open_meter().window(name) as window:
            yield window

    # --- the record ------------------------------------------------------------------------------------------------

    def _record(self, status: Status, reason: str | None, result: WindowResult | None) -> Record:
        attempt = self._current()
        return Record(
            record_id=attempt.record_id,
            run_id=self.session.open_store().run_id,
            nodeid=self.nodeid,
            cell=self.cell(),
            code=self.code(),
            repetition=self.param.repetition,
            attempt=attempt.number,
            phase=Phase.WARMUP if self.param.warmup else Phase.MEASURED,
            status=status,
            reason=reason,
            started_at=attempt.started_at,
            duration_s=time.monotonic() - attempt.started_s,
            folder=self.session.open_store().relative(attempt.folder),
            labels=self.settings.labels(),
            metrics=dict(self.metrics),
            workload=self._workload_part(),
            energy=energy_part(result, self._keep_trace(result)),
            background=self.loads.parts(),
            attribution=self._attribution(result),
            meter=meter_part(result, tuple(self.flags), self._thermal.ends),
            host=attempt.host,
        )

    def _keep(self, record: Record) -> None:
        self.session.open_store().write_experiment(record)

    def _keep_trace(self, result: WindowResult | None) -> str | None:
        if result is None or not result.trace:
            return None
        path = self._current().folder / TRACE_NAME
        offsets_s = [point.offset_s for point in result.trace]
        degrees = self._thermal.columns(offsets_s)
        columns = [f"{domain.name}_w" for domain in result.domains] + [f"{name}_celsius" for name in degrees]
        rows = zip(*degrees.values(), strict=True) if degrees else itertools.repeat(())
        points = [(point.offset_s, [*point.watts, *row]) for point, row in zip(result.trace, rows, strict=False)]
        write_file(path, trace_csv_gz(columns, points), synced=False)
        return self.session.open_store().relative(path)

    def _workload_part(self) -> WorkloadPart | None:
        if self._trained is not None:
            workload, values, result = self._trained
            log = self.session.open_store().relative(result.log)
            return trained_part(workload_part(workload, values, self.profile, self.param), result, log)
        if self.workload is None:
            return None
        return workload_part(self.workload, self.hyperparameters, self.profile, self.param)
