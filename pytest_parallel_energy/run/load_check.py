"""Checks of the work of registered loads: the metrics and the applied values in the logs of their rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import LoadError
from ..records.log_end import log_end

if TYPE_CHECKING:
    from ..training.metrics import LogReading
    from ..training.workload import Workload
    from .record_parts import StartedLoad

__all__ = ["check_work", "readiness_patterns"]


def readiness_patterns(workload: Workload, profile: str | None) -> tuple[str, ...]:
    """Return the patterns of which one match in its log shows that a workload trains: of metrics and applied values."""
    applied = (some.applied for some in workload.profile(profile).hyperparameters.values())
    return tuple(pattern.pattern for pattern in (*workload.patterns.values(), *applied) if pattern is not None)


def check_work(started: StartedLoad) -> None:
    """Check the last completed round of a registered load, and add remarks on it to the load's report.

    Call this after the window: reading a log uses the CPU. Of a load without a completed round, only the values that
    its present round has applied so far are compared.

    Raises:
        LoadError: the round ended with exit code 0, but did not report the metrics without which it has failed.
    """
    from ..load.rounds_seen import completed_rounds
    from ..training.checkout_changes import checkout_remark
    from ..training.foreground import missing_metrics

    load, workload = started.load, started.workload
    status = load.status()
    if workload is None or status is None or not status.round:
        return
    completed = completed_rounds(status)
    number = completed[-1] if completed else status.round
    reading = _reading(started, workload, number)
    if (remark := checkout_remark(workload.path, started.began_s, load.log_dir)) is not None:
        load.remarks.append(remark)
    missing = missing_metrics(workload, reading.metrics) if completed else None
    log = load.log_dir / f"round-{number}.log"
    load.remarks += [
        f"round {number}: {flag}" for flag in reading.flags if completed or flag.partition(": asked for ")[1]
    ]
    if missing is not None and load.settings.coverage_min_ratio:
        raise LoadError(
            f"the background load {load.name!r} did not train: round {number} ended with exit code 0, but {missing}; "
            f"--energy-coverage-min=0 allows it. Its log {log} ends with:\n{log_end(log) or '(nothing)'}"
        )


def _reading(started: StartedLoad, workload: Workload, number: int) -> LogReading:
    from ..training.foreground import read_log

    load = started.load
    fitted = {} if load.settings.batch is None else {"batch_size": None}  # another one in each round
    values = {**started.hyperparameters, **fitted}
    outputs = (load.settings.template or load.log_dir / "outputs" / "template").parent / f"round-{number}"
    return read_log(load.log_dir / f"round-{number}.log", outputs, workload, values, started.profile)
