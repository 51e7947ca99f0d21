"""A background load proves that it trains: its rounds succeed, report metrics, and have folders of their own."""

from __future__ import annotations

import json

import pytest

BESIDE = """
import pytest, time

@pytest.mark.background_load({load})
def test_beside(background_load, energy_meter):
    time.sleep({seconds})
"""
IMPORTING = """
import os, sys, time
begin = time.monotonic()
while time.monotonic() - begin < 1.5:  # what an import of a framework looks like from outside
    sum(range(10_000))
print("\\x1b[32mlearning rate 0.1\\x1b[0m", flush=True)
while True:
    sum(range(10_000))
"""
RESUMING = """
import os, pathlib, time
checkpoint = pathlib.Path(os.environ["PARALLEL_ENERGY_OUTPUT_DIR"], "checkpoint")
if not checkpoint.exists():
    time.sleep(0.3)
    checkpoint.write_text("trained")
print("accuracy: 0.9", flush=True)
"""


@pytest.fixture
def registered(project):
    """A function that registers a script as the only workload of a repository of its own."""

    def register(script, **entry):
        (project.path / "own").mkdir(exist_ok=True)
        (project.path / "own" / "train.py").write_text(script)
        entry = {"path": "own", "train_script": "train.py", "models": ["default"]} | entry
        registry = json.loads((project.path / "models.json").read_text())
        registry["models"]["own"] = entry
        (project.path / "models.json").write_text(json.dumps(registry))

    return register


def beside(project, load, seconds=1.0):
    project.tests(BESIDE.format(load=load, seconds=seconds))


def test_a_load_whose_rounds_all_fail_fails_the_test(project):
    """It ran for nearly the whole window, and each round crashed after its work: the failed round's log is shown."""
    beside(project, '"toy/broken", epochs=30, ready="started"')
    result = project.run("--energy-coverage-min=0.1")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([
        "*background load 'toy/broken' did not train: * rounds in the window failed, the last one with exit code 1*",
        "*out of luck*",
    ])


def test_such_a_load_passes_where_any_load_is_allowed(project):
    """The user says so with --energy-coverage-min=0; the failed rounds stay a remark."""
    beside(project, '"toy/broken", epochs=30, ready="started"')
    result = project.run("--energy-coverage-min=0")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*rounds failed (exit 1*"])


def test_a_load_without_its_metrics_fails_the_test(project, registered):
    """Exit code 0 is not training: the round must report what a foreground training must report."""
    metrics = {"performance_metrics": {"log_patterns": {"accuracy": "^accuracy: ([0-9.]+)$"}}}
    registered("print('nothing to report', flush=True); sum(range(3 * 10**6))", **metrics)
    beside(project, '"own/default", ready="started"')
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*'own/default' did not train: round * but it reports none of accuracy*"])


def test_a_value_that_a_load_did_not_apply_is_a_remark(project, registered):
    """Asked for 0.5, the load's log shows 0.1: the record of the load says so."""
    described = {"lr": {"flag": "--lr", "type": "float", "default": 0.5, "applied": "^learning rate (\\S+)$"}}
    registered("print('learning rate 0.1', flush=True); sum(range(3 * 10**6))", supported_hyperparams=described)
    beside(project, '"own/default"')
    project.run().assert_outcomes(passed=1)
    (load,) = project.records()[0]["background"]
    assert any(flag.endswith("lr: asked for 0.5, applied 0.1") for flag in load["flags"]), load["flags"]


def test_a_load_is_ready_when_it_reports_and_not_while_it_imports(project, registered):
    """The first match of an applied pattern makes it ready, colours or not; the record has both moments."""
    described = {"lr": {"flag": "--lr", "type": "float", "default": 0.1, "applied": "^learning rate ([0-9.]+)$"}}
    registered(IMPORTING, supported_hyperparams=described)
    beside(project, '"own/default"', seconds=0.3)
    project.run().assert_outcomes(passed=1)
    (load,) = project.records()[0]["background"]
    assert load["ready_s"] >= 1.5
    assert load["busy_s"] < load["matched_s"] < load["ready_s"]


def test_a_load_whose_patterns_never_match_counts_by_its_activity(project, registered):
    """After the time that a load has to become ready, with a remark; a round that ended well makes it ready too."""
    described = {"lr": {"flag": "--lr", "type": "float", "default": 0.1, "applied": "^never (\\S+)$"}}
    registered(IMPORTING, supported_hyperparams=described)
    beside(project, '"own/default", ready_timeout=2', seconds=0.3)
    project.run().assert_outcomes(passed=1)
    (load,) = project.records()[0]["background"]
    assert load["matched_s"] is None
    assert load["ready_s"] >= 2
    assert "none of its metric or applied patterns matched" in " ".join(load["flags"])


def test_each_round_has_a_folder_of_its_own(project, registered):
    """A training that resumes from its checkpoint trains in each round, and the folders of old rounds are removed."""
    registered(
        RESUMING,
        command=["{python}", "train.py", "--out={output}"],
        performance_metrics={"log_patterns": {"accuracy": "^accuracy: ([0-9.]+)$"}},
    )
    registry = json.loads((project.path / "models.json").read_text())
    del registry["models"]["own"]["train_script"]
    (project.path / "models.json").write_text(json.dumps(registry))
    beside(project, '"own/default"', seconds=2.5)
    project.run().assert_outcomes(passed=1)
    (record,) = project.records()
    (load,) = record["background"]
    spans_s = [end_s - begin_s for begin_s, end_s in load["round_spans_s"][:-1]]
    assert len(spans_s) >= 3
    assert min(spans_s) >= 0.3
    outputs = project.run_folder / record["folder"] / "background" / "outputs"
    kept = sorted(path.name for path in outputs.iterdir() if path.name != "template")
    assert len(kept) <= 3
    assert (outputs / "round-1" / "checkpoint").exists()
    assert load["command"][-1].startswith("--out=")
    assert "/outputs/round-" in load["command"][-1]


def test_rounds_of_very_different_lengths_are_a_remark(project, registered):
    """A training that resumes from a checkpoint elsewhere does nothing from its second round on."""
    marker = project.path / "checkpoint"
    script = f"import pathlib, time\nif not pathlib.Path({str(marker)!r}).exists(): time.sleep(1.2)\n"
    registered(f"{script}pathlib.Path({str(marker)!r}).touch()\nsum(range(10**6))")
    beside(project, '"own/default", ready="started"', seconds=2)
    project.run().assert_outcomes(passed=1)
    (load,) = project.records()[0]["background"]
    assert "a training that resumes from a checkpoint does less" in " ".join(load["flags"])


def test_processes_that_outlive_training_and_round_are_remarks(project, registered):
    """A training that only starts another process and ends: the record names the command that was killed."""
    metrics = {"performance_metrics": {"log_patterns": {"accuracy": "^accuracy: ([0-9.]+)$"}}}
    script = (
        "import subprocess, sys\nbusy = [sys.executable, '-c', 'while True: pass', '--api-key=abc']\n"
        "subprocess.Popen(busy, start_new_session=True)\nsum(range(10**7))\nprint('accuracy: 1', flush=True)"
    )
    registered(script, **metrics)
    project.tests("""
import pytest, time

@pytest.mark.workload("own/default")
def test_training(train):
    train()

@pytest.mark.background_load("own/default")
def test_beside(background_load):
    time.sleep(1)
""")
    project.run("--energy-coverage-min=0.3").assert_outcomes(passed=2)
    training, beside_record = project.records()
    (flag,) = training["workload"]["flags"]
    assert flag.startswith("a process was still running when the command ended, and was killed: ")
    assert "while True: pass" in flag
    assert "abc" not in flag
    (load,) = beside_record["background"]
    assert "a process of round 1 was still running when the round ended" in " ".join(load["flags"])


def test_a_command_load_gets_the_thread_budget_and_the_own_interpreter(project, monkeypatch):
    """``python`` is the interpreter that runs pytest, and the budget's variables are set."""
    project.tests("""
import os, sys

def test_beside(background_load):
    code = "import os, sys; print(sys.executable, os.environ['OMP_NUM_THREADS'], flush=True); sum(range(10**8))"
    load = background_load(["python", "-c", code], ready="pattern:.")
    log = (load.log_dir / "round-1.log").read_text()
    assert log.split() == [sys.executable, "1"], log
""")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    project.run().assert_outcomes(passed=1)


def test_a_failed_training_shows_the_end_of_its_log_and_its_path(project):
    """The last 20 lines, not one; the folder carries the name of the test."""
    project.tests("""
import pytest

@pytest.mark.workload("toy/broken", epochs=30)
def test_failing(train):
    train()
""")
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*its log says: out of luck", "*test_failing-*/training.log ends with:", "*epoch 12*"])
    assert "epoch 9" not in result.stdout.str()
    (record,) = project.records()
    assert record["folder"].startswith("experiments/test_failing-")


def test_the_fixture_threads_applies_the_budget(project):
    """A test that trains in pytest's own process sees it while it runs, and the header names the fixture."""
    project.tests("""
import os

def test_own(threads):
    assert threads == 3
    assert os.environ["OMP_NUM_THREADS"] == "3"

def test_other(energy_meter):
    assert os.environ.get("OMP_NUM_THREADS") != "3"
""")
    result = project.run("--energy-threads=3")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["energy: 3 CPU threads for a training that train() starts*fixture 'threads'"])
