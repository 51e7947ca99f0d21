"""Measure the cost of a window: open and close on a powercap tree of three zones, against the bare preads it needs.

    python benchmarks/window.py

Budget: 21 µs, and within 4 times the bare reads. The tree lies on disk or in memory, where a pread costs about 0.3 µs;
on a real tree each read asks the hardware and costs 4-5 µs, so that the ratio is lower there.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pytest_parallel_energy import EnergyMeter
from pytest_parallel_energy.testing import PowercapTree


def us_per_call(work: Callable[[], object], calls: int) -> float:
    """Return the mean time of a call, microseconds."""
    started_ns = time.perf_counter_ns()
    for _ in range(calls):
        work()
    return (time.perf_counter_ns() - started_ns) / calls / 1000


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tree = PowercapTree(Path(folder))
        files = [os.open(tree.folder(zone.path) / "energy_uj", os.O_RDONLY) for zone in tree.zones]

        def bare() -> None:
            for _ in range(2):
                for fd in files:
                    int(os.pread(fd, 32, 0))

        with EnergyMeter("powercap", sysfs_root=tree.root) as meter:

            def window() -> None:
                meter.begin().close()

            def with_result() -> None:
                meter.begin().end()

            works = {"bare preads": bare, "open and close": window, "… and the result": with_result}
            # by turns, so that a busy moment of the machine falls on all of them
            rounds = [
                {name: us_per_call(work, options.calls) for name, work in works.items()} for _ in range(options.rounds)
            ]
        for fd in files:
            os.close(fd)
    print("median of rounds; the ratio is to the bare preads of the same round")
    for name in works:
        cost_us = statistics.median(costs_us[name] for costs_us in rounds)
        ratio = statistics.median(costs_us[name] / costs_us["bare preads"] for costs_us in rounds)
        print(f"{name:18} {cost_us:8.2f} µs {ratio:6.2f} ×")


if __name__ == "__main__":
    main()
