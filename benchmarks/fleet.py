"""What several hosts cost: idle hosts during a sweep, the host lock, a record's way to the controller, and merging.

Run it by hand::

    python benchmarks/fleet.py              # all parts, about 4 minutes
    python benchmarks/fleet.py --part merge --most 10000

A host is a gateway of pytest-xdist with a host lock of its own; its cells sleep, so that two cores can play four hosts.
The efficiency of k hosts is T1 / (k * Tk), T from the first test's start to the last one's end; with the start of the
workers, which takes seconds whatever the cells last, it is given in brackets. The goal is 95 %.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pytest_parallel_energy.host.lock import HostLock
from pytest_parallel_energy.records.codec import decode, encode

sys.path.insert(0, str(Path(__file__).parent))
from results import records  # the records that a sweep leaves

ROOT = Path(__file__).parents[1]
CELL_S = 2.0
CELLS = 24
HOSTS = (1, 2, 4)
REPEATS = 300
TEST = """
import time
import pytest

@pytest.mark.parametrize("cell", range({cells}))
def test_cell(cell, energy_meter):
    time.sleep({cell_s})
"""


def gateway(folder: Path, number: int) -> Path:
    """Write the program that starts Python on host ``number``."""
    locks = folder / f"locks-{number}"
    locks.mkdir(exist_ok=True)
    program = folder / f"host-{number}"
    program.write_text(f'#!/bin/sh\nPYTEST_ENERGY_HOST_LOCK_DIR={locks} exec {sys.executable} "$@"\n')
    program.chmod(0o755)
    return program


def sweep(folder: Path, hosts: int) -> tuple[float, float]:
    """Run the sweep on some hosts; return the seconds from first to last test, and of the whole session."""
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\nenergy_idle = 0\n")
    (folder / "test_cells.py").write_text(TEST.format(cells=CELLS, cell_s=CELL_S))
    workers = [word for number in range(hosts) for word in ("--tx", f"popen//python={gateway(folder, number)}")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_ENERGY_SENSORS": "estimate"}
    began_s = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--dist=load", *workers, f"--energy-dir=results-{hosts}"],
        cwd=folder,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    whole_s = time.monotonic() - began_s
    lines = (folder / f"results-{hosts}" / "latest" / "records.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    starts_s = [dt.datetime.fromisoformat(record["started_at"]).timestamp() for record in found]
    ends_s = [start_s + record["duration_s"] for start_s, record in zip(starts_s, found, strict=True)]
    return max(ends_s) - min(starts_s), whole_s


def efficiency() -> None:
    """Print the efficiency of each number of hosts."""
    with tempfile.TemporaryDirectory() as name:
        alone_s, alone_whole_s = sweep(Path(name), 1)
        for hosts in HOSTS[1:]:
            span_s, whole_s = sweep(Path(name), hosts)
            share, whole = alone_s / (hosts * span_s), alone_whole_s / (hosts * whole_s)
            print(f"{hosts} hosts, {CELLS} cells of {CELL_S:g} s: efficiency {share:.1%} (with the start {whole:.1%})")


def lock() -> None:
    """Print what taking and giving back a free host lock costs."""
    with tempfile.TemporaryDirectory() as name:
        times_us = []
        for _ in range(REPEATS):
            began_ns = time.perf_counter_ns()
            with HostLock(folder=Path(name)):
                pass
            times_us.append((time.perf_counter_ns() - began_ns) / 1000)
    print(f"host lock, taken and given back: median {statistics.median(times_us):.0f} us of {REPEATS}")


def way_back() -> None:
    """Print what the encoding of a record in the worker and its decoding in the controller cost."""
    record = next(iter(records(1)))
    times_us = []
    for _ in range(REPEATS):
        began_ns = time.perf_counter_ns()
        size = len(text := encode(record).decode())
        decode(text.encode())
        times_us.append((time.perf_counter_ns() - began_ns) / 1000)
    print(f"a record of {size} bytes to text and back: median {statistics.median(times_us):.0f} us of {REPEATS}")


def merge(most: int) -> None:
    """Print time and memory of merging, for growing numbers of records from 100 hosts."""
    count = 1000
    while count <= most:
        with tempfile.TemporaryDirectory() as name:
            folders = [Path(name) / f"host-{number}" / "run" for number in range(100)]
            for folder in folders:
                folder.mkdir(parents=True)
            lines = [encode(record) + b"\n" for record in records(count)]
            for number, folder in enumerate(folders):
                (folder / "records.jsonl").write_bytes(b"".join(lines[number :: len(folders)]))
            command = [sys.executable, "-m", "pytest_parallel_energy", "merge", name, "-o", f"{name}/all.jsonl"]
            seconds, peak = measured(command)
            size = (Path(name) / "all.jsonl").stat().st_size
        print(
            f"merge of {count:7,} records of 100 hosts, {size / 2**20:6.1f} MiB: {seconds:6.2f} s, "
            f"{1e6 * seconds / count:5.0f} us per record, peak {peak / 2**20:4.0f} MiB (limits at 100,000: 10 s, 1024)"
        )
        count *= 10


def measured(command: list[str]) -> tuple[float, int]:
    """Run a command; return its seconds and its peak of memory in bytes."""
    began_s = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": str(ROOT)})
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return time.monotonic() - began_s, usage.ru_maxrss * 1024


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["efficiency", "lock", "way-back", "merge"], help="one part only")
    parser.add_argument("--most", type=int, default=100_000, help="records of the largest merge (default: %(default)s)")
    options = parser.parse_args()
    parts: dict[str, Callable[[], None]] = {
        "efficiency": efficiency,
        "lock": lock,
        "way-back": way_back,
        "merge": lambda: merge(options.most),
    }
    for name, part in parts.items():
        if options.part in {None, name}:
            part()


if __name__ == "__main__":
    main()
