"""Sweeps in whole sessions: order, what is left out, plans, budgets, and runs that are killed and resumed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter

import pytest
from polling import eventually

CELLS = """
import json, pathlib, pytest, time

@pytest.mark.mutate(x=list(range({count})))
def test_cell(energy_meter, hyperparameters):
    time.sleep({sleep})
    assert hyperparameters["x"] not in json.loads(pathlib.Path("broken.json").read_text())
"""


def cells(project, count=4, sleep=0, broken=()):
    """The test, and beside it which of its cells fail: a repair that does not change the test itself."""
    project.tests(CELLS.format(count=count, sleep=sleep))
    (project.path / "broken.json").write_text(json.dumps(list(broken)))


def ran(result):
    return re.findall(r"test_cell\[(\S+)\] PASSED", result.stdout.str())


def test_blocked_order_runs_each_repetition_of_all_cells_first(project):
    """Blocks, shuffled by the seed, the same in each session, with the seed in run.json and in the header."""
    cells(project)
    arguments = ("-v", "--energy-order=blocked", "--energy-seed=3", "--energy-repeats=2")
    first, second = project.run(*arguments), project.run(*arguments)
    order = ran(first)
    assert order == ran(second)
    assert [one[-4:] for one in order] == ["rep0"] * 4 + ["rep1"] * 4
    assert order != sorted(order, key=lambda one: (one[-1], one))
    first.stdout.fnmatch_lines(["energy: order blocked, seed 3"])
    settings = json.loads((project.run_folder / "run.json").read_text())["settings"]
    assert (settings["order"], settings["seed"]) == ("blocked", "3")


def test_declared_order_undoes_a_shuffle(project):
    """A plugin that shuffles gives way to --energy-order; tests that are no experiments stay where they are."""
    project.pytester.makeconftest("""
        import pytest

        @pytest.hookimpl(tryfirst=True)
        def pytest_collection_modifyitems(items):
            items.reverse()
        """)
    cells(project, count=3)
    project.tests(CELLS.format(count=3, sleep=0) + "\ndef test_plain(): pass\n")
    shuffled = project.run("-v")
    assert ran(shuffled) == ["x=2-rep0", "x=1-rep0", "x=0-rep0"]
    declared = project.run("-v", "--energy-order=declared")
    assert ran(declared) == ["x=0-rep0", "x=1-rep0", "x=2-rep0"]
    assert re.search(r"test_plain PASSED.*\n.*x=0", declared.stdout.str())


def test_a_killed_sweep_is_resumed(project):
    """SIGKILL in the middle of 50 cells: --energy-resume runs the rest, and no finished cell is lost or repeated."""
    cells(project, count=50, sleep=0.03)
    command = [sys.executable, "-m", "pytest", *project.plugins, "-q"]
    records = project.path / "energy-results" / "latest" / "records.jsonl"
    with subprocess.Popen(
        command, cwd=project.path, stdout=subprocess.DEVNULL, env=os.environ, start_new_session=True
    ) as killed:
        try:
            eventually(lambda: records.exists() and records.read_bytes().count(b"\n") >= 15, timeout_s=60)
        finally:
            os.killpg(killed.pid, signal.SIGKILL)
    finished = [one["nodeid"] for one in project.records()]
    assert 15 <= len(finished) < 50
    folder = project.run_folder

    result = project.run("--energy-resume", "-v")
    result.assert_outcomes(passed=50 - len(finished), deselected=len(finished))
    assert project.run_folder == folder
    passed = Counter(one["nodeid"] for one in project.records() if one["status"] == "passed")
    assert len(passed) == 50
    assert set(passed.values()) == {1}
    assert not set(ran(result)) & {one.partition("[")[2].removesuffix("]") for one in finished}
    result.stdout.fnmatch_lines([
        f"energy: resuming {folder.name}, whose report keeps {len(finished)} finished experiment*"
    ])
    for number in (0, 49):  # the table shows both sessions' cells
        result.stdout.fnmatch_lines([f"  x={number} *"])

    again = project.run("--energy-resume")
    assert again.ret == 0
    assert json.loads((folder / "run.json").read_text())["exit_status"] == 0
    assert len([one for one in project.records() if one["status"] == "passed"]) == 50


def test_what_failed_runs_again(project):
    """Only what passed is finished; after the repair the sweep is complete."""
    cells(project, broken=[1, 2])
    assert project.run().ret == 1
    cells(project)
    result = project.run("--energy-resume")
    result.assert_outcomes(passed=2, deselected=2)
    statuses = Counter(one["status"] for one in project.records())
    assert statuses == {"passed": 4, "failed": 2}


def test_changed_code_runs_again(project):
    """A test that trains by itself and was edited since, committed or not, is another measurement."""
    cells(project, count=2)
    project.run().assert_outcomes(passed=2)
    cells(project, count=2, sleep=0.01)
    project.run("--energy-resume").assert_outcomes(passed=2)


def test_a_changed_configuration_runs_again(project):
    """The same id with other values is another cell: the profile changes what is trained."""
    project.tests("""
        import pytest

        @pytest.mark.workload("toy/net")
        def test_it(train):
            train()
        """)
    project.run("--energy-profile=quick").assert_outcomes(passed=1)
    project.run("--energy-resume", "--energy-profile=quick").assert_outcomes(deselected=1)
    project.run("--energy-resume").assert_outcomes(passed=1)


def test_resume_under_xdist(project):
    """The controller tells the workers what is finished; what they measure goes to the same run."""
    cells(project, count=6, broken=[4, 5])
    project.run("-p", "xdist.plugin", "-n", "2").assert_outcomes(passed=4, failed=2)
    folder = project.run_folder
    cells(project, count=6)
    project.run("-p", "xdist.plugin", "-n", "2", "--energy-resume").assert_outcomes(passed=2)
    assert project.run_folder == folder
    assert len({one["nodeid"] for one in project.records() if one["status"] == "passed"}) == 6
    assert project.run("-p", "xdist.plugin", "-n", "2", "--energy-resume").ret == 0


def test_resume_without_a_run_begins_one(project):
    """The same command line begins the sweep and goes on with it; a run that was named must be there."""
    cells(project)
    result = project.run("--energy-resume")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["energy: no previous run to resume; starting a new one"])
    named = project.run("--energy-resume=nothing")
    assert named.ret == 4
    named.stderr.fnmatch_lines(["ERROR: --energy-resume: there is no run 'nothing' to resume; the newest runs are*"])


def test_history_leaves_known_mutations_out(project):
    """A mutation that an older run or CSV holds for the same workload alone is left out; beside a load it is not."""
    project.tests("""
        import pytest

        @pytest.mark.workload("toy/net")
        @pytest.mark.mutate("learning_rate", samples=2, default=True)
        def test_alone(train):
            train()

        @pytest.mark.workload("toy/net")
        @pytest.mark.mutate("learning_rate", samples=2)
        @pytest.mark.background_load("toy/net")
        def test_beside(train):
            train()
        """)
    project.run("-k", "alone").assert_outcomes(passed=3, deselected=2)
    for name in ("", "/summary.csv", "/records.jsonl"):
        result = project.run("--collect-only", f"--energy-history={project.run_folder}{name}")
        result.assert_outcomes(deselected=2)
        result.stdout.fnmatch_lines(["*test_alone?default-rep0?*"])
    bad = project.run("--energy-history=nothing.csv")
    assert bad.ret == 4
    bad.stderr.fnmatch_lines(["ERROR: --energy-history: *nothing.csv: there is no such file*"])


def test_keywords_with_resume_and_history(project):
    """With -k, a resumed run leaves out what it has finished, and --energy-history what older runs hold."""
    project.tests("""
        import pytest

        @pytest.mark.workload("toy/net")
        @pytest.mark.mutate("learning_rate", samples=2)
        def test_net(train):
            train()

        def test_other():
            pass
        """)
    project.run("-k", "net").assert_outcomes(passed=2, deselected=1)
    resumed = project.run("-k", "net", "--energy-resume")
    resumed.assert_outcomes(deselected=3)
    resumed.stdout.fnmatch_lines(["energy: *, whose report keeps 2 finished experiments"])
    assert len(project.records()) == 2
    known = project.run("-k", "net", f"--energy-history={project.run_folder}")
    known.assert_outcomes(deselected=3)
    known.stdout.fnmatch_lines(["energy: 2 mutations left out*"])


def test_a_plan_runs_nothing(project):
    """The table has a row a cell, with what earlier runs took; no test runs, no sensor opens, no folder is made."""
    cells(project, sleep=0.05)
    unknown = project.run("--energy-plan", "--energy-repeats=3")
    assert unknown.ret == 0
    unknown.stdout.fnmatch_lines([
        "*energy plan*",
        "cell*",
        "test_cell?x=0?*–*",
        "4 cells, 12 runs",
        "nothing is known*",
    ])
    assert not (project.path / "energy-results").exists()
    project.run("--energy-repeats=3").assert_outcomes(passed=12)
    runs = len(list((project.path / "energy-results").iterdir()))
    planned = project.run("--energy-plan", "--energy-repeats=3", "--energy-price=0.3 EUR/kWh")
    planned.stdout.fnmatch_lines([
        "test_cell?x=0?*ms*estimated*",
        "time: about *",
        "energy in the measurement windows: *",
    ])
    assert re.search(r"done between 20[-0-9 :]+\s+and 20", planned.stdout.str())
    assert re.search(r"EUR\s+at\s+0.3\s+EUR/kWh", planned.stdout.str())
    planned.assert_outcomes()
    assert len(list((project.path / "energy-results").iterdir())) == runs


def test_a_budget_stops_the_run(project):
    """The session ends in order when the energy is spent, and what is left can be gone on with."""
    cells(project, count=30, sleep=0.02)
    result = project.run("--energy-budget=1 mJ")
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*the energy budget of 1.00 mJ: * used; --energy-resume resumes the run*"])
    assert len(project.records()) == 1
    wrong = project.run("--energy-budget=lots")
    assert wrong.ret == 4
    wrong.stderr.fnmatch_lines(["ERROR: --energy-budget: 'lots' is not an energy*"])


def test_a_budget_stops_the_workers_too(project):
    """Under xdist each worker counts what all have measured, and the run tells where it is."""
    cells(project, count=40, sleep=0.02)
    result = project.run("-p", "xdist.plugin", "-n", "2", "--energy-budget=1 mJ")
    assert result.ret == 2
    assert len(project.records()) < 20
    status = json.loads((project.run_folder / "status.json").read_text())
    assert status["state"] == "finished"
    assert 0 < status["finished"] < 20


def test_a_governor_is_set_for_each_measured_test(project, monkeypatch):
    """During the test the CPUs have it, afterwards what they had: whoever measures next may want another."""
    folder = project.path / "sys/devices/system/cpu/cpu0/cpufreq"
    folder.mkdir(parents=True)
    (folder / "scaling_available_governors").write_text("performance powersave\n")
    (folder / "scaling_governor").write_text("powersave\n")
    monkeypatch.setenv("PYTEST_ENERGY_SYSFS_ROOT", str(project.path / "sys"))
    project.tests(f"""
        from pathlib import Path

        def test_it(energy_meter):
            assert Path("{folder}/scaling_governor").read_text().strip() == "performance"

        def test_that_measures_nothing():
            assert Path("{folder}/scaling_governor").read_text().strip() == "powersave"

        def test_another(energy_meter):
            assert Path("{folder}/scaling_governor").read_text().strip() == "performance"
        """)
    project.run("--energy-governor=performance").assert_outcomes(passed=3)
    assert (folder / "scaling_governor").read_text().strip() == "powersave"
    assert project.records()[0]["host"]["governor"] == "performance"
    result = project.run("--energy-governor=fast")
    result.assert_outcomes(errors=2, passed=1)
    result.stdout.fnmatch_lines(["*there is no CPU governor 'fast' here*"])


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--energy-order=shuffled", "invalid value 'shuffled'; known: blocked, declared, random"),
        ("--energy-seed=x", "'x' is not a whole number"),
        ("--energy-progress=loud", "invalid value 'loud'; known: auto, heartbeat, line, off"),
    ],
)
def test_a_bad_option_is_named(project, option, words):
    """The option, the value, and what would be right; nothing runs."""
    cells(project)
    result = project.run(option)
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: {option.partition('=')[0]}: {words}*"])
