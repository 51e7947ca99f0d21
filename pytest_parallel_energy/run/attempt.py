"""One attempt of an experiment: the window around the test's call, the trainings in it, and the record."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ..energy.thermal import ThermalLog, read_temperatures_c
from ..errors import RecordError
from ..processes.controller import controller_has_ended
from ..records.reader import EXPERIMENT_NAME
from ..records.record import Attribution, HostPart, Record, Status, WorkloadPart
from ..records.run_folder import experiment_label
from ..records.trace import TRACE_NAME
from .attempt_trainings import AttemptTrainings, TrainedWorkload
from .held_end import HeldEnd, WindowEnd, reading_flags
from .record_parts import (
    energy_part,
    finite_or_none,
    job_part,
    masked,
    meter_part,
    trace_file,
    trained_part,
    workload_part,
)

if TYPE_CHECKING:
    from ..energy.window import Window
    from ..records.energy_values import WindowResult
    from ..training.foreground import TrainingResult
    from ..training.workload import Workload
    from .experiment_cell import ExperimentCell
    from .loads import ExperimentLoads
    from .session import Run

__all__ = ["Attempt"]

_LONGEST_TEST = 60
"""Characters of a test's name in the name of its folder."""
_CRASHED = "the session ended before this attempt did"
"""The reason in the record of an attempt whose process died."""


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One attempt, from its start to its record.

    Args:
        run: what the experiments of this process share.
        cell: the experiment's identity.
        loads: the experiment's background loads.
        number: counts from 1; retries follow.
        host: the machine's facts, with the governor in force now.
        metrics: numbers that the test recorded.
        flags: remarks for the reader of the record.
    """

    run: Run
    cell: ExperimentCell
    loads: ExperimentLoads
    number: int
    host: HostPart
    metrics: dict[str, float] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    window: Window | None = None
    """The window of the test's call; ``None`` until the call."""
    result: WindowResult | None = None
    """The energy of the closed window."""
    trainings: AttemptTrainings = field(default_factory=AttemptTrainings)
    status: Status = Status.PASSED
    reason: str | None = None
    is_over: bool = False
    """``True`` from the moment at which the final record is made."""
    record_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    started_at: str = field(default_factory=lambda: dt.datetime.now().astimezone().isoformat(timespec="milliseconds"))
    started_s: float = field(default_factory=time.monotonic)
    _thermal: ThermalLog = field(init=False)
    _held_end: HeldEnd | None = None
    """Set while a window is open."""
    _folder: Path | None = None
    _folder_is_kept: bool = False
    """``False`` for a scratch folder, which is removed with the session."""
    _making_folder: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self._thermal = ThermalLog(self._read_temperatures_c)

    @classmethod
    def begin(
        cls,
        run: Run,
        cell: ExperimentCell,
        loads: ExperimentLoads,
        *,
        flags: Iterable[str] = (),
        earlier: Attempt | None = None,
    ) -> Attempt:
        """Start the first attempt, or a retry after an ``earlier`` one.

        From now on a record on the disk says that the attempt did not end. There is none where nothing is measured.

        Raises:
            RecordError: not even a scratch folder can be made.
        """
        attempt = cls(
            run=run,
            cell=cell,
            loads=loads,
            number=earlier.number + 1 if earlier else 1,
            host=run.host_now() if run.measures else run.host,
            metrics=dict(earlier.metrics) if earlier else {},
            flags=list(flags),
        )
        if attempt._is_measured:
            attempt.keep_unfinished()
        return attempt

    @property
    def _is_measured(self) -> bool:
        return not self.cell.settings.disable and self.run.measures

    @property
    def folder(self) -> Path:
        """The attempt's own folder, made when there is something to keep in it.

        It is a scratch folder where nothing is measured, and also if the results folder cannot be written: a flag of
        the record says so.

        Raises:
            RecordError: not even a scratch folder can be made.
        """
        with self._making_folder:  # the heartbeat makes it too, for a power trace
            if self._folder is None:
                self._folder = self._make_folder()
                if self._is_measured and not self.is_over:
                    self.keep_unfinished()  # it names the folder from now on
            return self._folder

    def _make_folder(self) -> Path:
        cell = self.cell
        if not self._is_measured:
            return self.run.scratch_folder()
        test = cell.nodeid.partition("[")[0].rpartition("::")[2][:_LONGEST_TEST]
        name = f"{test}-{cell.id_with(self.loads.started_identities())}"
        label = experiment_label(f"{name}-warmup" if cell.param.warmup else name, cell.param.repetition, self.number)
        try:
            folder = self.run.open_store().experiment_folder(label)
        except RecordError as error:
            self.flags.append(f"the logs and files of this attempt were not kept: {error}")
            return self.run.scratch_folder()
        self._folder_is_kept = True
        return folder

    # --- the window ------------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """``True`` while the window is open."""
        return self.window is not None and self.result is None

    def open_window(self) -> None:
        """Open the window; the coverage of the loads counts from here."""
        self._thermal.open()
        self.loads.before_window()
        self.window = self.run.open_meter().begin("test", edges=True, devices=self.cell.devices)
        self._held_end = HeldEnd(loads=self.loads, clock_ns=self.run.open_meter().clock_ns)
        self.loads.window_opened()

    def close_window(self) -> None:
        """Close the window if it is open, and the windows inside it that the test forgot to close."""
        if self.window is None or self.result is not None:
            return
        end = self._held_end.close(self.window) if self._held_end is not None else WindowEnd()
        for inner in self.run.open_meter().open_windows[::-1]:
            if inner is not self.window:
                inner.close()
        # Close the window first, so that an unresponsive load cannot extend it.
        self.result = self.window.end(at_hold=end.at_hold)
        self.loads.close_window(at_hold=end.at_hold)
        self._thermal.note()
        self.flags += reading_flags(end, self.result.window_s)

    def energy_so_far(self) -> WindowResult | None:
        """Return the energy of the window up to now; the final result if it is closed."""
        return self.window.snapshot() if self.window is not None and self.result is None else self.result

    @contextmanager
    def named_window(self, name: str, *, sync: bool = True) -> Iterator[Window | None]:
        """Measure a part of the test; yield ``None`` during set-up and tear-down, which are not measured."""
        if not self.is_open:
            yield None
            return
        with self.run.open_meter().window(name, sync=sync) as window:
            yield window

    def note_temperatures(self) -> None:
        """Read the temperatures again, if the window is open. Called from another thread."""
        if self.is_open:
            self._thermal.note()

    def _read_temperatures_c(self) -> Mapping[str, float]:
        return read_temperatures_c(self.run.open_meter().sensors, sysfs_root=Path(self.cell.settings.sysfs_root))

    # --- the trainings ---------------------------------------------------------------------------------------------

    def train(self, workload: Workload, values: Mapping[str, Any], timeout_s: float | None) -> TrainingResult:
        """Run one training in a window of its own.

        A second training in the same attempt gets its own folder for its log and outputs.
        """
        from ..training.foreground import Training, read_training, run_training

        training = Training(
            workload=workload,
            values=values,
            threads=self.run.threads,
            profile=self.cell.profile,
            timeout_s=timeout_s,
            devices=self.cell.devices,
            shared_memory=self.cell.settings.shared_memory,
        )
        folder = self.trainings.begin(training, self.folder)
        with self.named_window(f"train {workload.name}"):
            ended = run_training(training, folder)
        with self._reading():
            result = read_training(ended)
        self.trainings.last = TrainedWorkload(workload=workload, values=values, result=result)
        return result

    def _reading(self) -> AbstractContextManager[None]:
        """Keep the reading of a log out of the open window, as far as possible."""
        if self.window is None or self._held_end is None or not self.is_open:
            return contextlib.nullcontext()
        alone = self.run.open_meter().open_windows == [self.window]
        return self._held_end.reading(self.window, hold=alone)

    # --- the record ------------------------------------------------------------------------------------------------

    def note(self, status: Status, reason: str) -> None:
        """Note that the attempt did not pass. The first call counts: a tear-down may fail after the test did."""
        if self.status is Status.PASSED:
            trained = self.trainings.last
            timed_out = status is Status.FAILED and trained and trained.result.status == "timeout"
            self.status = Status.TIMEOUT if timed_out else status
            self.reason = reason
            if self.status is Status.FAILED and controller_has_ended():
                # Its training was killed because the session is over, which is not a failure of the experiment.
                self.status, self.reason = Status.INTERRUPTED, f"the controller of pytest-xdist ended; {reason}"

    def record(self, status: Status, reason: str | None, result: WindowResult | None) -> Record:
        """Return the record of this attempt as if it had ended now; ``reason`` holds no secrets."""
        store = self.run.open_store()
        cell = self.cell
        window = None if result is None else self.window
        energy = energy_part(result, self._keep_trace(window))  # first: a trace makes the folder
        fields = cell.record_fields(self.loads.started_identities(), self.trainings.identities)
        attribution = Attribution() if result is None else self.loads.attribution(result, cell.work_and_values)
        return Record(
            record_id=self.record_id,
            run_id=store.run_id,
            attempt=self.number,
            status=status,
            reason=reason,
            started_at=self.started_at,
            duration_s=time.monotonic() - self.started_s,
            folder=store.relative(self._folder) if self._folder is not None and self._folder_is_kept else None,
            metrics=finite_or_none(self.metrics),
            workload=self._workload_part(),
            threads=self.run.threads,
            devices=self.run.devices if cell.devices is None else cell.devices,
            energy=energy,
            background=self.loads.parts(),
            attribution=attribution,
            meter=meter_part(window, tuple(masked(flag, cell.workload) for flag in self.flags), self._thermal.ends),
            host=self.host,
            job=None if self.run.rank is None else job_part(self.run.rank),
            slurm=self.run.slurm,
            **fields,
            **({} if self.is_open else self.trainings.progress(window)),
        )

    def end(self, status: Status, reason: str | None, result: WindowResult | None, *, keep: bool) -> Record:
        """Return the final record, kept in the attempt's folder as well if ``keep`` is true.

        The folder of an attempt that did not pass is made in any case: there is something to look at.

        Raises:
            RecordError: not even a scratch folder can be made.
        """
        self.is_over = True
        if keep or status is not Status.PASSED:
            _ = self.folder
        told = None if reason is None else masked(reason, self.cell.workload)
        record = self.record(status, told, result)
        return self.keep(record) if keep else record

    def keep_unfinished(self) -> None:
        """Write down that the attempt has not ended, with its energy so far, in case this process is killed.

        A disk that does not take it does not stop the measurement.
        """
        result = self.energy_so_far() if self.is_open else None
        reason = f"{_CRASHED}; its last heartbeat" if self.is_open else _CRASHED
        with contextlib.suppress(RecordError):
            self.run.journal.write(self.record(Status.CRASHED, reason, result))

    def keep(self, record: Record) -> Record:
        """Write a final record into the folder that it names, where it is found if this process dies.

        Returns:
            The record; with a flag if it could not be written, which decides nothing else.
        """
        problem = self.run.open_store().keep_experiment(record)
        try:
            if record.folder is None or problem is not None:
                self.run.journal.write(record)
            else:
                self.run.journal.clear()
        except RecordError as error:
            problem = problem or (str(error) if record.folder is None else None)
        if problem is None:
            return record
        flags = (*record.meter.flags, f"{EXPERIMENT_NAME} was not written: {problem}")
        return replace(record, meter=replace(record.meter, flags=flags))

    def tidy(self) -> None:
        """Remove what of the trainings' outputs does not stay; call this when their files are no longer needed."""
        if self._folder is not None:
            self.trainings.tidy(self._folder, self.cell.settings.keep, passed=self.status is Status.PASSED)

    def discard(self) -> None:
        """Remove the attempt's folder and its unfinished record: the test was skipped."""
        if self._folder is not None and self._folder_is_kept:
            self.run.open_store().remove_experiment(self._folder)
        with contextlib.suppress(RecordError):
            self.run.journal.clear()

    def _keep_trace(self, window: Window | None) -> str | None:
        trace = () if window is None else window.trace
        if window is None or not trace:
            return None
        path = self.folder / TRACE_NAME
        degrees = self._thermal.columns([point.offset_s for point in trace])
        problem = self.run.open_store().keep_file(path, trace_file(window, degrees))
        if problem is not None:
            flag = f"the power trace was not kept: {problem}"
            if flag not in self.flags:  # a heartbeat meets the same problem every ten seconds
                self.flags.append(flag)
            return None
        return self.run.open_store().relative(path) if self._folder_is_kept else None

    def _workload_part(self) -> WorkloadPart | None:
        cell, trained = self.cell, self.trainings.last
        workload = cell.workload if trained is None else trained.workload
        if workload is None:
            return None
        values = cell.hyperparameters if trained is None else trained.values
        code = self.run.trained_code(workload)
        part = workload_part(workload, values, cell.profile, cell.param)
        part = replace(part, commit=code.commit, dirty=code.dirty)
        if trained is None:
            return part
        return trained_part(part, trained.result, self.run.open_store().relative(trained.result.log))
