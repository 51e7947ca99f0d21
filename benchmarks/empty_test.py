"""What a measured test costs above a bare one: the same empty bodies with and without the meter, in turn.

    python benchmarks/empty_test.py [--pairs 5] [--tests 200]

Each measured test's record is appended and synced, so the cost of one fsync on the same disk is printed beside it.
The limit is 0.35 ms and one fsync above the bare test (docs/performance.md).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

QUIET = ("-q", "-p", "no:cacheprovider")


def suite(tests: int, argument: str) -> str:
    """Source of a suite of empty tests."""
    return "".join(f"def test_{number}({argument}):\n    pass\n\n\n" for number in range(tests))


def run_s(folder: Path) -> float:
    """Wall seconds of one whole pytest process."""
    started_s = time.perf_counter()
    subprocess.run([sys.executable, "-m", "pytest", *QUIET], cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started_s


def fsync_s(folder: Path, times: int = 100) -> float:
    """Median seconds of a short append with its sync."""
    taken = []
    with (folder / "synced").open("ab", buffering=0) as file:
        for _ in range(times):
            started_s = time.perf_counter()
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - started_s)
    return statistics.median(taken)


def per_test_ms(folder: Path, argument: str, tests: int, pairs: int) -> float:
    """Median milliseconds a test: suites of ``tests`` and of one test, so that the start-up cancels."""
    differences = []
    for _ in range(pairs):
        (folder / "test_suite.py").write_text(suite(tests + 1, argument))
        many_s = run_s(folder)
        (folder / "test_suite.py").write_text(suite(1, argument))
        differences.append(many_s - run_s(folder))
    return statistics.median(differences) / tests * 1e3


def main() -> None:
    """Print the cost of a test, bare and measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--tests", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        bare_ms = per_test_ms(folder, "", options.tests, options.pairs)
        measured_ms = per_test_ms(folder, "energy_meter", options.tests, options.pairs)
        sync_ms = fsync_s(folder) * 1e3
    print(f"{options.tests} empty tests, medians of {options.pairs} pairs:")
    print(f"  bare test                    {bare_ms:6.2f} ms")
    print(f"  with energy_meter            {measured_ms:6.2f} ms")
    print(f"  above the bare test          {measured_ms - bare_ms:6.2f} ms")
    print(f"  one append and fsync (4 KiB) {sync_ms:6.2f} ms")


if __name__ == "__main__":
    main()
