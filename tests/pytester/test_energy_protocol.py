"""The host protocol and the legs in whole sessions: lock, rest, governor, idle, attribution."""

from __future__ import annotations

import gzip
import itertools
import subprocess
import sys
from pathlib import Path

import pytest
from running import running

from pytest_parallel_energy.testing import FakeZone, PowercapTree

METERED = """
import time

def test_metered(energy_meter):
    time.sleep(0.05)
    assert energy_meter.total_j > 0
"""

BESIDE = """
import sys, time
import pytest

def work():
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass

def test_alone(energy_meter):
    work()

@pytest.mark.energy(coverage_min=0)
def test_beside(energy_meter, background_load):
    background_load([sys.executable, "-c", "while True: pass"])
    time.sleep(0.3)
    work()
"""

PAIR = """
import time
import pytest

@pytest.mark.energy(coverage_min=0)
@pytest.mark.parametrize("background_load", [None, "toy/net"], indirect=True)
def test_pair(energy_meter, background_load):
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
"""

HOLDER = """
import sys, time
from pathlib import Path
from pytest_parallel_energy.host.lock import HostLock
with HostLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def hold(project):
    """Starts another process that holds the host lock for so many seconds."""
    children = []

    def start(seconds):
        child = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(project.path), str(seconds)], stdout=subprocess.PIPE
        )
        children.append(child)
        assert child.stdout.readline() == b"held\n"
        return child

    yield start
    for child in children:
        child.kill()
        child.wait()
        child.stdout.close()


@pytest.fixture
def rapl(project, tmp_path_factory, monkeypatch):
    """A project on a machine whose package draws 50 W."""
    root = tmp_path_factory.mktemp("sysfs")
    with PowercapTree(root, [FakeZone(path="intel-rapl:0", name="package-0", watts=50.0)]):
        monkeypatch.setenv("PYTEST_ENERGY_SYSFS_ROOT", str(root))
        project.ini("energy_sensors = powercap")
        yield project


def test_refusing_fails_the_test_with_the_holders_name(project, hold):
    """With 'refuse' the measured test fails with one sentence; others are not held up."""
    holder = hold(60)
    project.tests(METERED + "\ndef test_plain():\n    pass\n")
    result = project.run("--energy-host-lock=refuse")
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines([f"*process {holder.pid} of user*is measuring on this host*"])


def test_waiting_says_for_whom_and_goes_on(project, hold):
    """A wait of more than a second is told, is not counted by the timeout, and the test passes then."""
    hold(6)  # the session starts meanwhile
    project.tests(METERED)
    result = project.run("--timeout=2")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["energy: waiting for process * of user *"])


def test_a_deadline_ends_the_wait(project, hold):
    """The test fails when the wait takes too long."""
    hold(60)
    project.tests(METERED)
    result = project.run("--energy-host-lock-timeout=1")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*waited 1 s for process*"])


def test_idle_leg_gives_above_idle(rapl):
    """At a steady 50 W nothing is above idle, and the idle part is the whole, within the readings' noise."""
    rapl.tests(METERED)
    rapl.run("--energy-idle=0.5").assert_outcomes(passed=1)
    (record,) = rapl.records()
    energy = record["energy"]
    assert energy["quality"] == "counter"
    assert energy["idle_j"] == pytest.approx(energy["total_j"], rel=0.5)
    assert record["attribution"]["method"] == "alone above idle"


def test_no_idle_leg_for_an_estimate(project):
    """Where everything is estimated, no second is spent on an idle leg."""
    project.tests(METERED)
    result = project.run("--energy-sensors=estimate", "--energy-idle=300")
    result.assert_outcomes(passed=1)
    assert project.records()[0]["energy"]["idle_j"] is None


def test_shapley_when_alone_and_beside_were_measured(rapl):
    """The load's leg and the same test alone give Shapley shares; they sum to what is above idle."""
    rapl.tests(PAIR)
    rapl.run("--energy-idle=0.5").assert_outcomes(passed=2)
    alone, beside = rapl.records()
    assert alone["attribution"]["method"] == "alone above idle"
    shares = beside["attribution"]
    assert shares["method"] == "shapley"
    assert shares["slowdown_ratio"] > 0
    assert shares["interference_j"] is not None
    active_j = beside["energy"]["total_j"] - shares["idle_j"]
    parts_j = (shares["foreground_j"], shares["background_j"], shares["other_j"])
    assert sum(parts_j) == pytest.approx(active_j, abs=1e-6)
    assert beside["background"][0]["solo_mean_w"] == pytest.approx(50.0, rel=0.3)


def test_what_failed_alone_is_nothing_to_compare_with(rapl):
    """A solo leg is a test that passed: one that died early would make its neighbours look slow."""
    rapl.tests(
        PAIR.replace("(energy_meter,", "(request, energy_meter,").replace(
            "    until", '    assert "None" not in request.node.name\n    until', 1
        )
    )
    rapl.run("--energy-idle=0.3").assert_outcomes(passed=1, failed=1)
    alone, beside = rapl.records()
    assert (alone["status"], beside["status"]) == ("failed", "passed")
    assert beside["attribution"]["method"] != "shapley"
    assert beside["attribution"]["slowdown_ratio"] is None


def test_split_by_cpu_time_without_legs(rapl):
    """Without idle leg the energy is split by CPU time, and the method says so."""
    rapl.tests(BESIDE)
    rapl.run("--energy-idle=0", "-k", "beside").assert_outcomes(passed=1)
    (record,) = rapl.records()
    shares = record["attribution"]
    assert shares["method"] == "share of CPU time, idle power included"
    parts = shares["foreground_j"] + shares["background_j"] + shares["other_j"]
    assert parts == pytest.approx(record["energy"]["total_j"])
    assert shares["background_j"] > 0
    assert shares["foreground_j"] > 0


def test_cool_down_that_cannot_be_is_flagged(rapl):
    """No temperature here: the record says that the rest was left out."""
    rapl.tests(METERED)
    rapl.run("--energy-idle=0", "--energy-cooldown=temp:50").assert_outcomes(passed=1)
    assert any("no temperature can be read" in flag for flag in rapl.records()[0]["meter"]["flags"])


def test_governor_that_cannot_be_set_is_flagged(rapl):
    """A machine without governor is measured all the same, and the record says why."""
    rapl.tests(METERED)
    rapl.run("--energy-idle=0", "--energy-governor=performance").assert_outcomes(passed=1)
    assert any("no frequency governor" in flag for flag in rapl.records()[0]["meter"]["flags"])


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--energy-cooldown=cold", "*invalid cool-down 'cold'*"),
        ("--energy-host-lock=maybe", "*invalid host-lock mode 'maybe'*"),
        ("--energy-idle=soon", "*'soon' is not a time*"),
    ],
)
def test_bad_values_are_refused_before_anything_runs(project, option, words):
    """One sentence with the value and what would be right."""
    project.tests(METERED)
    result = project.run(option)
    result.stderr.fnmatch_lines([words])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


VANISHING = """
import os
from pathlib import Path

def test_vanishing(energy_meter):
    zone = Path(os.environ["PYTEST_ENERGY_SYSFS_ROOT"], "class/powercap/intel-rapl:0/energy_uj")
    zone.rename(zone.with_name("gone"))
    zone.with_name("gone").write_text("")
"""


@pytest.fixture
def stranger():
    """A process of somebody else on this machine that keeps one CPU busy."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    yield
    process.kill()
    process.wait()


@pytest.mark.parametrize(("options", "fails"), [(("--energy-others-max=1",), False), ((), True)])
def test_strict_refuses_a_disturbed_test(rapl, stranger, options, fails):
    """Other processes use a CPU while the test sleeps: it fails under --energy-strict, unless that allows any."""
    rapl.tests("import time\n\ndef test_asleep(energy_meter):\n    time.sleep(1)\n")
    result = rapl.run("--energy-idle=0", "--energy-strict", *options)
    result.assert_outcomes(failed=int(fails), passed=int(not fails))
    (record,) = rapl.records()
    assert record["attribution"]["other_cpu_ratio"] > 0.5
    assert "other processes used" in result.stdout.str()
    if fails:
        result.stdout.fnmatch_lines(["*--energy-strict: other processes used * (--energy-others-max)*"])


@pytest.mark.parametrize("strict", [False, True])
def test_a_sensor_that_fails_in_a_test(rapl, strict):
    """The window is missing with the reason, and the test goes on; under --energy-strict it fails."""
    rapl.tests(VANISHING.replace('zone.with_name("gone").write_text("")', "os.truncate(zone.with_name('gone'), 0)"))
    result = rapl.run("--energy-idle=0", *(["--energy-strict"] if strict else []))
    (record,) = rapl.records()
    assert record["energy"]["total_j"] is None
    assert record["energy"]["quality"] == "missing"
    assert record["energy"]["domains"][0]["reason"]
    if strict:
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["*--energy-strict: the energy of this test is missing*"])
    else:
        result.assert_outcomes(passed=1)


SPANS = """
import time
import pytest

@pytest.mark.parametrize("number", range(4))
def test_span(energy_meter, number):
    begun = time.monotonic()
    time.sleep(0.2)
    with open("spans.txt", "a") as file:
        file.write(f"{begun} {time.monotonic()}\\n")
"""


def test_workers_never_measure_at_the_same_time(project):
    """Two workers of xdist share the host: their measured tests take turns."""
    project.tests(SPANS)
    project.run("-p", "xdist", "-n", "2", "--energy-sensors=estimate").assert_outcomes(passed=4)
    lines = (project.path / "spans.txt").read_text().splitlines()
    spans = sorted(tuple(map(float, line.split())) for line in lines)
    assert len(spans) == 4
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(spans))


def test_two_sessions_never_measure_at_the_same_time(project):
    """Nor do two pytest processes that know nothing of each other."""
    project.tests(SPANS)
    command = [sys.executable, "-m", "pytest", *project.plugins, "--energy-sensors=estimate", "-q"]
    options = {"cwd": project.path, "stdout": subprocess.DEVNULL}
    with (
        running([*command, "--energy-name=one"], **options) as one,
        running([*command, "--energy-name=two"], **options) as two,
    ):
        assert [one.wait(60), two.wait(60)] == [0, 0]
    lines = (project.path / "spans.txt").read_text().splitlines()
    spans = sorted(tuple(map(float, line.split())) for line in lines)
    assert len(spans) == 8
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(spans))


def test_a_gpu_in_a_whole_session(project, tmp_path, monkeypatch):
    """The driver's library is found as on a real machine: the record has the card by UUID, labelled as counter."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "energy")
    from nvml_stand_in import StandIn, build

    build(tmp_path)
    state = StandIn(library=None, state=tmp_path / "gpus.txt")
    state.gpu(power_mw=300_000)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    monkeypatch.setenv("NVML_FAKE_STATE", str(state.state))
    monkeypatch.setenv("NVML_FAKE_REAL_CLOCK", "1")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    project.tests(
        "import time\n\ndef test_gpu(energy_meter):\n    time.sleep(1)\n    assert energy_meter.gpu_j > 200\n"
    )
    project.run("--energy-sensors=nvml", "--energy-idle=0.5").assert_outcomes(passed=1)
    (record,) = project.records()
    (domain,) = record["energy"]["domains"]
    assert (domain["device"], domain["quality"], domain["source"]) == ("GPU-000-aaaa", "counter", "nvml")
    assert domain["joules"] == pytest.approx(300 * record["energy"]["window_s"], rel=0.1)
    assert record["energy"]["idle_j"] == pytest.approx(domain["joules"], rel=0.1)


def test_temperatures_stand_in_the_trace(project, monkeypatch, tmp_path):
    """Beside the watts of each second stand the degrees of the CPU package, for the report's chart."""
    chip = tmp_path / "class" / "hwmon" / "hwmon0"
    chip.mkdir(parents=True)
    (chip / "name").write_text("coretemp\n")
    (chip / "temp1_input").write_text("51000\n")
    monkeypatch.setenv("PYTEST_ENERGY_SYSFS_ROOT", str(tmp_path))
    project.tests(
        f"""
        import time
        from pathlib import Path

        def test_it(energy_meter):
            time.sleep(1.3)
            Path("{chip}/temp1_input").write_text("62000")
            time.sleep(1.2)
        """
    )
    project.run().assert_outcomes(passed=1)
    (record,) = project.records()
    rows = gzip.decompress((project.run_folder / record["energy"]["trace"]).read_bytes()).decode().splitlines()
    assert rows[0].endswith(",cpu-0_celsius")
    assert {row.rpartition(",")[2] for row in rows[1:]} <= {"51", "62"}
    assert record["meter"]["start_temperatures_c"] == {"cpu-0": 51.0}
    assert record["meter"]["end_temperatures_c"] == {"cpu-0": 62.0}
