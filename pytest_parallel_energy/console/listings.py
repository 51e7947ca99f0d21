"""The subcommand ``list``, and ``pytest --energy-list``: workloads, sensors, columns."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ..plan.cells import PUBLISHED
from ..plan.settings import Settings
from .ini_models import ini_models

if TYPE_CHECKING:
    from ..training.workload import Workload

__all__ = ["configure", "listing", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand to its parser."""
    parser.description = """\
List the registered workloads with their hyperparameters (default), the sensors that work on this machine with
the reasons why others do not, or the columns of summary.csv."""
    parser.epilog = """\
examples:
  pytest-parallel-energy list --models experiments/workloads.json
  pytest-parallel-energy list sensors"""
    parser.add_argument(
        "what",
        nargs="?",
        choices=("workloads", "sensors", "columns"),
        default="workloads",
        help="what to list (default: %(default)s)",
    )
    parser.add_argument(
        "--models",
        action="append",
        default=[],
        metavar="FILE",
        help="registry of workloads, or 'reference' for the reference workloads; repeatable (default: energy_models of "
        "pytest's ini file, else the reference workloads)",
    )


def run(options: argparse.Namespace) -> int:
    """Print the list."""
    models = tuple(options.models) or (ini_models(Path.cwd()) if options.what == "workloads" else ())
    settings = replace(Settings(), models=tuple(map(Path, models)))
    print("\n".join(listing(settings, options.what)))  # noqa: T201 - the answer itself
    return 0


def listing(settings: Settings, what: str) -> list[str]:
    """Return the lines of one list: ``workloads``, ``sensors`` or ``columns``.

    Raises:
        ConfigError: a registry cannot be read, or ``settings.sensors`` has an unknown name.
    """
    return {"sensors": _sensor_lines, "columns": _column_names, "workloads": _workloads}[what](settings)


def _workloads(settings: Settings) -> list[str]:
    from ..training.registry import load_registry

    registry = load_registry(settings.models)
    if not registry.names():
        return ["no workloads are registered: name a registry with --models FILE (pytest: --energy-models=FILE)"]
    lines = []
    for name in registry.names():
        lines += ["", *_workload_lines(registry.workload(name))]
    return lines[1:]


def _workload_lines(workload: Workload) -> list[str]:
    profiles = ", ".join([PUBLISHED, *workload.profiles])
    rows = [("hyperparameter", "default", "drawn from")]
    rows += [
        (name, "–" if parameter.default is None else str(parameter.default), str(parameter.distribution or "–"))
        for name, parameter in workload.hyperparameters.items()
    ]
    metrics = ", ".join(workload.patterns) or "–"
    return [f"{workload.name}   profiles: {profiles}   metrics: {metrics}", *_table(rows, indent="  ")]


def _column_names(_settings: Settings) -> list[str]:
    """Return the columns that an attempt with one hyperparameter, metric, label and load has."""
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


def _sensor_lines(settings: Settings) -> list[str]:
    from ..energy.sensors.probe import probe_sensors

    probe = probe_sensors(settings.sensors, sysfs_root=Path(settings.sysfs_root))
    rows = [("sensor", "kind", "source", "quality", "covers")]
    for sensor in probe.found:
        about = sensor.description
        rows.append((about.name, about.kind, about.source, str(about.quality), about.covers))
        sensor.close()
    lines = _table(rows) if probe.found else ["no sensor works on this machine"]
    for refusal in probe.refused:
        remedy = f"; {refusal.remedy}" if refusal.remedy else ""
        lines.append(f"not {refusal.name}: {refusal.reason}{remedy}")
    return lines


def _table(rows: Sequence[tuple[str, ...]], indent: str = "") -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        indent + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
