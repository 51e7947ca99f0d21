"""A process that is killed in the middle of a test leaves the record of the attempt in progress."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from pytest_parallel_energy.records.reader import read_records
from pytest_parallel_energy.records.record import Status

KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import World

world = World(Path(sys.argv[2]))
store = world.run.open_store()
for name in ("passes", "is_killed"):
    experiment = world.experiment(nodeid=f"test_it.py::test_{name}")
    experiment.begin()
    experiment.open_window()
    world.clock.advance(2.0)
    if name == "is_killed":
        if sys.argv[3] == "heartbeat":
            experiment.keep_heartbeat()
        os.kill(os.getpid(), signal.SIGKILL)
    experiment.close_window()
    for record in experiment.finish():
        store.append(record)
"""


@pytest.mark.parametrize(("heartbeat", "total_j"), [("heartbeat", 200.0), ("none", None)])
def test_killed_attempts_leave_their_record(tmp_path, request, heartbeat, total_j):
    """It says that the attempt crashed, with the joules of the last heartbeat; the test before has its own record."""
    script = [sys.executable, "-c", KILLED, str(request.path.parent), str(tmp_path), heartbeat]
    assert subprocess.run(script, check=False).returncode == -signal.SIGKILL
    passed, crashed = read_records(next((tmp_path / "energy-results").glob("*/records.jsonl"))).records
    assert (passed.nodeid, passed.status) == ("test_it.py::test_passes", Status.PASSED)
    assert (crashed.nodeid, crashed.status) == ("test_it.py::test_is_killed", Status.CRASHED)
    assert crashed.energy.total_j == (None if total_j is None else pytest.approx(total_j))
