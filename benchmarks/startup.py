"""What the plugin costs a suite that does not use it: pytest with it against ``-p no:parallel_energy``, in turn.

    python benchmarks/startup.py [--pairs 20]

The package must be installed, so that pytest loads the plugin by itself. The limit is 5 ms (DESIGN, budgets).
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

SUITE = "".join(f"def test_{number}():\n    pass\n\n\n" for number in range(10))
QUIET = ("-q", "-p", "no:cacheprovider")


def run_s(folder: Path, *options: str) -> tuple[float, float]:
    """Wall and CPU seconds of one whole pytest process over the suite."""
    before, started_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-m", "pytest", *QUIET, *options], cwd=folder, check=True, capture_output=True)
    wall_s, after = time.perf_counter() - started_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def row(name: str, with_plugin: Sequence[float], without: Sequence[float]) -> str:
    """Medians of both, and of the differences pair by pair with their quartiles, milliseconds."""
    differences = sorted((one - other) * 1e3 for one, other in zip(with_plugin, without, strict=True))
    low, middle, high = statistics.quantiles(differences, n=4)
    return (
        f"  {name:4}  {statistics.median(with_plugin) * 1e3:7.1f}  {statistics.median(without) * 1e3:7.1f}"
        f"  {middle:+7.1f}  ({low:+.1f} to {high:+.1f})"
    )


def main() -> None:
    """Print the medians, and the median of the differences pair by pair."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    pairs = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "test_suite.py").write_text(SUITE)
        timed = [(run_s(folder), run_s(folder, "-p", "no:parallel_energy")) for _ in range(pairs + 1)][1:]
    print(f"{pairs} pairs, 10 empty tests each, whole processes, medians in ms; limit of the difference: 5 ms")
    print("        with it  without  difference, pair by pair (quartiles)")
    for index, name in enumerate(("wall", "CPU")):
        print(row(name, [one[index] for one, _ in timed], [other[index] for _, other in timed]))


if __name__ == "__main__":
    main()
