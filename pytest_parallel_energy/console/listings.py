"""What is printed instead of running: the doctor, the lists; and what is said before experiments run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..plan.cells import PUBLISHED
from ..run.session import refusals_in_words, sensors_in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..plan.settings import Settings
    from ..processes.leftovers import Leftover
    from ..run.session import Run
    from ..training.workload import Workload

__all__ = ["doctor", "header_lines", "listing", "sweep_lines"]


def doctor(settings: Settings) -> tuple[list[str], int]:
    """What can be measured here, why not, and what would mend it; and the exit status, 0 or 1."""
    from .doctor import diagnose

    diagnosis = diagnose(sysfs_root=Path(settings.sysfs_root), sensors=settings.sensors)
    return list(diagnosis.lines), diagnosis.exit_status


def listing(settings: Settings, what: str) -> list[str]:
    """The workloads, the sensors, or the columns of ``summary.csv``.

    Raises:
        ConfigError: a registry cannot be read, or ``--energy-sensors`` names a sensor that does not exist.
    """
    if what == "sensors":
        return _sensors(settings)
    if what == "columns":
        return _column_names()
    return _workloads(settings)


def _workloads(settings: Settings) -> list[str]:
    from ..training.registry import load_registry

    registry = load_registry(settings.models)
    if not registry.names():
        return ["no workloads: name a registry with --energy-models=FILE, or in the ini file as energy_models"]
    lines = []
    for name in registry.names():
        lines += ["", *_workload_lines(registry.workload(name))]
    return lines[1:]


def _workload_lines(workload: Workload) -> list[str]:
    profiles = ", ".join([PUBLISHED, *workload.profiles])
    rows = [("hyperparameter", "default", "drawn from")]
    rows += [
        (name, "–" if one.default is None else str(one.default), str(one.distribution or "–"))
        for name, one in workload.hyperparameters.items()
    ]
    metrics = ", ".join(workload.patterns) or "–"
    return [f"{workload.name}   profiles: {profiles}   metrics: {metrics}", *_columns(rows, indent="  ")]


def _column_names() -> list[str]:
    """The columns of ``summary.csv``: those of an attempt with one hyperparameter, metric, label and load."""
    from ..records.record import LoadReport, Record, Status, WorkloadPart
    from ..reports.csv_table import summary_table

    example = Record(
        record_id="",
        run_id="",
        nodeid="",
        cell="",
        status=Status.PASSED,
        started_at="",
        duration_s=0.0,
        labels={"NAME": ""},
        workload=WorkloadPart(repository="", model="", hyperparameters={"NAME": None}, metrics={"NAME": None}),
        background=(LoadReport(name="", hyperparameters={"NAME": None}),),
    )
    names, _ = summary_table([example])
    return list(names)


def _columns(rows: Sequence[tuple[str, ...]], indent: str = "") -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        indent + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _sensors(settings: Settings) -> list[str]:
    from ..energy.sensors.probe import probe_sensors

    probe = probe_sensors(settings.sensors, sysfs_root=Path(settings.sysfs_root))
    rows = [("sensor", "kind", "source", "quality", "covers")]
    for sensor in probe.found:
        about = sensor.description
        rows.append((about.name, about.kind, about.source, str(about.quality), about.covers))
        sensor.close()
    lines = _columns(rows) if probe.found else ["no sensor can be read here"]
    return lines + [_refusal_line(one.name, one.reason, one.remedy) for one in probe.refused]


def _refusal_line(name: str, reason: str, remedy: str) -> str:
    return f"not {name}: {reason}" + (f"; {remedy}" if remedy else "")


def header_lines(session: Run) -> list[str]:
    """What will measure, what was left out and why, which values are trained with, and where the results go."""
    lines = [f"energy: {text}" for text in sweep_lines(session.swept, session.unswept)]
    lines += [f"energy: {text}" for text in _measuring(session)]
    profile = session.settings.profile
    if profile and profile != PUBLISHED:
        lines.append(
            f"energy: hyperparameters of the profile {profile!r}, not the published ones "
            f"(--energy-profile={PUBLISHED} trains with those)"
        )
    lines.append(f"energy: {session.threads} CPU thread(s) for the training, alone and beside a load")
    lines.append(f"energy: results in {session.run_folder}")
    return lines


def sweep_lines(ended: Sequence[Leftover], left: Sequence[Leftover]) -> list[str]:
    """What was ended of the loads of dead sessions, and what could not be; empty when there was nothing."""
    lines = [
        f"warning: ended process {one.pid}, which the dead session {one.owner_pid} left behind: {one.command}"
        for one in ended
    ]
    return lines + [
        f"warning: process {one.pid} of the dead session {one.owner_pid} is still there and disturbs what is measured "
        f"(another user's? then: sudo pytest-parallel-energy kill-background): {one.command}"
        for one in left
    ]


def _measuring(session: Run) -> list[str]:
    lines = [f"sensor {text}" for text in sensors_in_words(session.open_meter())] or ["nothing can be measured here"]
    refusals = refusals_in_words(session.open_meter())
    lines += [f"  no {text}" for text in refusals]
    if refusals:
        lines.append("  --energy-doctor says what would mend that")
    return lines
