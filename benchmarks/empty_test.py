"""The cost of a measured test above a bare one: the same empty bodies with and without the meter, in turn.

    python benchmarks/empty_test.py [--pairs 5] [--tests 200]

With the estimate, and with counters (a powercap tree whose counters change every millisecond). Each measured test
appends one synced line and each window waits for counter edges, so the cost of one fsync on the same disk and of the
edges is printed as well. Limits: 1 ms and one fsync per test with the estimate; 2 ms, one fsync and the edges with
counters; 200 ms per session.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from pytest_parallel_energy.energy.meter import EnergyMeter
from pytest_parallel_energy.testing import PowercapTree

QUIET = ("-q", "-p", "no:cacheprovider")
ESTIMATE: Mapping[str, str] = {"PYTEST_ENERGY_SENSORS": "estimate"}


def suite(tests: int, argument: str) -> str:
    """Return the source of a suite of empty tests."""
    return "".join(f"def test_{number}({argument}):\n    pass\n\n\n" for number in range(tests))


def run_s(folder: Path, environment: Mapping[str, str]) -> float:
    """Return the wall seconds of one whole pytest process."""
    command = [sys.executable, "-m", "pytest", *QUIET]
    started_s = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env={**os.environ, **environment})
    return time.perf_counter() - started_s


def fsync_s(folder: Path, times: int = 100) -> float:
    """Return the median seconds of a short append with its sync."""
    taken = []
    with (folder / "synced").open("ab", buffering=0) as file:
        for _ in range(times):
            started_s = time.perf_counter()
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - started_s)
    return statistics.median(taken)


def edges_s(sysfs_root: Path, times: int = 100) -> float:
    """Return the median seconds that an empty window on counter edges takes longer than one without."""
    taken: dict[bool, list[float]] = {False: [], True: []}
    with EnergyMeter("powercap", sysfs_root=sysfs_root) as meter:
        for _ in range(times):
            for edges in (False, True):
                started_s = time.perf_counter()
                meter.begin(edges=edges).close()
                taken[edges].append(time.perf_counter() - started_s)
    return statistics.median(taken[True]) - statistics.median(taken[False])


def costs_ms(folder: Path, pairs: int, tests: int, environment: Mapping[str, str]) -> tuple[float, float]:
    """Return the median milliseconds per test and per session that measuring adds to a bare suite."""
    per_test, per_session = [], []
    for _ in range(pairs):
        taken_s = {}
        for argument in ("", "energy_meter"):
            for number in (tests + 1, 1):
                (folder / "test_suite.py").write_text(suite(number, argument))
                taken_s[argument, number] = run_s(folder, environment)
        bare_s, measured_s = (
            (taken_s[argument, tests + 1] - taken_s[argument, 1]) / tests for argument in ("", "energy_meter")
        )
        per_test.append(measured_s - bare_s)
        per_session.append(taken_s["energy_meter", 1] - taken_s["", 1] - (measured_s - bare_s))
    return statistics.median(per_test) * 1e3, statistics.median(per_session) * 1e3


def main() -> None:
    """Print the cost per test and per session, with the estimate and with counters."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--tests", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder, sysfs_root = Path(scratch) / "suite", Path(scratch) / "sys"
        folder.mkdir()
        sysfs_root.mkdir()
        with PowercapTree(sysfs_root):
            edges_ms = edges_s(sysfs_root) * 1e3
            counters = {"PYTEST_ENERGY_SENSORS": "powercap", "PYTEST_ENERGY_SYSFS_ROOT": str(sysfs_root)}
            # no idle leg: it is seconds per session that the user chooses
            counters["PYTEST_ENERGY_IDLE"] = "0"
            by_sensor = {
                "estimate": costs_ms(folder, options.pairs, options.tests, ESTIMATE),
                "counters": costs_ms(folder, options.pairs, options.tests, counters),
            }
        sync_ms = fsync_s(folder) * 1e3
    print(f"{options.tests} empty tests above bare ones, medians of {options.pairs} pairs:")
    for sensor, (test_ms, session_ms) in by_sensor.items():
        print(f"  {sensor}: {test_ms:6.2f} ms per test, {session_ms:6.0f} ms per session")
    print(f"  one append and fsync (4 KiB): {sync_ms:6.2f} ms; edges of one window: {edges_ms:6.2f} ms")


if __name__ == "__main__":
    main()
