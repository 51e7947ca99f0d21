"""The foreground training: one supervised child, its log, and its result."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from ..errors import ConfigError, TrainingError
from ..mutation.distributions import Value
from ..processes.child import start_supervised
from ..processes.command import Command
from ..processes.rules import SharedMemory, Supervision
from ..processes.visible_devices import device_environment
from ..records.left_running import left_running_remarks
from ..records.log_end import log_end, telling_line
from .checkout_changes import checkout_remark
from .log_marks import LogMarks, MarkedLog, Targets, read_log_marks
from .metric_files import read_metric_files
from .metrics import LogReading, read_log_file
from .workload import Workload

__all__ = [
    "EndedTraining",
    "Training",
    "TrainingResult",
    "missing_metrics",
    "read_log",
    "read_training",
    "run_training",
]


class Training(Struct, frozen=True, kw_only=True):
    """A training to run.

    Args:
        workload: from the registry.
        values: from ``workload.values()``.
        threads: the thread budget of the child, 1 or more.
        profile: the profile that the values came from: its arguments are added.
        timeout_s: seconds after which the child is stopped, above 0; ``None`` waits as long as it takes.
        devices: the GPUs that it may see, as ``CUDA_VISIBLE_DEVICES`` writes them; ``None`` leaves them.
        shared_memory: as for :class:`~pytest_parallel_energy.processes.rules.Supervision`.
    """

    workload: Workload
    values: Mapping[str, Value]
    threads: int
    profile: str | None = None
    timeout_s: float | None = None
    devices: str | None = None
    shared_memory: SharedMemory | None = None

    def __post_init__(self) -> None:
        if self.timeout_s is not None and not self.timeout_s > 0:
            raise ConfigError(f"the timeout of a training must be above 0 seconds, not {self.timeout_s!r}")


class TrainingResult(Struct, frozen=True, kw_only=True):
    """The result of one training, which passed when it exited with 0 *and* reported its metrics."""

    status: Literal["passed", "failed", "timeout"]
    reason: str | None = None
    """The reason why it did not pass, in one line."""
    exit_code: int | None = None
    """Negative: the signal that ended it. ``None``: it was stopped."""
    train_s: float
    """Seconds from start to exit."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    series: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """All values of the metrics whose registry entry says ``"pick": "each"``."""
    applied: Mapping[str, Value] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    """Remarks for the reader: a value asked for and not applied, a metric that is not a number."""
    log: Path
    output_dir: Path
    """The folder that the training was given for its files."""
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables added to the inherited ones."""
    cpu_s: float | None = None
    """User and system time of the child and what it waited for."""
    marks: LogMarks = field(default_factory=LogMarks)
    """Its epochs and the values that it reached, with their times."""

    def raise_for_status(self) -> None:
        """Do nothing after a success.

        Raises:
            TrainingError: it failed or ran out of time; with the reason and the log.
        """
        if self.status != "passed":
            raise TrainingError(f"the training did not succeed: {self.reason}\n{self.log_in_words()}")

    def log_in_words(self) -> str:
        """Return where the log is, and its last 20 lines."""
        return f"Its log {self.log} ends with:\n{log_end(self.log) or '(nothing)'}"


class EndedTraining(Struct, frozen=True, kw_only=True):
    """A training whose processes are gone and whose log has not been read: see :func:`read_training`.

    Args:
        training: the training that ran.
        command: the command of the child.
        log: the file with its output.
        times: the file with the times at which its output arrived; ``None`` where nothing needs them.
        started_s: its start on the monotonic clock,
        ended_s: … and its end.
        timed_out: it was stopped because its time was over.
        exit_code: ``None`` when it was stopped, or when its guard was killed.
        seconds: from start to exit.
        cpu_s: user and system time of the child and the processes it waited for.
        began_s: when it began, in seconds since 1970.
        flags: remarks of the guard, and on a copy of the checkout.
    """

    training: Training
    command: Command
    log: Path
    times: Path | None = None
    started_s: float
    ended_s: float
    timed_out: bool
    exit_code: int | None
    seconds: float
    cpu_s: float | None
    began_s: float
    flags: tuple[str, ...]


def run_training(training: Training, folder: Path) -> EndedTraining:
    """Run a training to its end without reading its log, so that a caller can close a measured window in between.

    The child's output is ``folder/training.log``; ``folder/outputs`` is its own folder. The child is stopped before
    this returns, whatever interrupts the wait (Ctrl-C, a timeout of the test).

    Raises:
        RegistryError: the folder cannot be prepared, or the workload cannot run here.
        ProcessError: the child cannot be started.
    """
    workload, outputs, log = training.workload, folder / "outputs", folder / "training.log"
    workload.check()
    copied = workload.prepare(outputs, training.values, profile=training.profile)
    began_s = time.time()  # as the file system has it
    command = workload.command(training.values, output_dir=outputs, threads=training.threads, profile=training.profile)
    command = replace(command, env={**command.env, **device_environment(training.devices)})
    times = folder / "training.times" if workload.epoch or workload.reach else None
    rules = Supervision(log=log, log_times=times, shared_memory=training.shared_memory)
    started_s = time.monotonic()
    with start_supervised(command, rules) as child:
        in_time = child.wait(training.timeout_s) is not None
        ended_s = time.monotonic()
    outcome = child.stop()  # the child has ended: this returns how
    left_running = outcome.status.left_running if outcome.status is not None else ()
    return EndedTraining(
        training=training,
        command=command,
        log=log,
        times=times,
        started_s=started_s,
        ended_s=ended_s,
        timed_out=not in_time,
        exit_code=outcome.exit_code if in_time else None,
        seconds=outcome.seconds,
        cpu_s=outcome.cpu_s,
        began_s=began_s,
        flags=(*copied, *outcome.flags, *left_running_remarks(left_running, of_rounds=False)),
    )


def read_training(ended: EndedTraining) -> TrainingResult:
    """Read the log of an ended training and return whether it passed, its metrics and its applied values.

    The reading takes at most about a minute and uses the CPU: call it when no window measures.
    """
    training, log = ended.training, ended.log
    reading = read_log(log, log.parent / "outputs", training.workload, training.values, training.profile)
    left_files = checkout_remark(training.workload.path, ended.began_s, log.parent)
    marks = _read_marks(ended)
    status, reason = _judge(ended, reading)
    return TrainingResult(
        status=status,
        reason=reason,
        exit_code=ended.exit_code,
        train_s=ended.seconds,
        metrics=reading.metrics,
        series=reading.series,
        applied=reading.applied,
        flags=(*reading.flags, *marks.flags, *ended.flags, *(() if left_files is None else (left_files,))),
        log=log,
        output_dir=log.parent / "outputs",
        command=ended.command.argv,
        environment=dict(ended.command.env),
        cpu_s=ended.cpu_s,
        marks=marks,
    )


def _read_marks(ended: EndedTraining) -> LogMarks:
    workload = ended.training.workload
    if ended.times is None:
        return LogMarks(start_s=ended.started_s)
    marked = MarkedLog(log=ended.log, times=ended.times, start_s=ended.started_s, end_s=ended.ended_s)
    targets = Targets(
        patterns={name: workload.patterns[name] for name in workload.reach},
        values=workload.reach,
        lower=frozenset(name for name, better in workload.better.items() if better == "lower"),
    )
    return read_log_marks(marked, workload.epoch, targets)


def read_log(
    log: Path, outputs: Path, workload: Workload, values: Mapping[str, Value], profile: str | None = None
) -> LogReading:
    """Return what a log and the metric files of an output folder say, as the workload's registry describes them.

    Args:
        log: the log of a training.
        outputs: its output folder, which need not exist.
        workload: with patterns and metric files.
        values: the requested values; ``None`` is not compared with the applied one.
        profile: the profile of the values.
    """
    known = workload.profile(profile).hyperparameters
    reading = read_log_file(log, workload.log_metrics, known, values)
    from_files, flags = read_metric_files(outputs, workload.metric_files)
    return replace(reading, metrics={**reading.metrics, **from_files}, flags=(*reading.flags, *flags))


def _judge(ended: EndedTraining, reading: LogReading) -> tuple[Literal["passed", "failed", "timeout"], str | None]:
    training = ended.training
    if ended.timed_out:
        return "timeout", f"still running after {training.timeout_s:g} s, stopped"
    if ended.exit_code is None:
        return "failed", f"the process was killed externally ({'; '.join(ended.flags) or 'cause unknown'})"
    if ended.exit_code != 0:
        return "failed", f"{_exit_words(ended.exit_code)}; its log says: {telling_line(ended.log)}"
    missing = missing_metrics(training.workload, reading.metrics)
    return ("passed", None) if missing is None else ("failed", f"exit code 0, but {missing}")


def missing_metrics(workload: Workload, metrics: Mapping[str, float]) -> str | None:
    """Return which metrics a run lacks without which it has failed, in words; ``None`` where it lacks none."""
    missing = [name for name in workload.required_metrics or () if name not in metrics]
    if missing:
        return f"it does not report {', '.join(missing)}"
    registered = [*workload.patterns, *workload.metric_files]
    if workload.required_metrics is None and registered and not metrics:
        return f"it reports none of {', '.join(registered)}"
    return None


def _exit_words(exit_code: int) -> str:
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = f"signal {-exit_code}"
    hint = " (the kernel does this when memory runs out)" if name == "SIGKILL" else ""
    return f"ended by {name}{hint}"
