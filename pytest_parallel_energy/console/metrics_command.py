"""``pytest-parallel-energy metrics``: what a registry's patterns find in a log."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from .ini_models import ini_models

if TYPE_CHECKING:
    from ..training.metrics import LogReading
    from ..training.workload import Workload

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the subcommand."""
    parser.description = """\
Show which metrics and applied values a registry finds in the log of a training and in its output folder. Use it to
write and correct patterns; 'pytest --energy-reread=RUN' then repairs the records of a run.
The exit status is 1 when a metric without which a run has failed is missing."""
    parser.epilog = """\
examples:
  pytest-parallel-energy metrics run.log --workload my-repository/default --models workloads.json
  pytest-parallel-energy metrics energy-results/latest/experiments/NAME --workload my-repository/default"""
    parser.add_argument("log", metavar="LOG", help="a log, or the folder of an experiment")
    parser.add_argument("--workload", required=True, metavar="NAME", help="the workload, repository/model")
    parser.add_argument(
        "--models",
        action="append",
        default=[],
        metavar="FILE",
        help="registry of workloads; repeatable (default: energy_models of pytest's ini file)",
    )
    parser.add_argument("--outputs", metavar="DIR", help="output folder of the training (default: outputs/ by the log)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print what the patterns find."""
    from ..training.foreground import missing_metrics, read_log
    from ..training.registry import load_registry

    models = tuple(options.models) or ini_models(Path.cwd())
    workload = load_registry(tuple(map(Path, models))).get(options.workload)
    log = Path(options.log)
    log = log / "training.log" if log.is_dir() else log
    if not log.is_file():
        raise ConfigError(f"there is no log {log}; name the log of a training, or the folder of an experiment")
    outputs = Path(options.outputs) if options.outputs else log.parent / "outputs"
    reading = read_log(log, outputs, workload, dict.fromkeys(workload.hyperparameters))
    missing = missing_metrics(workload, reading.metrics)
    found = {"metrics": dict(reading.metrics), "applied": dict(reading.applied), "remarks": list(reading.flags)}
    print(json.dumps({**found, "missing": missing}) if options.json else _text(workload, reading, missing))  # noqa: T201
    return 0 if missing is None else 1


def _text(workload: Workload, reading: LogReading, missing: str | None) -> str:
    wanted: dict[str, Any] = dict.fromkeys((*workload.patterns, *workload.metric_files))
    lines = [f"{name} = {value!r}" for name, value in {**wanted, **reading.metrics}.items() if value is not None]
    lines += [f"{name}: nothing found" for name in wanted if name not in reading.metrics]
    lines += [f"applied {name} = {value!r}" for name, value in reading.applied.items()]
    lines += [f"note: {flag}" for flag in reading.flags]
    return "\n".join(lines + ([] if missing is None else [f"a run with this log fails: {missing}"]))
