"""What keeping, comparing and reporting records costs, and how it grows.

Run it by hand::

    python benchmarks/results.py            # 1 000, 10 000 and 100 000 records
    python benchmarks/results.py --most 10000

Each step runs in a process of its own, so that its peak of memory is its own. The limits are the design's: compare and
report of 100 000 records in 10 s and 1 GiB, at a cost that grows in step with the records.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pytest_parallel_energy.records.record import (
    DomainEnergy,
    HostPart,
    LoadReport,
    Quality,
    Record,
    Status,
    WindowResult,
    WorkloadPart,
)

REPEATS = 10
"""Records of one cell."""
APPENDS = 300
LIMIT_S = 10.0
LIMIT_BYTES = 2**30


def records(count: int, factor: float = 1.0) -> Iterator[Record]:
    """``count`` records as a sweep beside a load leaves them, ten a cell."""
    host = HostPart(machine_id="2b7c9a52fa101be4", hostname="alpha", cpu="EPYC 7763", sockets=2, threads=256)
    for number in range(count):
        cell, repetition = divmod(number, REPEATS)
        joules = (1000.0 + cell % 97) * factor * (1 + ((number * 7919) % 101 - 50) / 5000)
        yield Record(
            record_id=f"{factor}-{number}",
            run_id="run",
            nodeid=f"experiments/test_resnet.py::test_resnet20[lr={cell}-bg=VulBERTa/mlp-rep{repetition}]",
            cell=f"{cell:012x}",
            repetition=repetition,
            status=Status.PASSED,
            started_at="2026-01-02T03:04:05+00:00",
            duration_s=62.0,
            workload=workload(cell, repetition),
            energy=energy(joules),
            background=(LoadReport(name="VulBERTa/mlp", rounds_completed=12, coverage_ratio=0.98),),
            host=host,
        )


def workload(cell: int, repetition: int) -> WorkloadPart:
    """One training."""
    return WorkloadPart(
        repository="pytorch_resnet_cifar10",
        model="resnet20",
        profile="quick",
        hyperparameters={"learning_rate": 1e-4 * (cell + 1), "epochs": 2, "batch_size": 128, "weight_decay": 1e-4},
        mutated=("learning_rate",),
        command=("python", "trainer.py", "--lr", str(cell), "--epochs", "2"),
        environment={"OMP_NUM_THREADS": "8", "MKL_NUM_THREADS": "8", "OMP_WAIT_POLICY": "PASSIVE"},
        log=f"experiments/{cell:012x}-rep{repetition}/training.log",
        metrics={"test_accuracy": 0.4 + cell % 50 / 100, "train_loss": 1.2},
    )


def energy(joules: float) -> WindowResult:
    """Two sockets."""
    domains = tuple(
        DomainEnergy(
            name=f"package-{socket}",
            kind="cpu",
            device=str(socket),
            joules=joules / 2,
            u95_j=joules * 0.02,
            quality=Quality.COUNTER,
            source="powercap",
            mean_w=joules / 124,
            update_interval_s=0.001,
            samples=64,
        )
        for socket in range(2)
    )
    return WindowResult(
        window_s=62.0, total_j=joules, total_u95_j=joules * 0.03, quality=Quality.COUNTER, boundary="CPU packages",
        cpu_j=joules, mean_w=joules / 62, domains=domains,
    )  # fmt: skip


def write(path: Path, count: int, factor: float) -> None:
    """A file of records, quickly: without a sync each."""
    from pytest_parallel_energy.records.codec import encode

    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.writelines(encode(record) + b"\n" for record in records(count, factor))


def compare(folder: Path) -> str:
    """Read two runs of half as many records each, compare them, write the JSON and the table."""
    from pytest_parallel_energy.records.reader import read_records
    from pytest_parallel_energy.reports.compare_text import comparison_json, comparison_lines
    from pytest_parallel_energy.statistics.compare import comparable, compare_runs
    from pytest_parallel_energy.statistics.quantities import parse_threshold

    old, new = (read_records(folder / name, comparable).records for name in ("old", "new"))
    found = compare_runs(("old", old), ("new", new), [parse_threshold("total_j:5%")])
    comparison_json([found])
    comparison_lines(found, width=120)
    return f"{len(found.rows)} cells, {len(found.regressions)} worse"


def report(folder: Path) -> str:
    """Read one run, write its HTML report."""
    from pytest_parallel_energy.reports.html.document import html_report
    from pytest_parallel_energy.reports.open_report import load_report

    return f"{len(html_report(load_report(folder / 'one'))) / 1e6:.1f} MB"


def summary(folder: Path) -> str:
    """Read one run, write ``summary.csv`` and the terminal's table."""
    from pytest_parallel_energy.records.reader import read_records
    from pytest_parallel_energy.reports.csv_table import summary_csv
    from pytest_parallel_energy.reports.terminal_table import render_table

    found = read_records(folder / "one").records
    render_table(found, width=120)
    return f"{len(summary_csv(found)) / 1e6:.1f} MB"


STEPS: dict[str, Callable[[Path], str]] = {"summary": summary, "compare": compare, "report": report}


def measured(step: str, folder: Path) -> tuple[float, int, str]:
    """CPU seconds, peak bytes and words of one step in a process of its own."""
    found = subprocess.run(
        [sys.executable, __file__, "--step", step, str(folder)], capture_output=True, text=True, check=True
    )
    seconds, peak, words = found.stdout.strip().split("\t")
    return float(seconds), int(peak), words


def run_step(step: str, folder: Path) -> None:
    """One step, and what it took: CPU seconds (of all threads, so that other work on the machine does not count)."""
    started = time.process_time()
    words = STEPS[step](folder)
    seconds = time.process_time() - started
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, words, sep="\t")


def appends(folder: Path) -> tuple[float, float]:
    """Median milliseconds of ``RunStore.append`` and of a bare write and fsync of the same bytes, taken in turns."""
    from pytest_parallel_energy.records.codec import encode
    from pytest_parallel_energy.records.store import RunStore

    store = RunStore.create(folder / "appended")
    bare = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    ours, theirs = [], []
    try:
        for record in records(APPENDS):
            started = time.perf_counter()
            store.append(record)
            between = time.perf_counter()
            line = encode(record) + b"\n"
            begun = time.perf_counter()
            os.write(bare, line)
            os.fsync(bare)
            theirs.append(time.perf_counter() - begun)
            ours.append(between - started)
    finally:
        os.close(bare)
        store.finish(0)
    return statistics.median(ours) * 1e3, statistics.median(theirs) * 1e3


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=100_000)
    parser.add_argument("--step", nargs=2, metavar=("STEP", "FOLDER"))
    options = parser.parse_args()
    if options.step:
        run_step(options.step[0], Path(options.step[1]))
        return
    with tempfile.TemporaryDirectory() as scratch:
        ours, theirs = appends(Path(scratch))
        print(f"append: {ours:.3f} ms, bare write and fsync: {theirs:.3f} ms, ratio {ours / theirs:.2f}")
        counts = [count for count in (1000, 10_000, 100_000) if count <= options.most]
        table(Path(scratch), counts)


def table(scratch: Path, counts: list[int]) -> None:
    """One row a number of records and step."""
    print(f"{'records':>9}  {'step':8}  {'CPU s':>7}  {'MiB':>6}  {'µs/record':>9}  result")
    for count in counts:
        folder = scratch / str(count)
        for name, part, factor in (("old", count // 2, 1.0), ("new", count // 2, 1.1), ("one", count, 1.0)):
            write(folder / name / "records.jsonl", part, factor)
        for step in STEPS:
            seconds, peak, words = measured(step, folder)
            limited = step in {"compare", "report"} and (seconds > LIMIT_S or peak > LIMIT_BYTES)
            over = "  ABOVE THE LIMIT" if limited else ""
            row = (
                f"{count:9}  {step:8}  {seconds:7.2f}  {peak / 2**20:6.0f}  {seconds / count * 1e6:9.0f}  {words}{over}"
            )
            print(row, flush=True)


if __name__ == "__main__":
    main()
