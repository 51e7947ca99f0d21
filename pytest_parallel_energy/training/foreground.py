"""The foreground training: one supervised child, its log, and what came of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..errors import ConfigError, TrainingError
from ..mutation.distributions import Value
from ..processes.child import start_supervised
from ..processes.command import Command
from ..processes.rules import Supervision
from .metrics import LogReading, plain_text, read_log_file
from .workload import Workload

__all__ = ["Training", "TrainingResult", "train_once"]

_TAIL_BYTES = 4096
_WIDEST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What to train, as a value.

    Args:
        workload: from the registry.
        values: from ``workload.values()``.
        threads: the thread budget of the child, 1 or more.
        profile: the profile that the values came from: its arguments are added.
        timeout_s: seconds after which the child is stopped, above 0; ``None`` waits as long as it takes.
    """

    workload: Workload
    values: Mapping[str, Value]
    threads: int
    profile: str | None = None
    timeout_s: float | None = None

    def __post_init__(self) -> None:
        if self.timeout_s is not None and not self.timeout_s > 0:
            raise ConfigError(f"the timeout of a training must be above 0 seconds, not {self.timeout_s!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """How one training went. It passed when it exited with 0 *and* reported its metrics."""

    status: Literal["passed", "failed", "timeout"]
    reason: str | None = None
    """Why it did not pass, in one line."""
    exit_code: int | None = None
    """Negative: the signal that ended it. ``None``: it was stopped."""
    train_s: float
    """Seconds from start to exit."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    applied: Mapping[str, Value] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    """What a person should know: a value asked for and not applied, a metric that is no number."""
    log: Path
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables added to the inherited ones."""
    cpu_s: float | None = None
    """User and system time of the child and what it waited for."""

    def raise_for_status(self) -> None:
        """Do nothing after a success.

        Raises:
            TrainingError: it failed or ran out of time; with the reason and the log.
        """
        if self.status != "passed":
            raise TrainingError(f"the training did not succeed: {self.reason}; its log is {self.log}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    """What is left of a child: ``exit_code`` is ``None`` when it was stopped, or when its guard was killed."""

    timed_out: bool
    exit_code: int | None
    seconds: float
    cpu_s: float | None
    flags: tuple[str, ...]


def train_once(training: Training, folder: Path) -> TrainingResult:
    """Run a training to its end and read its log.

    The child's output is ``folder/training.log``; ``folder/outputs`` is its own folder. Whatever interrupts the wait
    (Ctrl-C, a timeout of the test), the child is stopped before this returns.

    Raises:
        RegistryError: the folder cannot be prepared, or the workload cannot run here.
        ProcessError: the child cannot be started.
    """
    workload = training.workload
    workload.check()
    outputs = folder / "outputs"
    workload.prepare(outputs)
    command = workload.command(training.values, output_dir=outputs, threads=training.threads, profile=training.profile)
    log = folder / "training.log"
    ended = _run(command, log, training.timeout_s)
    known = workload.profile(training.profile).hyperparameters
    reading = read_log_file(log, workload.patterns, known, training.values)
    status, reason = _judge(training, ended, reading, log)
    return TrainingResult(
        status=status,
        reason=reason,
        exit_code=ended.exit_code,
        train_s=ended.seconds,
        metrics=reading.metrics,
        applied=reading.applied,
        flags=(*reading.flags, *ended.flags),
        log=log,
        command=command.argv,
        environment=dict(command.env),
        cpu_s=ended.cpu_s,
    )


def _judge(
    training: Training, ended: _Ended, reading: LogReading, log: Path
) -> tuple[Literal["passed", "failed", "timeout"], str | None]:
    if ended.timed_out:
        return "timeout", f"still running after {training.timeout_s:g} s, stopped"
    if ended.exit_code is None:
        return "failed", f"it was ended from outside: {'; '.join(ended.flags) or 'nobody saw how'}"
    if ended.exit_code != 0:
        return "failed", f"{_exit_words(ended.exit_code)}; last line of its log: {_last_line(log)}"
    workload = training.workload
    missing = [name for name in workload.required_metrics or () if name not in reading.metrics]
    if missing:
        return "failed", f"exit code 0, but its log does not report {', '.join(missing)}"
    if workload.required_metrics is None and workload.patterns and not reading.metrics:
        return "failed", f"exit code 0, but its log reports none of {', '.join(workload.patterns)}"
    return "passed", None


def _exit_words(exit_code: int) -> str:
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = f"signal {-exit_code}"
    hint = " (the kernel does that when memory runs out)" if name == "SIGKILL" else ""
    return f"ended by {name}{hint}"


def _last_line(log: Path) -> str:
    try:
        with log.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - _TAIL_BYTES))
            lines = plain_text(stream.read().decode("utf-8", "replace")).split("\n")
    except OSError as problem:
        return f"(the log cannot be read: {problem})"
    return next((line.strip()[:_WIDEST] for line in reversed(lines) if line.strip()), "(it is empty)")


def _run(command: Command, log: Path, timeout_s: float | None) -> _Ended:
    """Start the child, wait for it, and leave nothing of it behind, whatever interrupts the wait."""
    with start_supervised(command, Supervision(log=log)) as child:
        in_time = child.wait(timeout_s) is not None
    outcome = child.stop()  # has ended: gives how
    return _Ended(
        timed_out=not in_time,
        exit_code=outcome.exit_code if in_time else None,
        seconds=outcome.seconds,
        cpu_s=outcome.cpu_s,
        flags=outcome.flags,
    )
