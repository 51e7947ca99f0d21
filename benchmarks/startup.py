"""Measure what the unused plugin costs a suite: pytest with it and with ``-p no:parallel_energy``, in turn.

    python benchmarks/startup.py [--pairs 20]

Three cases, each a whole pytest process with one empty test: with cached byte code, as on a developer's machine; with
PYTHONDONTWRITEBYTECODE=1, as in most container images, where an installed package has the byte code of its installer;
and the same without any byte code of this package. The order within a pair alternates. The last table is the start-up
of the command line, ``pytest-parallel-energy --version``, against ``python -c pass``. Limits: 5 ms of CPU with cached
byte code, 15 ms otherwise (docs/performance.md).
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "pytest_parallel_energy"
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
WITHOUT = (*PYTEST, "-p", "no:parallel_energy")

Times = tuple[float, float]
"""Wall and CPU seconds."""


def run_s(folder: Path, environment: Mapping[str, str], arguments: Sequence[str]) -> Times:
    """Run one Python process and return its times."""
    before, started_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, check=True, capture_output=True)
    wall_s, after = time.perf_counter() - started_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run_pairs(
    folder: Path, environment: Mapping[str, str], commands: tuple[Sequence[str], Sequence[str]], pairs: int
) -> list[tuple[Times, Times]]:
    """Run both commands alternately; the first pair warms up and is left out."""
    timed = []
    for number in range(pairs + 1):
        if number % 2:
            second, first = (run_s(folder, environment, command) for command in reversed(commands))
        else:
            first, second = (run_s(folder, environment, command) for command in commands)
        timed.append((first, second))
    return timed[1:]


def print_table(title: str, timed: Sequence[tuple[Times, Times]]) -> None:
    """Print medians, and median and quartiles of the differences pair by pair, in milliseconds."""
    print(f"{title}\n        with it  without  difference, pair by pair (quartiles)")
    for index, name in enumerate(("wall", "CPU")):
        first, second = ([pair[side][index] * 1e3 for pair in timed] for side in (0, 1))
        low, middle, high = statistics.quantiles([a - b for a, b in zip(first, second, strict=True)], n=4)
        print(
            f"  {name:4}  {statistics.median(first):7.1f}  {statistics.median(second):7.1f}"
            f"  {middle:+7.1f}  ({low:+.1f} to {high:+.1f})"
        )


def main() -> None:
    """Print the four tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20, help="pairs of processes per table (default: %(default)s)")
    pairs = parser.parse_args().pairs
    if not any(point.name == "parallel_energy" for point in metadata.entry_points(group="pytest11")):
        parser.error("the package is not installed, so that pytest would not load the plugin: pip install -e .")
    cached = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "test_one.py").write_text("def test_one():\n    pass\n")
        print(f"{pairs} pairs of processes, one empty test each, medians in milliseconds")
        print_table("with cached byte code", run_pairs(folder, cached, (PYTEST, WITHOUT), pairs))
        installed = {**cached, "PYTHONDONTWRITEBYTECODE": "1"}
        print_table("with the byte code of the installer alone", run_pairs(folder, installed, (PYTEST, WITHOUT), pairs))
        # A copy without byte code, found first; the installed one may have been run and cached before.
        bare = folder / "bare"
        shutil.copytree(PACKAGE, bare / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
        uncached = {**cached, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(bare)}
        print_table("without byte code of the plugin", run_pairs(folder, uncached, (PYTEST, WITHOUT), pairs))
        commands = (("-m", "pytest_parallel_energy", "--version"), ("-c", "pass"))
        here = {**cached, "PYTHONPATH": str(PACKAGE.parent)}
        print_table("command line --version, against an empty program", run_pairs(folder, here, commands, pairs))


if __name__ == "__main__":
    main()
