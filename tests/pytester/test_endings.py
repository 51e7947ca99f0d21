"""Sessions that end early: the record says so, and nothing stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest
from polling import eventually
from running import running

BESIDE = """
import os
import pytest

@pytest.mark.workload("toy/slow")
@pytest.mark.background_load("toy/net")
def test_it(train, background_load, energy_meter):
    train()
"""


def left_in(folder):
    """Processes whose command line names the folder of the project."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = " ".join(process.info["cmdline"] or ())
        if str(folder) in words and process.info["status"] != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
            found.append(words)
    return found


@pytest.fixture
def session(project, heeded_signals):
    """A session in the middle of a training beside a load."""
    project.tests(BESIDE)
    command = [sys.executable, "-m", "pytest", *project.plugins, "-s"]
    with running(command, cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        eventually(lambda: any(log.stat().st_size for log in project.path.glob("energy-results/2*/*/*/training.log")))
        yield process


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 2), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=["INT", "TERM", "HUP"]
)
def test_a_signal_ends_in_order(project, session, number, status):
    """Ctrl-C, SIGTERM, SIGHUP: tear-down happens, the record says interrupted and keeps its joules, nothing stays."""
    session.send_signal(number)
    output, _ = session.communicate(timeout=30)
    assert session.returncode == status
    assert not left_in(project.path)
    (record,) = project.records()
    assert record["status"] == "interrupted"
    assert record["energy"]["total_j"] > 0
    assert record["background"][0]["cpu_s"] > 0
    assert " energy " in output
    assert str(project.run_folder) in output
    assert ("interrupted: the same command with --energy-resume runs" in output) is (number == signal.SIGINT)


def test_sigkill_leaves_no_process_and_a_readable_run(project, session):
    """SIGKILL: all processes go, and the attempt is read as crashed."""
    from pytest_parallel_energy.records.reader import read_records

    session.kill()
    session.communicate()
    eventually(lambda: not left_in(project.path), timeout_s=10)
    found = read_records(project.run_folder)
    assert [record.status.value for record in found.records] == ["crashed"]
    assert not found.problems


def test_a_test_that_ends_the_process(project):
    """os._exit in a test: earlier records are kept, this one is read as crashed, the load is gone."""
    from pytest_parallel_energy.records.reader import read_records

    project.tests(
        """
        import os
        import pytest

        def test_first(energy_meter):
            pass

        @pytest.mark.background_load("toy/net")
        def test_second(energy_meter):
            os._exit(3)
        """
    )
    assert project.run().ret == 3
    eventually(lambda: not left_in(project.path), timeout_s=10)
    assert [record["status"] for record in project.records()] == ["passed"]
    assert [record.status.value for record in read_records(project.run_folder).records] == ["passed", "crashed"]


def test_a_worker_that_dies(project):
    """Under xdist the controller adopts what a dead worker left."""
    pytest.importorskip("xdist")
    project.tests(
        """
        import os

        def test_first(energy_meter):
            pass

        def test_second(energy_meter):
            os._exit(3)
        """
    )
    project.run("-p", "xdist", "-n1", "--max-worker-restart=0")
    assert sorted(record["status"] for record in project.records()) == ["crashed", "passed"]


def test_ctrl_c_under_xdist_keeps_the_first_test(project, heeded_signals):
    """No record has reached the controller yet: it takes over what the worker left."""
    pytest.importorskip("xdist")
    project.tests(BESIDE)
    command = [sys.executable, "-m", "pytest", *project.plugins, "-p", "xdist", "-n1"]
    with running(command, cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        eventually(lambda: any(log.stat().st_size for log in project.path.glob("energy-results/2*/*/*/training.log")))
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    (record,) = project.records()
    assert record["status"] == "interrupted"
    assert record["energy"]["total_j"] > 0
    assert str(project.run_folder) in output
    assert not left_in(project.path)


def test_a_crash_keeps_the_joules_of_the_last_heartbeat(project):
    """What a heartbeat wrote down is read when the process dies without a word."""
    from pytest_parallel_energy.records.reader import read_records

    project.tests(
        """
        import os

        def test_it(energy_meter):
            sum(range(10**7))
            energy_meter._experiment.keep_heartbeat()
            os._exit(3)
        """
    )
    assert project.run().ret == 3
    (record,) = read_records(project.run_folder).records
    assert record.status.value == "crashed"
    assert record.energy.total_j > 0


def test_an_interrupted_record_without_a_folder_is_saved(project, monkeypatch):
    """A results folder that vanished: the record is saved elsewhere, and the rest of the ending still happens."""
    from pytest_parallel_energy.records.reader import read_records

    (project.path / "spare").mkdir()
    monkeypatch.setenv("TMPDIR", str(project.path / "spare"))
    project.tests(
        """
        import shutil
        from pathlib import Path

        def test_it(energy_meter):
            shutil.rmtree("energy-results")
            Path("energy-results").write_text("in the way")
            raise KeyboardInterrupt
        """
    )
    result = project.run()
    assert result.ret == 2
    result.stdout.fnmatch_lines(["problem: 1 record could not be written to *: not a directory; *saved to *"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    (saved,) = (project.path / "spare").glob("pytest-energy-*.jsonl")
    assert [record.status.value for record in read_records(saved).records] == ["interrupted"]


def test_a_timeout_while_loads_are_stopped_leaves_none_of_them(project):
    """The first is being waited for when the timeout strikes: it, and the other, are gone before the next test."""
    project.tests(
        """
        import subprocess, sys
        import pytest

        CODE = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
        STUBBORN = [sys.executable, "-c", CODE, "stubborn-load"]

        @pytest.mark.timeout(4)
        def test_first(background_load):
            background_load(STUBBORN, grace=0.5, ready="pattern:up")
            background_load(STUBBORN, grace=60, ready="pattern:up")

        def test_next():
            assert not subprocess.run(["pgrep", "-f", "stubborn-load"], capture_output=True, text=True).stdout
        """
    )
    result = project.run("-p", "no:randomly")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*Timeout (>4*"])


def test_an_attempt_that_dies_before_its_training_has_none(project, monkeypatch):
    """Its record is not that of the attempt before."""
    from pytest_parallel_energy.records.reader import read_records

    (project.path / "conftest.py").write_text(
        """
import os
from pytest_parallel_energy.run.experiment import Experiment

opened = Experiment.open_window

def dies_in_the_second(self):
    if self.attempt.number == 2:
        os._exit(3)
    opened(self)

Experiment.open_window = dies_in_the_second
"""
    )
    project.tests('import pytest\n@pytest.mark.workload("toy/broken")\ndef test_it(train):\n    train()\n')
    assert project.run("--energy-max-retries=1").ret == 3
    first, second = sorted(read_records(project.run_folder).records, key=lambda record: record.attempt)
    assert (first.status.value, first.workload.exit_code) == ("failed", 1)
    assert (second.status.value, second.workload.exit_code, second.energy.total_j) == ("crashed", None, None)


def test_a_guard_that_does_not_answer_fails_its_test_in_one_line(project):
    """The window does not wait for it, the joules are kept, and the load goes all the same."""
    (project.path / "conftest.py").write_text(
        "from pytest_parallel_energy.processes import child\nchild._ANSWER_TIMEOUT_S = 3.0\n"
    )
    project.tests(
        """
        import os, signal

        def test_it(background_load):
            load = background_load(["sleep", "600"], ready="started", grace=0)
            os.kill(load._child.guard_pid, signal.SIGSTOP)

        def test_next(energy_meter):
            pass
        """
    )
    result = project.run("-p", "no:randomly")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["the process * guards * has not answered*kill -CONT*"])
    result.stdout.no_fnmatch_line("*child.py*")
    record = project.records()[0]
    assert record["status"] == "failed"
    assert 0 < record["energy"]["window_s"] < 3
    assert not left_in(project.path)
