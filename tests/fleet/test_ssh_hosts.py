"""pytest-xdist over several hosts behind a real ssh."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
from polling import eventually
from rank_project import PACKAGE_ROOT
from ssh_hosts import SshHost, missing_parts, running_host

SWEEP = """
import pathlib, socket, time
import pytest

@pytest.mark.energy(repeats=2)
@pytest.mark.mutate(lr=[0.1, 0.2, 0.3])
def test_value(hyperparameters, energy_meter, tmp_path):
    begin = time.monotonic()
    time.sleep(0.4)
    with open("times.txt", "a") as file:
        file.write(f"{socket.gethostname()} {begin} {time.monotonic()} {hyperparameters['lr']!r}\\n")
    assert tmp_path.is_dir()
"""
WAITING = """
import pathlib, socket, time

def test_long(energy_meter):
    pathlib.Path(f"runs-on-{socket.gethostname()}").touch()
    while socket.gethostname() == "alpha":
        time.sleep(0.05)

def test_short(energy_meter):
    pass
"""


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the end of pytest, and return its exit status and its output in one line."""
    output, _ = process.communicate(timeout=90)
    return process.returncode, " ".join(output.split())


@dataclass(slots=True)
class Fleet:
    """A project, and the hosts on which its tests run."""

    path: Path
    hosts: list[SshHost] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of pytest on every host."""
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(PACKAGE_ROOT),
            "PYTEST_ENERGY_SENSORS": "estimate",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def start(self, *arguments: str, gateways: tuple[Path, ...] = ()) -> subprocess.Popen[str]:
        """Start pytest with a worker on each host."""
        programs = gateways or tuple(host.gateway for host in self.hosts)
        workers = [word for program in programs for word in ("--tx", f"popen//python={program}")]
        return subprocess.Popen(
            # pytest-rerunfailures connects each worker to the controller by a socket, which hosts apart do not share
            [sys.executable, "-m", "pytest", "-p", "no:rerunfailures", "--dist=load", *workers, *arguments],
            cwd=self.path,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, gateways: tuple[Path, ...] = ()) -> tuple[int, str]:
        """Run pytest to its end, and return its exit status and output."""
        return ended(self.start(*arguments, gateways=gateways))

    def records(self) -> list[dict]:
        """Return the records of the last run."""
        lines = (self.path / "energy-results" / "latest" / "records.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def run_info(self) -> dict:
        """Return the content of its run.json."""
        return json.loads((self.path / "energy-results" / "latest" / "run.json").read_text())


@pytest.fixture
def fleet(tmp_path, request):
    """Start the hosts that the test's marker names; by default alpha and beta, which share the project's folder."""
    if missing := missing_parts():
        pytest.skip("; ".join(missing))
    project = tmp_path / "project"
    project.mkdir()
    (project / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\nenergy_idle = 0\n")
    return Fleet(project)


def start_host(fleet: Fleet, request: pytest.FixtureRequest, name: str, **options) -> SshHost:
    """Start a host that lives as long as the test."""
    folder = fleet.path.parent / name
    folder.mkdir()
    environment = fleet.environment | options.pop("environment", {})
    context = running_host(name, folder, fleet.path, environment=environment, **options)
    host = context.__enter__()
    request.addfinalizer(lambda: context.__exit__(None, None, None))
    fleet.hosts.append(host)
    return host


def test_each_host_measures_one_test_at_a_time(fleet, request):
    """Two workers on one host take turns, the other host measures meanwhile; all records reach the controller."""
    alpha, beta = (start_host(fleet, request, name) for name in ("alpha", "beta"))
    (fleet.path / "test_it.py").write_text(SWEEP)
    status, output = fleet.run(gateways=(alpha.gateway, alpha.gateway, beta.gateway))
    assert status == 0, output
    lines = [line.split() for line in (fleet.path / "times.txt").read_text().splitlines()]
    for name in ("alpha", "beta"):
        spans = sorted((float(begin), float(end)) for host, begin, end, _ in lines if host == name)
        assert len(spans) >= 1, name
        assert all(end <= begin for (_, end), (begin, _) in pairwise(spans)), (name, spans)
    records = fleet.records()
    assert Counter(record["nodeid"] for record in records) == {
        f"test_it.py::test_value[lr={lr}-rep{n}]": 1 for lr in (0.1, 0.2, 0.3) for n in (0, 1)
    }
    hosts = fleet.run_info()["fleet"]
    assert [(host["hostname"], host["workers"]) for host in hosts] == [("alpha", ["gw0", "gw1"]), ("beta", ["gw2"])]
    assert all(abs(host["clock_offset_s"]) < 1 and host["shares_results"] for host in hosts)
    by_value = {record["hyperparameters"]["lr"]: record["values_id"] for record in records}
    assert len(set(by_value.values())) == 3
    assert all(record["values_id"] == by_value[record["hyperparameters"]["lr"]] for record in records)
    assert not (fleet.path / "energy-results" / "latest" / "hosts").exists()


def test_joules_of_two_machines_are_rows_of_their_own(fleet, request):
    """A cell whose repetitions ran on two machines has a row per machine, which names it."""
    for name in ("alpha", "beta"):
        start_host(fleet, request, name)
    (fleet.path / "test_it.py").write_text(SWEEP.replace("[0.1, 0.2, 0.3]", "[0.1]").replace("0.4", "1.0"))
    status, output = fleet.run()
    assert status == 0, output
    assert {record["host"]["hostname"] for record in fleet.records()} == {"alpha", "beta"}
    assert "on alpha" in output
    assert "on beta" in output


def test_a_lost_host_leaves_a_crashed_record_and_its_test_runs_elsewhere(fleet, request):
    """The session goes on without the host; its record says that it crashed, and where."""
    alpha, _ = (start_host(fleet, request, name) for name in ("alpha", "beta"))
    (fleet.path / "test_it.py").write_text(WAITING)
    process = fleet.start()
    assert eventually((fleet.path / "runs-on-alpha").exists, 60, 0.05)
    alpha.kill()
    status, output = ended(process)
    assert status == 1, output
    assert "INTERNALERROR" not in output
    assert "on alpha was lost while it ran test_it.py::test_long, which is run once more" in output
    ends = {
        (record["nodeid"].partition("::")[2], record["status"], record["host"]["hostname"])
        for record in fleet.records()
    }
    assert ends >= {("test_long", "crashed", "alpha"), ("test_long", "passed", "beta")}
    assert sum(status == "passed" for _, status, _ in ends) == 2


def test_a_lost_host_with_a_disk_of_its_own_is_recorded_by_the_controller(fleet, request):
    """What the host had measured stays on its disk, and merge adds nothing twice."""
    own = fleet.path.parent / "own"
    (fleet.path / "test_it.py").write_text(WAITING.replace("def test_short", "def test_after") + SWEEP)
    shutil.copytree(fleet.path, own)
    alpha = start_host(fleet, request, "alpha", setup=f"mount --bind {own} {fleet.path}")
    start_host(fleet, request, "beta")
    process = fleet.start()
    assert eventually((own / "runs-on-alpha").exists, 60, 0.05)
    alpha.kill()
    status, output = ended(process)
    assert status == 1, output
    crashed = [record for record in fleet.records() if record["status"] == "crashed"]
    assert [(record["nodeid"], record["reason"]) for record in crashed] == [
        ("test_it.py::test_long", "the host alpha was lost while this test ran")
    ]
    assert [host["shares_results"] for host in fleet.run_info()["fleet"]] == [False, True]


def test_a_test_that_loses_two_hosts_has_a_record_of_each(fleet, request):
    """It is not run a third time; both hosts took along what they had measured."""
    own = fleet.path.parent / "own"
    (fleet.path / "test_it.py").write_text(WAITING.replace('while socket.gethostname() == "alpha"', "while True"))
    shutil.copytree(fleet.path, own)
    left = [
        start_host(fleet, request, name, setup=f"mount --bind {own} {fleet.path}")
        for name in ("alpha", "beta", "gamma")
    ]
    process = fleet.start()
    for _ in range(2):
        assert eventually(lambda: any((own / f"runs-on-{host.name}").exists() for host in left), 60, 0.05)
        (lost,) = [host for host in left if (own / f"runs-on-{host.name}").exists()]
        lost.kill()
        left.remove(lost)
    _, output = ended(process)
    assert "INTERNALERROR" not in output
    assert "test_it.py::test_long lost its worker twice and is not run again" in output
    crashed = [record for record in fleet.records() if record["status"] == "crashed"]
    assert sorted((record["nodeid"], record["host"]["hostname"]) for record in crashed) == [
        ("test_it.py::test_long", host.name) for host in fleet.hosts if host not in left
    ]
    assert len({record["record_id"] for record in crashed}) == 2


def test_records_of_a_host_with_its_own_disk_are_merged_once(fleet, request, capsys):
    """The host's own file holds the same records as the controller's."""
    from pytest_parallel_energy.console.cli import main

    own = fleet.path.parent / "own"
    (fleet.path / "test_it.py").write_text(SWEEP)
    shutil.copytree(fleet.path, own)
    start_host(fleet, request, "alpha", setup=f"mount --bind {own} {fleet.path}")
    status, output = fleet.run()
    assert status == 0, output
    files = {file.resolve() for file in (own / "energy-results").glob("*/hosts/alpha-gw0/records.jsonl")}
    assert [len(file.read_text().splitlines()) for file in files] == [6]
    assert main(["merge", str(fleet.path / "energy-results"), str(own / "energy-results"), "-o", str(own / "all")]) == 0
    assert "6 records" in " ".join("".join(capsys.readouterr()).split())


def test_losing_all_hosts_ends_the_session_in_order(fleet, request):
    """The records are closed, and the message says how to resume."""
    alpha = start_host(fleet, request, "alpha")
    (fleet.path / "test_it.py").write_text(WAITING)
    process = fleet.start()
    assert eventually((fleet.path / "runs-on-alpha").exists, 60, 0.05)
    alpha.kill()
    status, output = ended(process)
    assert status == 2, output
    assert "INTERNALERROR" not in output
    assert "all hosts were lost; --energy-resume resumes the run" in output
    assert [record["status"] for record in fleet.records()] == ["crashed"]


def test_another_plugin_version_is_refused_by_name(fleet, request):
    """Nothing runs."""
    package = fleet.path.parent / "package"
    shutil.copytree(PACKAGE_ROOT / "pytest_parallel_energy", package)
    with (package / "units.py").open("a") as file:
        file.write("\n# another state\n")
    start_host(fleet, request, "alpha")
    start_host(fleet, request, "beta", setup=f"mount --bind {package} {PACKAGE_ROOT}/pytest_parallel_energy")
    (fleet.path / "test_it.py").write_text(SWEEP)
    status, output = fleet.run()
    assert status == 4, output
    assert "the host beta (worker gw1) differs from this one" in output
    assert "the code of pytest-parallel-energy" in output
    assert "is another one there; nothing has run" in output
    assert not (fleet.path / "times.txt").exists()


def test_another_state_of_the_tests_and_of_a_registry_is_refused(fleet, request):
    """Both are named."""
    own = fleet.path.parent / "own"
    (fleet.path / "test_it.py").write_text(SWEEP)
    (fleet.path / "models.json").write_text("{}")
    shutil.copytree(fleet.path, own)
    (own / "test_it.py").write_text(SWEEP.replace("0.3", "0.30001"))
    (own / "models.json").unlink()
    start_host(fleet, request, "alpha", setup=f"mount --bind {own} {fleet.path}")
    status, output = fleet.run("--energy-models=models.json")
    assert status == 4, output
    assert "the code of the tests is another one there" in output
    assert "models.json is missing there" in output


def test_a_clock_that_is_wrong_is_reported(fleet, request):
    """The offset is in run.json and in the summary."""
    if shutil.which("faketime") is None:
        pytest.skip("faketime is not installed")
    python = ("faketime", "-f", "+300s", sys.executable)
    start_host(fleet, request, "alpha", python=python, environment={"FAKETIME_DONT_FAKE_MONOTONIC": "1"})
    # libfaketime does not know the absolute sleep of Python
    (fleet.path / "test_it.py").write_text("def test_busy(energy_meter):\n    sum(range(1_000_000))\n")
    status, output = fleet.run()
    assert status == 0, output
    assert "the clock of alpha is 300 s ahead of this host's" in output
    assert fleet.run_info()["fleet"][0]["clock_offset_s"] == pytest.approx(300, abs=2)


def test_a_host_that_cannot_be_reached_is_one_line(fleet, request):
    """The message says which answered; there is no traceback."""
    alpha = start_host(fleet, request, "alpha")
    (fleet.path / "test_it.py").write_text(SWEEP)
    status, output = fleet.run(gateways=(alpha.gateway, Path("/bin/false")))
    assert status == 4, output
    assert "alpha answered, the next one did not" in output
    assert "Traceback" not in output


def test_a_host_without_sensors_is_refused_by_name_in_a_strict_run(fleet, request):
    """The reason reaches the controller; xdist alone would only say that no worker is left."""
    start_host(fleet, request, "alpha")
    (fleet.path / "test_it.py").write_text(SWEEP)
    status, output = fleet.run("--energy-strict")
    assert status == 4, output
    assert "ERROR: alpha: --energy-strict: server-estimate is only an estimate" in output
    assert "INTERNALERROR" not in output


def test_a_suite_without_settings_of_the_plugin_is_left_alone(fleet, request):
    """Hosts that differ do not matter to it, and a test that kills its worker is not run again."""
    own = fleet.path.parent / "own"
    (fleet.path / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n")
    (fleet.path / "test_it.py").write_text(
        "import os\ndef test_dies():\n    open('died', 'a').write('x')\n    os._exit(3)\ndef test_lives(): pass\n"
    )
    shutil.copytree(fleet.path, own)
    (own / "other.py").touch()
    host = start_host(fleet, request, "alpha", setup=f"mount --bind {own} {fleet.path}")
    environment = {name: value for name, value in fleet.environment.items() if not name.startswith("PYTEST_ENERGY")}
    tx = f"popen//python={host.gateway}"
    command = [sys.executable, "-m", "pytest", "-p", "no:rerunfailures", "--dist=load", "--tx", tx]
    run = subprocess.run(
        command, cwd=fleet.path, env=environment, capture_output=True, text=True, timeout=90, check=False
    )
    assert "1 failed, 1 passed" in run.stdout, run.stdout
    assert (own / "died").read_text() == "x"
    assert not (fleet.path / "energy-results").exists()


def test_a_gate_works_on_the_controller(fleet, request):
    """The comparison with a saved baseline takes place where the records arrive."""
    pytest.importorskip("scipy")
    start_host(fleet, request, "alpha")
    (fleet.path / "test_it.py").write_text(SWEEP.replace("[0.1, 0.2, 0.3]", "[0.1]").replace("repeats=2", "repeats=3"))
    status, output = fleet.run("--energy-save-baseline")
    assert status == 0, output
    status, output = fleet.run("--energy-compare", "--energy-compare-fail=total_j:50%")
    assert "verdicts: 1 " in output, output
    assert "not comparable" not in output
