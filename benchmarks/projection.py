"""Check projections of full trainings against the trainings themselves: the reference workloads, run to their end.

    python benchmarks/projection.py --epochs 12 --prefixes 3 4 6

Each training runs once for all its epochs. Its first epochs alone then project the whole, and this is compared
with what the whole really used. Both come from the same sensor in the same run, so that the error of the meter cancels
and the interval is that of the projection alone. On a machine without counters the joules are estimates.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from pytest_parallel_energy import EnergyMeter
from pytest_parallel_energy.records.energy_values import WindowResult
from pytest_parallel_energy.records.record import Record, Status
from pytest_parallel_energy.run.progress_parts import progress_parts
from pytest_parallel_energy.statistics.projection import project
from pytest_parallel_energy.training.foreground import Training, read_training, run_training
from pytest_parallel_energy.training.registry import load_registry
from pytest_parallel_energy.training.workload import Workload

REGISTRY = Path(__file__).parents[1] / "experiments" / "workloads.json"
WORKLOADS = ("examples/mnist", "VulBERTa/mlp", "pytorch_resnet_cifar10/resnet20", "MRT-OAST/default")


class Check(NamedTuple):
    """One projection and what the training really used."""

    prefix: int
    stable: int
    projected_j: float
    u95_j: float
    real_j: float

    @property
    def error_ratio(self) -> float:
        """Error of the projection, relative to what was used."""
        return self.projected_j / self.real_j - 1

    @property
    def is_inside(self) -> bool:
        """Whether the interval of the projection holds what was used."""
        return abs(self.projected_j - self.real_j) <= self.u95_j


def train(workload: Workload, epochs: int, threads: int) -> Record:
    """Run a training to its end in a window, and return the part of its record that a projection needs.

    Raises:
        TrainingError: it failed.
    """
    values = workload.values("quick", epochs=epochs)
    with tempfile.TemporaryDirectory() as folder, EnergyMeter(interval_s=0.1) as meter:
        training = Training(workload=workload, values=values, threads=threads, profile="quick")
        with meter.window("test", edges=True) as window:
            ended = run_training(training, Path(folder))
        result = read_training(ended)
        result.raise_for_status()
        parts = progress_parts(workload, values, result, window)
        return Record(
            record_id="x", run_id="x", nodeid="x", cell="x", status=Status.PASSED, started_at="", duration_s=0.0,
            energy=window.result, **parts,
        )  # fmt: skip


def checks(record: Record, prefixes: list[int]) -> list[Check]:
    """Return the projections from the first epochs, as if the training had ended after them."""
    found = []
    rest_j = (record.energy.total_j or 0.0) - sum(epoch.joules or 0.0 for epoch in record.epochs)
    for prefix in prefixes:
        epochs = record.epochs[:prefix]
        total_j = rest_j + sum(epoch.joules or 0.0 for epoch in epochs)
        energy = WindowResult(window_s=epochs[-1].start_s + epochs[-1].seconds, total_j=total_j, total_u95_j=0.0)
        projection = project(replace(record, epochs=epochs, energy=energy), len(record.epochs))
        if projection is not None and projection.energy.value is not None:
            found.append(
                Check(
                    prefix=prefix,
                    stable=projection.stable,
                    projected_j=projection.energy.value,
                    u95_j=projection.energy.u95 or 0.0,
                    real_j=record.energy.total_j or 0.0,
                )
            )
    return found


def main() -> None:
    """Train, and print one row per projection."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=12, help="epochs of each whole training (default: 12)")
    parser.add_argument("--prefixes", type=int, nargs="+", default=[3, 4, 6], help="epochs to project from")
    parser.add_argument("--workloads", nargs="+", default=list(WORKLOADS), metavar="NAME")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    registry = load_registry([REGISTRY])
    print("| workload | from epochs | stable | projected | used | error | inside |")
    print("|---|--:|--:|--:|--:|--:|---|")
    for name in options.workloads:
        record = train(registry.workload(name), options.epochs, options.threads)
        for check in checks(record, options.prefixes):
            print(
                f"| {name} | {check.prefix} of {len(record.epochs)} | {check.stable} "
                f"| {check.projected_j:.0f} ± {check.u95_j:.0f} J | {check.real_j:.0f} J "
                f"| {check.error_ratio:+.1%} | {'yes' if check.is_inside else 'no'} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
