"""What a large sweep costs before it runs: collecting cells, and leaving out those that a resumed run has finished.

    python benchmarks/sweep.py [--cells 10000] [--repeats 3]

Against plain ``parametrize`` over as many floats, in turn, in whole processes that collect and run nothing. Growth is
the exponent ``b`` of ``CPU seconds ~ cells ** b`` above the same suite with one cell, between a tenth of the cells and
all of them: 1 is linear, 2 would be quadratic.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ENERGY = """
import pytest
from pytest_parallel_energy import log_uniform

@pytest.mark.mutate(x=log_uniform(1e-4, 1e-1), samples={cells})
def test_it(energy_meter):
    pass
"""
PLAIN = """
import random, pytest

rng = random.Random(0)

@pytest.mark.parametrize("x", [rng.random() for _ in range({cells})])
def test_it(x):
    pass
"""

# Writes the records of a run that has finished all cells but the last, as the cells are named in this very session.
FINISH = """
import datetime, uuid
from pathlib import Path

def pytest_collection_finish(session):
    from pytest_parallel_energy.records.codec import encode
    from pytest_parallel_energy.records.record import Record, Status
    from pytest_parallel_energy.records.store import RunStore

    from pytest_parallel_energy.plugin import items_of

    collection = items_of(session.config)
    host = collection.session.host
    store = RunStore.create(Path("energy-results").absolute())
    store.finish(2)
    with (store.folder / "records.jsonl").open("ab") as file:
        for item in session.items[:-1]:
            record = Record(
                record_id=uuid.uuid4().hex, run_id=store.run_id, nodeid=item.nodeid,
                cell=collection.cell_of(item).id, status=Status.PASSED, duration_s=1.0, host=host,
                started_at=datetime.datetime.now().astimezone().isoformat(),
            )
            file.write(encode(record) + b"\\n")
"""
PLUGIN = ("-p", "pytest_parallel_energy.plugin", "-p", "pytest_timeout")
COLLECT = ("-q", "-q", "-q", "--collect-only", "-p", "no:cacheprovider")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one whole process: CPU seconds (what else runs on the machine matters little) and memory."""

    seconds: float
    peak_mib: float


def collect(folder: Path, *options: str) -> Cost:
    """Collect the suite in ``folder`` in a process of its own."""
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    env["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), env.get("PYTHONPATH", "")])
    child = subprocess.Popen(
        [sys.executable, "-m", "pytest", *COLLECT, *options], cwd=folder, env=env, stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in {0, 5}:
        raise SystemExit(f"pytest ended with {child.returncode}: run it in {folder} to see why")
    return Cost(seconds=used.ru_utime + used.ru_stime, peak_mib=used.ru_maxrss / 1024)


def suite(folder: Path, name: str, source: str) -> Path:
    """A folder with one test file."""
    made = folder / name
    made.mkdir()
    (made / "test_it.py").write_text(source)
    (made / "pytest.ini").write_text("[pytest]\n")
    return made


def finished(folder: Path) -> None:
    """Leave a run in ``folder`` that has finished all cells but one."""
    (folder / "conftest.py").write_text(FINISH)
    collect(folder, *PLUGIN)
    (folder / "conftest.py").unlink()


def best(costs: list[Cost]) -> Cost:
    """The median of the seconds and of the memory."""
    return Cost(
        seconds=statistics.median(cost.seconds for cost in costs),
        peak_mib=statistics.median(cost.peak_mib for cost in costs),
    )


def measure(scratch: Path, cells: int, repeats: int) -> dict[str, Cost]:
    """The costs of each kind of session over so many cells."""
    folders = {
        "plain parametrize": (suite(scratch, f"plain-{cells}", PLAIN.format(cells=cells)), ()),
        "mutate": (suite(scratch, f"energy-{cells}", ENERGY.format(cells=cells)), PLUGIN),
        "mutate, resumed": (
            suite(scratch, f"resumed-{cells}", ENERGY.format(cells=cells)),
            (*PLUGIN, "--energy-resume"),
        ),
    }
    finished(folders["mutate, resumed"][0])
    costs: dict[str, list[Cost]] = {name: [] for name in folders}
    for _ in range(repeats):
        for name, (folder, options) in folders.items():
            costs[name].append(collect(folder, *options))
    return {name: best(found) for name, found in costs.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        one = measure(Path(scratch), 1, options.repeats)
        few = measure(Path(scratch), options.cells // 10, options.repeats)
        many = measure(Path(scratch), options.cells, options.repeats)
    print(f"{options.cells} cells collected, nothing run, whole processes, medians of {options.repeats}:")
    print(f"  {'':18}{'CPU s':>9}{'above one cell':>16}{'us a cell':>11}{'peak MiB':>10}{'growth':>8}")
    plain_s = many["plain parametrize"].seconds - one["plain parametrize"].seconds
    for name, cost in many.items():
        above_s, few_s = (costs[name].seconds - one[name].seconds for costs in (many, few))
        growth = f"{math.log10(above_s / few_s):8.2f}" if above_s > 0 and few_s > 0 else f"{'':8}"
        ratio = f"   {above_s / plain_s:.1f} x plain" if name.startswith("mutate") else ""
        each_us = above_s / options.cells * 1e6
        print(f"  {name:18}{cost.seconds:9.2f}{above_s:16.2f}{each_us:11.0f}{cost.peak_mib:10.0f}{growth}{ratio}")


if __name__ == "__main__":
    main()
