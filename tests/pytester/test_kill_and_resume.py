"""Runs that are killed at random moments and resumed: each cell is finished exactly once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import psutil
import pytest

from pytest_parallel_energy.records.reader import read_records

CELLS = """
import pytest, time

@pytest.mark.mutate(x=list(range({count})))
def test_cell(energy_meter, hyperparameters):
    time.sleep({sleep_s})
"""
_XDIST = ("-p", "xdist", "-n2", "--max-worker-restart=100")


class KilledSessions:
    """Sessions of one sweep, each resuming the run, with a SIGKILL at a random moment in most of them."""

    def __init__(self, project, workers, seed):
        self.project = project
        self.workers = workers
        self.random = random.Random(seed)
        self.command = [sys.executable, "-m", "pytest", *project.plugins, "-q", "--energy-resume", *workers]

    def start(self):
        return subprocess.Popen(
            self.command, cwd=self.project.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip

    def kill_in_one_session(self, most_s):
        """Start a session and kill a part of it; gives what was killed, ``None`` if it ended before."""
        with self.start() as session:
            time.sleep(self.random.uniform(0.3, most_s))
            target = self.random.choice(["worker", "controller", "group"]) if self.workers else "session"
            ended = session.poll() is not None
            if target == "worker" and not ended:
                target = self._kill_a_worker(session.pid)
            elif target == "group":
                os.killpg(session.pid, signal.SIGKILL)
            else:
                session.kill()
            if target == "worker":  # the session goes on with another worker
                time.sleep(self.random.uniform(0.1, 1.0))
                session.kill()
            session.communicate()
        return None if ended else target

    @staticmethod
    def _kill_a_worker(pid):
        """Kill a child of the controller, if it has one by now."""
        try:
            children = psutil.Process(pid).children()
            children[0].kill()
        except (psutil.NoSuchProcess, IndexError):
            return "controller"
        return "worker"

    def wait_for_an_experiment(self):
        """Wait until a session measures; gives the run's folder."""
        deadline_s = time.monotonic() + 30
        while not list(self.project.path.glob("energy-results/2*/experiments/*/experiment.json")):
            assert time.monotonic() < deadline_s, "no experiment began in time"
            time.sleep(0.05)
        return next(self.project.path.glob("energy-results/2*"))

    def finish(self):
        """Resume until nothing is left; gives the output."""
        with self.start() as session:
            output, _ = session.communicate(timeout=120)
        assert session.returncode == 0, output
        return output

    def check(self, count):
        """Each cell is finished once, and reading the run invents nothing more."""
        records = read_records(self.project.run_folder).records
        passed = Counter(record.nodeid for record in records if record.status.value == "passed")
        assert len(passed) == count
        assert set(passed.values()) == {1}, passed.most_common(5)
        assert len({record.record_id for record in records}) == len(records)
        assert len({record.run_id for record in records}) == 1


@pytest.fixture(params=[(), _XDIST], ids=["plain", "xdist"])
def sessions(project, request, pytestconfig):
    return KilledSessions(project, request.param, seed=pytestconfig.getoption("--kills", 3))


@pytest.mark.timeout(1800)
def test_each_cell_is_finished_once(project, sessions, pytestconfig):
    """50 cells and random SIGKILLs of the session, a worker, the controller or all (``--kills=50``)."""
    kills = pytestconfig.getoption("--kills", 3)
    count = 50
    project.tests(CELLS.format(count=count, sleep_s=0.05 if kills < 10 else 0.2))
    killed = Counter()
    while killed.total() < kills:
        target = sessions.kill_in_one_session(2.5)
        if target is not None:
            killed[target] += 1
            continue
        sessions.check(count)  # complete before all kills were spent: start over
        (project.path / "energy-results" / "latest").unlink()
    sessions.finish()
    sessions.check(count)
    print(dict(killed))


def test_a_resume_is_refused_while_a_session_runs(project, sessions):
    """The message names the holder, exit status 4, no traceback; afterwards nothing was run twice."""
    project.tests(CELLS.format(count=6, sleep_s=1.5))
    with sessions.start() as first:
        folder = sessions.wait_for_an_experiment()
        second = project.run(f"--energy-resume={folder}", *sessions.workers)
        output, _ = first.communicate()
    assert second.ret == 4
    second.stderr.fnmatch_lines([
        "ERROR: --energy-resume: another session is using the run in *pid * of user * on host *"
    ])
    second.stderr.no_fnmatch_line("*Traceback*")
    assert first.returncode == 0, output
    sessions.check(6)


def test_of_two_resumes_at_once_one_is_refused(project, sessions):
    """Both ask in the same moment: one measures, the other says who does."""
    project.tests(CELLS.format(count=6, sleep_s=0.3))
    with sessions.start() as first:
        sessions.wait_for_an_experiment()
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()
    with sessions.start() as one, sessions.start() as other:
        outputs = [one.communicate()[0], other.communicate()[0]]
    assert sorted([one.returncode, other.returncode]) == [0, 4], outputs
    sessions.check(6)


def test_a_torn_last_line_is_not_measured_twice(project, sessions):
    """A power cut tears the last line: what its worker wrote counts, or the cell runs again; never both."""
    project.tests(CELLS.format(count=6, sleep_s=0))
    sessions.finish()
    lines = (project.run_folder / "records.jsonl").read_bytes()
    (project.run_folder / "records.jsonl").write_bytes(lines[:-100])
    sessions.finish()
    sessions.check(6)
