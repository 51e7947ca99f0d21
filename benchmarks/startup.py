"""What the plugin costs a suite that does not use it: pytest with it against ``-p no:parallel_energy``, in turn.

    python benchmarks/startup.py [--pairs 20]

The package must be installed, so that pytest loads the plugin by itself. The limit is 5 ms (DESIGN, budgets).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SUITE = "".join(f"def test_{number}():\n    pass\n\n\n" for number in range(10))
QUIET = ("-q", "-p", "no:cacheprovider")


def run_s(folder: Path, *options: str) -> float:
    """Wall seconds of one whole pytest process over the suite."""
    started_s = time.perf_counter()
    subprocess.run([sys.executable, "-m", "pytest", *QUIET, *options], cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started_s


def main() -> None:
    """Print the medians, and the median of the differences pair by pair."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    pairs = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "test_suite.py").write_text(SUITE)
        timed = [(run_s(folder), run_s(folder, "-p", "no:parallel_energy")) for _ in range(pairs + 1)][1:]
    with_plugin, without = zip(*timed, strict=True)
    differences = sorted(one - other for one, other in timed)
    print(f"{pairs} pairs, 10 empty tests each, whole processes, medians:")
    print(f"  with the plugin, unused   {statistics.median(with_plugin) * 1e3:7.1f} ms")
    print(f"  -p no:parallel_energy     {statistics.median(without) * 1e3:7.1f} ms")
    quarter = len(differences) // 4
    print(
        f"  difference, pair by pair  {statistics.median(differences) * 1e3:7.1f} ms"
        f"  (quartiles {differences[quarter] * 1e3:.1f} to {differences[-quarter - 1] * 1e3:.1f}; limit 5 ms)"
    )


if __name__ == "__main__":
    main()
