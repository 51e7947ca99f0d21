"""Repair of a run's records: its logs are read again, with the patterns that the registries have now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ..errors import ParallelEnergyError, RecordError
from ..records.record import Record, Status, WorkloadPart
from ..records.record_paths import path_inside
from ..records.store import RunStore
from .record_parts import finite_or_none

if TYPE_CHECKING:
    from ..training.registry import Registry
    from ..training.workload import Workload

__all__ = ["reread_run"]

_WITHOUT_METRICS = "exit code 0, but it "
_REPAIRED = "its log was read again with other patterns and has its metrics now; the rest of the test did not run"
_LOST = "its log was read again with other patterns, and a metric without which it fails is missing now"


def reread_run(folder: Path, registry: Registry) -> list[str]:
    """Read the logs of all trainings of a run again, and replace the records that change.

    Metrics, applied values and the remarks on both are replaced. An attempt that had failed only because its log did
    not show its metrics has passed if it does now, with a remark.

    Args:
        folder: of the run, which no session may be using.
        registry: the workloads, with corrected patterns.

    Returns:
        One line per training that changed or could not be read, and a last one that counts them.

    Raises:
        RecordError: another session uses the run, or it cannot be read or written.
    """
    store = RunStore.resume(folder, becomes_latest=False)
    lines, changed, trainings = [], 0, 0
    try:
        for record in store.resumed:
            if record.workload is None or record.workload.log is None:
                continue
            trainings += 1
            try:
                repaired = _repaired(record, record.workload, store.folder, registry)
            except ParallelEnergyError as error:
                lines.append(f"{record.nodeid}: left as it is: {error}")
                continue
            if repaired != record:
                store.append(repaired)
                changed += 1
                lines += [f"{record.nodeid}: {sentence}" for sentence in _changes(record, repaired)]
    finally:
        store.release()
    return [*lines, f"{changed} of {trainings} trainings of {folder.name} changed"]


def _repaired(record: Record, part: WorkloadPart, folder: Path, registry: Registry) -> Record:
    from ..training.foreground import missing_metrics, read_log

    workload = registry.get(f"{part.repository}/{part.model}")
    log = path_inside(folder, part.log or "")
    if not log.is_file():
        raise RecordError(f"there is no log {log}")
    reading = read_log(log, log.parent / "outputs", workload, part.hyperparameters, part.profile)
    kept = _of_files(part, workload, log)
    metrics = {**kept, **finite_or_none(reading.metrics)}
    flags = tuple(flag for flag in part.flags if not _is_of_reading(flag, part, workload))
    read_flags = tuple(flag for flag in reading.flags if flag.partition(":")[0] not in kept)
    again = replace(
        part,
        metrics=metrics,
        series=dict(reading.series),
        applied=dict(reading.applied),
        better=dict(workload.better),
        flags=(*read_flags, *flags),
    )
    return _judged(replace(record, workload=again), missing_metrics(workload, _known(metrics)))


def _known(metrics: dict[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if value is not None}


def _of_files(part: WorkloadPart, workload: Workload, log: Path) -> dict[str, float | None]:
    """Return the metrics of files that were removed after the test: they cannot be read again."""
    gone = not (log.parent / "outputs").is_dir()
    return {name: value for name, value in part.metrics.items() if gone and name in workload.metric_files}


def _is_of_reading(flag: str, part: WorkloadPart, workload: Workload) -> bool:
    """Return whether a remark came from the reading of the log, which makes its remarks anew."""
    names = {*part.metrics, *workload.patterns, *workload.metric_files, *part.hyperparameters}
    return flag.partition(":")[0] in names or flag.startswith(("the log ", "only the first ", _LOST))


def _judged(record: Record, missing: str | None) -> Record:
    part = record.workload
    if part is None:
        return record
    failed_without = record.status is Status.FAILED and _WITHOUT_METRICS in (record.reason or "")
    if failed_without and missing is None:
        return replace(
            record, status=Status.PASSED, reason=None, workload=replace(part, flags=(*part.flags, _REPAIRED))
        )
    if record.status is Status.PASSED and missing is not None:
        return replace(record, workload=replace(part, flags=(*part.flags, _LOST)))
    return record


def _changes(before: Record, after: Record) -> Iterator[str]:
    if before.status is not after.status:
        yield f"{before.status} is now {after.status}"
    old, new = (record.workload.metrics if record.workload else {} for record in (before, after))
    for name in {**old, **new}:
        if old.get(name) != new.get(name):
            yield f"{name} {_shown(old.get(name))} is now {_shown(new.get(name))}"


def _shown(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g}"
