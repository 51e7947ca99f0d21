"""One experiment: its loads, its attempts, and the retries of a training that failed."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ..errors import ConfigError, LimitError, RecordError, SensorError, TrainingError
from ..plan.cells import profile_of
from ..plan.limits import Limit, broken_limits
from ..processes.command import checked_words
from ..processes.controller import controller_has_ended
from ..records.record import Record, Status
from ..training.plain_command import command_workload
from .attempt import Attempt
from .loads import ExperimentLoads
from .record_parts import energy_part

if TYPE_CHECKING:
    from ..energy.window import Window
    from ..records.energy_values import WindowResult
    from ..training.foreground import TrainingResult
    from ..training.workload import Workload
    from .experiment_cell import ExperimentCell
    from .session import Run

__all__ = ["Experiment", "Trained"]


class Trained(Struct, frozen=True, kw_only=True):
    """The result of ``train()``.

    ``seconds`` is the wall time of the last attempt, ``log`` is its log and ``output_dir`` the folder that it was given
    for its files; ``attempts`` counts from 1.
    """

    metrics: Mapping[str, float]
    log: Path
    output_dir: Path
    command: tuple[str, ...]
    seconds: float
    attempts: int


class Experiment:
    """The attempts of one test, from set-up to the records.

    Args:
        run: what the experiments of this process share.
        cell: what this experiment is.
    """

    def __init__(self, run: Run, cell: ExperimentCell) -> None:
        self.run = run
        self.cell = cell
        self.loads = ExperimentLoads(run, cell)
        self._attempt: Attempt | None = None
        self._failed: list[Record] = []
        """The records of the attempts that were retried."""
        self._discarded = False
        self._writing = threading.Lock()
        """Held while a record is written: the heartbeat must not overwrite what the test's thread wrote."""
        self._ended = False

    # --- the attempt in progress -------------------------------------------------------------------------------

    @property
    def measured(self) -> bool:
        """``True`` when windows are opened and records kept."""
        return not self.cell.settings.disable and self.run.measures

    @property
    def attempt(self) -> Attempt:
        """The attempt in progress.

        Raises:
            RuntimeError: the experiment has not begun.
        """
        if self._attempt is None:
            raise RuntimeError("the experiment has not begun")
        return self._attempt

    @property
    def window(self) -> Window | None:
        """The window of the attempt in progress; ``None`` until the test's call."""
        return self._attempt.window if self._attempt is not None else None

    def begin(self, flags: Iterable[str] = ()) -> None:
        """Start the first attempt.

        Args:
            flags: remarks on the state of the host.

        Raises:
            RecordError: the results folder cannot be written.
        """
        self._attempt = Attempt.begin(self.run, self.cell, self.loads, flags=flags)

    def open_window(self) -> None:
        """Open the window around the test's call."""
        self.attempt.open_window()

    def close_window(self) -> None:
        """Close the window if it is open."""
        self.attempt.close_window()

    def named_window(self, name: str, *, sync: bool = True) -> AbstractContextManager[Window | None]:
        """Measure a part of the test; ``None`` instead of a window during set-up and tear-down."""
        return self.attempt.named_window(name, sync=sync)

    def check(self, limits: tuple[Limit, ...]) -> None:
        """Check that the closed window was measured under the conditions that the user and the test require.

        Raises:
            LoadError: a load ran for less of the window than ``coverage_min`` requires.
            SensorError: under ``--energy-strict``, a sensor failed during the window, or other processes used more of
                the machine than ``others_max`` allows.
            LimitError: a limit is broken, or cannot be checked because the value is unknown.
        """
        self.loads.check_coverage()
        result = self.attempt.result
        if self.cell.settings.strict and result is not None and result.total_j is None:
            reasons = "; ".join(f"{domain.name}: {domain.reason}" for domain in result.domains if domain.reason)
            raise SensorError(f"--energy-strict: the energy of this test is missing ({reasons or 'no sensor'})")
        self._check_others(result)
        broken = broken_limits(energy_part(result, None), limits)
        if broken:
            raise LimitError("; ".join(broken))

    def _check_others(self, result: WindowResult | None) -> None:
        """Raise, under ``--energy-strict``, when other processes used more of the machine than allowed."""
        from ..reports.strangers import stranger_ratio

        settings = self.cell.settings
        if not settings.strict or result is None:
            return
        ratio = stranger_ratio(result, self.loads.attribution(result, self.cell.work_and_values))
        if ratio > settings.others_max:
            raise SensorError(
                f"--energy-strict: other processes used {ratio:.0%} of the CPU time or of a GPU during this test, and "
                f"at most {settings.others_max:.0%} is allowed (--energy-others-max); stop them and run the test again"
            )

    # --- how it ends -------------------------------------------------------------------------------------------

    def discard(self) -> None:
        """Keep no record: the test was skipped."""
        self._discarded = True

    def finish(self) -> tuple[Record, ...]:
        """Close the window and return the records of all attempts, which the caller appends to the results."""
        attempt = self.attempt
        attempt.close_window()
        with self._writing:
            self._ended = True
        attempt.tidy()
        self.loads.tidy(passed=attempt.status is Status.PASSED)
        if self._discarded:
            attempt.discard()
            return tuple(self._failed)
        if attempt.status is Status.PASSED and not self.cell.param.warmup and attempt.result is not None:
            self.loads.remember_alone(attempt.result, self.cell.work_and_values)
        # A worker of xdist keeps the record itself, in case it dies before the controller has it.
        record = attempt.end(attempt.status, attempt.reason, attempt.result, keep=not self.run.owns_store)
        return (*self._failed, record)

    def finish_interrupted(self) -> None:
        """Close the window and keep the records in the attempts' folders: pytest makes no more reports."""
        for record in self.finish():
            if self.attempt.keep(record) is not record and self.run.owns_store:
                with suppress(RecordError):  # it is pending then: closing the run writes or rescues it
                    self.run.open_store().append(record)

    def keep_heartbeat(self) -> None:
        """Write down the energy so far, in case this process is killed. Called from another thread."""
        with self._writing:
            attempt = self._attempt
            if not self._ended and attempt is not None and attempt.is_open:
                attempt.keep_unfinished()

    def record_before_exit(self, status: Status, reason: str) -> None:
        """Keep the attempt as if it ended now, because the process is about to exit without tear-down.

        Called from another thread. If the test ends in time after all, its own record has the same ``record_id`` and
        replaces this one.
        """
        attempt = self.attempt
        result = attempt.energy_so_far()
        with self._writing:
            self._ended = True
            record = attempt.end(status, reason, result, keep=True)
        if self.run.owns_store:
            try:
                self.run.open_store().append(record)
            except RecordError:  # the process ends before the disk could have room
                self.run.open_store().rescue()

    # --- the foreground training -----------------------------------------------------------------------------------

    def train(
        self, target: str | Sequence[object] | None, timeout_s: float | None, overrides: Mapping[str, Any]
    ) -> Trained:
        """Run the training, and retry it if it fails and retries are left. Each failed attempt gets its own record.

        Args:
            target: a workload by name, a command as a list of words, or ``None`` for the marked training.
            timeout_s: seconds after which it has failed; ``None`` waits as long as it takes.
            overrides: hyperparameters instead of the cell's.

        Raises:
            ConfigError: nothing to train, or an unknown workload or hyperparameter.
            TrainingError: the last attempt failed too.
        """
        workload, values = self._choose_training(target, overrides)
        for number in itertools.count(1):
            result = self.attempt.train(workload, values, timeout_s)
            if result.status == "passed":
                return Trained(
                    metrics=result.metrics,
                    log=result.log,
                    output_dir=result.output_dir,
                    command=tuple(result.command),
                    seconds=result.train_s,
                    attempts=number,
                )
            if number > self.cell.settings.max_retries or controller_has_ended():
                break
            self._prepare_retry(result)
        raise TrainingError(f"{workload.name}: {result.reason}\n{result.log_in_words()}")

    def _choose_training(
        self, target: str | Sequence[object] | None, overrides: Mapping[str, Any]
    ) -> tuple[Workload, dict[str, Any]]:
        cell = self.cell
        if target is not None and not isinstance(target, str):
            if overrides:
                raise ConfigError(f"train() of a command takes no hyperparameters, not {', '.join(overrides)}")
            return command_workload(checked_words(target)), {}
        if target is not None:
            workload = self.run.registry.workload(target)
            return workload, workload.values(profile_of(None, cell.settings), **{**cell.param.values, **overrides})
        if cell.workload is None:
            raise ConfigError(
                'train() has nothing to train: mark the test with @pytest.mark.workload("repository/model"), '
                'name it, train("repository/model"), or give its command, train(["python", "train.py"])'
            )
        return cell.workload, cell.workload.values(cell.profile, **{**cell.hyperparameters, **overrides})

    def _prepare_retry(self, failed: TrainingResult) -> None:
        """Close the failed attempt's window and open the next, so that each attempt has its own energy.

        A training inside a window of the test's own, or after another training, is retried within the same attempt:
        its energy is part of a whole.
        """
        attempt = self.attempt
        only_training = attempt.trainings.count == 1 and attempt.is_open
        if not (only_training and self.run.open_meter().open_windows == [attempt.window]):
            attempt.flags.append(f"a training failed and was retried within this measurement: {failed.reason}")
            return
        attempt.close_window()
        with self._writing:
            attempt.note(Status(failed.status), failed.reason or "no reason given")
            self._failed.append(attempt.end(attempt.status, failed.reason, attempt.result, keep=True))
            attempt.tidy()
            self.loads.begin_attempt()
            self._attempt = Attempt.begin(self.run, self.cell, self.loads, flags=attempt.flags, earlier=attempt)
        self.open_window()
