"""Under pytest-xdist: signals to the controller, its death, and leftover processes of dead sessions."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time

import psutil
import pytest
from running import running

from pytest_parallel_energy.processes.cookie import REALM_VARIABLE, VARIABLE
from pytest_parallel_energy.records.reader import read_records
from pytest_parallel_energy.testing.misbehaving import misbehaving_argv

SUITE = """
import pytest

def test_first(energy_meter):
    pass

@pytest.mark.workload("toy/slow")
def test_second(train):
    train()

@pytest.mark.workload("toy/slow", epochs=21)
def test_third(train):
    train()
"""


def wait_for(condition, seconds=30):
    deadline_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(0.05)


def living(folder):
    """Processes that name the project's folder, other than this one."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = " ".join(process.info["cmdline"] or ())
        if str(folder) in words and process.info["status"] != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
            found.append(words)
    return found


@pytest.fixture
def session(project, heeded_signals):
    """A controller with one worker in the middle of the second test's training."""
    project.tests(SUITE)
    command = [sys.executable, "-m", "pytest", *project.plugins, "-p", "xdist", "-n1", "-p", "no:randomly"]
    with running(
        command, cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        logs = "energy-results/2*/experiments/*/training.log"
        wait_for(lambda: any(log.stat().st_size for log in project.path.glob(logs)))
        yield process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_controller_ends_in_order(project, session, number):
    """The table is printed, summary.csv is written, the experiment in progress is interrupted, and nothing stays."""
    session.send_signal(number)
    output, _ = session.communicate(timeout=60)
    assert session.returncode == 128 + number
    statuses = [record["status"] for record in project.records()]
    assert statuses == ["passed", "interrupted"], output
    assert " energy " in output
    assert f"results: {project.run_folder}" in output
    assert len((project.run_folder / "summary.csv").read_text().splitlines()) == 3
    assert f'"exit_status": {128 + number}' in (project.run_folder / "run.json").read_text()
    wait_for(lambda: not living(project.path), 10)


def test_what_the_death_of_the_controller_ended_is_interrupted(project, session):
    """SIGKILL: the training goes, no further one is left, and its experiment is read as interrupted, not as failed."""
    session.kill()
    session.communicate()
    wait_for(lambda: not living(project.path), 30)
    found = read_records(project.run_folder)
    assert {record.status.value for record in found.records} <= {"passed", "interrupted", "crashed"}
    second = next(record for record in found.records if "test_second" in record.nodeid)
    assert second.status.value == "interrupted", second.reason


def test_a_training_that_begins_after_the_death_of_the_controller_goes_too(project, monkeypatch):
    """Its guard knows the controller from the start of the worker, not from the start of the training."""
    project.tests(
        """
        import os, pathlib, signal, time
        import pytest

        @pytest.mark.workload("toy/slow")
        def test_it(train):
            controller = os.getppid()
            os.kill(controller, signal.SIGKILL)
            while os.getppid() == controller:
                time.sleep(0.01)
            began_s = time.monotonic()
            try:
                train()
            finally:
                pathlib.Path("lasted").write_text(str(time.monotonic() - began_s))
        """
    )
    command = [sys.executable, "-m", "pytest", *project.plugins, "-p", "xdist", "-n1"]
    with running(command, cwd=project.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        process.wait(60)
    wait_for(lambda: (project.path / "lasted").exists() and (project.path / "lasted").read_text())
    assert float((project.path / "lasted").read_text()) < 4  # execnet interrupts its worker after 5 s
    wait_for(lambda: not living(project.path), 30)
    # while the worker lives, the unfinished record in its folder does not count
    wait_for(lambda: read_records(project.run_folder).records, 30)
    (record,) = read_records(project.run_folder).records
    assert record.status.value == "interrupted", record.reason


def test_a_suite_without_experiments_ends_as_without_the_plugin(project):
    """SIGTERM kills the controller, which has nothing to save."""
    project.tests(
        "import pathlib, time\ndef test_plain():\n    pathlib.Path('began').write_text('')\n    time.sleep(20)\n"
    )
    command = [sys.executable, "-m", "pytest", *project.plugins, "-p", "xdist", "-n1"]
    with running(command, cwd=project.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_for((project.path / "began").exists)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == -signal.SIGTERM


def test_leftover_processes_are_killed_first(project, monkeypatch):
    """A worker kills what dead sessions left, and the controller reports it."""
    monkeypatch.setenv(REALM_VARIABLE, secrets.token_hex(8))
    code = "from pytest_parallel_energy.processes.cookie import Cookie; print(Cookie.mine())"
    cookie = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    argv = misbehaving_argv("plain", f"left-{secrets.token_hex(8)}")
    project.tests("def test_metered(energy_meter): pass")
    with subprocess.Popen(argv, env={**os.environ, VARIABLE: cookie}, start_new_session=True) as leftover:
        result = project.run("-p", "xdist", "-n2")
        try:
            assert leftover.wait(1) == -signal.SIGKILL
        finally:
            leftover.kill()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"*killed process {leftover.pid}*"])
