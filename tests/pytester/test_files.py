"""Experiment files in whole sessions: collected as tests, with everything that tests can do."""

from __future__ import annotations

import json
import re

import pytest

TOY = {"repo": "toy", "model": "net"}
TEMPLATE = {
    "experiment_name": "template",
    "mode": "parallel",
    "runs_per_config": 2,
    "experiments": [
        {
            "mode": "parallel",
            "foreground": {**TOY, "mode": "mutation", "mutate": ["learning_rate"]},
            "background": {**TOY, "hyperparameters": {"epochs": 1}},
        },
        {**TOY, "mode": "default", "hyperparameters": {"epochs": 2}},
    ],
}


@pytest.fixture
def write(project):
    def write(document, name="study.json"):
        text = document if isinstance(document, str) else json.dumps(document, indent=1)
        (project.path / name).write_text(text)
        return name

    return write


def ids(result):
    return re.findall(r"::(test_\S+)", result.stdout.str())


def test_a_file_runs(project, write):
    """Two mutations beside a load and two default runs, recorded as any test is."""
    result = project.run(write(TEMPLATE), "-v")
    result.assert_outcomes(passed=4)
    records = project.records()
    assert [record["nodeid"].split("[")[0] for record in records] == [
        *["study.json::test_net_beside_net"] * 2,
        *["study.json::test_net"] * 2,
    ]
    assert len({record["workload"]["hyperparameters"]["learning_rate"] for record in records}) == 3
    assert [record["workload"]["mutated"] for record in records] == [["learning_rate"]] * 2 + [[]] * 2
    assert [len(record["background"]) for record in records] == [1, 1, 0, 0]
    assert records[0]["background"][0]["hyperparameters"]["epochs"] == 1
    assert [record["repetition"] for record in records] == [0, 0, 0, 1]
    assert "<-" not in result.stdout.str()  # the tests stand in the file, as far as anybody can see


def test_ids_and_keywords(project, write):
    """-k finds entries by their models, values and the study's name; node ids can be typed."""
    listed = ids(project.run(write(TEMPLATE), "--collect-only", "-q"))
    assert len(listed) == 4
    assert re.fullmatch(r"test_net_beside_net\[learning_rate=[\d.]+-bg=toy/net-rep0\]", listed[0])
    assert len(ids(project.run("study.json", "--collect-only", "-q", "-k", "beside"))) == 2
    assert len(ids(project.run("study.json", "--collect-only", "-q", "-k", "template"))) == 4
    assert ids(project.run(f"study.json::{listed[0]}", "--collect-only", "-q")) == [listed[0]]
    assert not (project.path / "energy-results").exists()


def _what_runs(record):
    """Return the identities of training and loads; the cell itself also has the test in it."""
    return record["foreground_id"], record["loads_id"]


def test_the_same_cells_as_the_same_thing_in_python(project, write):
    """A file and a test with markers draw the same values and have the same cells."""
    project.tests("""
        import pytest

        @pytest.mark.workload("toy/net")
        @pytest.mark.mutate("learning_rate", samples=2, seed=0)
        @pytest.mark.background_load("toy/net", epochs=1)
        def test_it(train):
            train()
        """)
    project.run("test_it.py").assert_outcomes(passed=2)
    in_python = [_what_runs(record) for record in project.records()]
    one = {**TEMPLATE, "experiments": TEMPLATE["experiments"][:1]}
    project.run(write(one)).assert_outcomes(passed=2)
    assert [_what_runs(record) for record in project.records()] == in_python


CONDITIONS = """
[[experiments]]
repo = "toy"
model = "net"
mode = "default"
hyperparameters = {epochs = 300}

[[experiments.background]]
name = "toy/net"
n = 2
intensity = 0.5
ready = "started"
ready_timeout = "20 s"
grace = 3
hyperparameters = {epochs = 50}

[[experiments.background]]
command = ["./busy.sh", "a b"]
devices = "GPU-12ab"
"""
BUSY = """#!/bin/sh
echo "$1"
while :; do :; done
"""


def test_loads_run_under_their_conditions(project, write):
    """Two loads at half of their time and a command on a device of its own: asked for, held, and recorded."""
    write(BUSY, "busy.sh")
    (project.path / "busy.sh").chmod(0o755)
    project.run(write(CONDITIONS, "study.toml")).assert_outcomes(passed=1)
    (record,) = project.records()
    first, second, command = record["background"]
    for load in (first, second):
        assert (load["level"], load["level_asked"], load["stop"]) == ("intensity", 0.5, "graceful")
        assert load["level_reached"] == pytest.approx(0.5, abs=0.2)
        assert load["hyperparameters"]["epochs"] == 50
    assert first["script"] != second["script"]
    assert (command["name"], command["devices"], command["command"]) == ("busy.sh", "GPU-12ab", ["./busy.sh", "a b"])
    log = project.run_folder / record["folder"] / "background-3" / "round-1.log"
    assert log.read_text() == "a b\n"
    assert "bg=2xtoy/net+busy.sh-rep0" in record["nodeid"]


def test_the_same_conditions_as_in_python(project, write):
    """A file's load and a marker's are the same cell where their conditions are, and another where they are not."""
    project.tests("""
        import pytest

        @pytest.mark.workload("toy/net")
        @pytest.mark.background_load("toy/net", n=2, intensity=0.5, ready="started", grace="3 s", epochs=1)
        @pytest.mark.background_load(["sleep", "60"], devices=0, ready="started")
        def test_it(train):
            train()
        """)
    project.run("test_it.py").assert_outcomes(passed=1)
    beside = {**TOY, "intensity": [0.5, 1], "ready": "started", "hyperparameters": {"epochs": 1}, "n": 2, "grace": 3}
    entry = {
        **TOY,
        "mode": "default",
        "background": [beside, {"command": ["sleep", "60"], "devices": 0, "ready": "started"}],
    }
    (in_python,) = project.records()
    project.run(write([entry])).assert_outcomes(passed=2)
    half, full = project.records()
    assert _what_runs(half) == _what_runs(in_python) != _what_runs(full)
    assert "_intensity_0_5" in half["nodeid"]
    assert full["background"][0]["level"] is None


def test_a_plan_has_a_line_for_each_condition(project, write, monkeypatch):
    """What differs in a load's condition alone is a line of its own in the plan, and nothing runs."""
    monkeypatch.setenv("COLUMNS", "160")  # names are shortened on a narrow terminal
    entry = {**TOY, "mode": "default", "background": {"name": "toy/net", "intensity": [0.25, 0.5]}}
    result = project.run(write([entry]), "--energy-plan")
    result.stdout.fnmatch_lines([
        "*test_net_beside_net_intensity_0_25*",
        "*test_net_beside_net_intensity_0_5*",
        "*2 cells, 2 runs*",
    ])


def test_last_failed_and_xdist(project, write):
    """--lf runs what failed; workers of xdist collect the same items."""
    broken = {"experiments": [{"repo": "toy", "model": "broken", "mode": "default"}, {**TOY, "mode": "default"}]}
    result = project.run(write(broken), "-p", "xdist.plugin", "-n", "2")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*toy/broken: exit code 1; its log says: out of luck*"])
    again = project.run("study.json", "--lf")
    again.assert_outcomes(failed=1)


@pytest.mark.parametrize(
    ("name", "found"),
    [("study.energy.json", 4), ("study.json", 0), ("deep/x.energy.toml", 0)],
)
def test_which_files_are_collected(project, write, name, found):
    """*.energy.json is collected wherever it lies; another JSON file only when it is named."""
    if "/" not in name:
        write(TEMPLATE, name)
    assert len(ids(project.run("--collect-only", "-q"))) == found


def test_the_ini_setting_names_files(project, write):
    """energy_config makes files experiments by path or pattern, relative to the ini file."""
    project.ini("energy_config = stud*.json")
    write(TEMPLATE)
    assert len(ids(project.run("--collect-only", "-q"))) == 4


def test_yaml_of_others_is_left_alone(project, write):
    """A YAML file that was named and is no experiment file is not ours."""
    write("stages:\n  - request: x\n", "test_api.yaml")
    result = project.run("test_api.yaml")
    assert "experiments" not in result.stdout.str()


def test_profiles_and_retries(project, write, monkeypatch):
    """The run's profile counts where the file names none; retries of the file are retries of its tests."""
    monkeypatch.setenv("TOY_MARKER", str(project.path / "marker"))
    one = {"repo": "toy", "model": "flaky", "mode": "default", "max_retries": 1}
    project.run(write([one]), "--energy-profile=quick").assert_outcomes(passed=1)
    records = project.records()
    assert [record["status"] for record in records] == ["failed", "passed"]
    assert {record["workload"]["hyperparameters"]["epochs"] for record in records} == {2}


def test_a_timeout_stops_the_training(project, write):
    """The entry's timeout ends the training, not pytest."""
    result = project.run(write([{"repo": "toy", "model": "slow", "mode": "default", "timeout": 0.8}]))
    result.assert_outcomes(failed=1)
    (record,) = project.records()
    assert record["status"] == "timeout"
    assert "still running after 0.8 s" in record["reason"]


@pytest.mark.parametrize(
    ("document", "line"),
    [
        ("{", "*study.json:1:2: is not JSON*"),
        ([{**TOY, "mutate": ["lr"]}], "*study.json:6: [[]0].mutate[[]0]: toy/net has no hyperparameter 'lr'*"),
        ([{"repo": "tyo", "model": "net"}], "*there is no workload \"tyo/net\"; did you mean 'toy/net'*"),
        (
            [{**TOY, "background": {"name": "toy/net", "intensity": 2}}],
            "*study.json:7: [[]0].background.intensity: background_load(intensity=2): a share above 0, up to 1*",
        ),
        ([{**TOY, "background": ["toy/nett"]}], "*background[[]0]: there is no workload*did you mean 'toy/net'*"),
        ({"experimnts": []}, "*did you mean 'experiments'*"),
    ],
)
def test_a_bad_file_is_a_clear_collection_error(project, write, document, line):
    """What cannot be understood ends the session before anything starts: no traceback, no results folder."""
    result = project.run(write(document))
    assert result.ret == 2
    result.stdout.fnmatch_lines([line])
    text = result.stdout.str() + result.stderr.str()
    assert "INTERNALERROR" not in text
    assert "Traceback" not in text
    assert not (project.path / "energy-results").exists()


def test_notes_of_a_file_are_one_warning(project, write):
    """Unknown keys that resemble no known key are listed in one warning; --energy-strict-files refuses them."""
    write({"wave": 3, "experiments": [{**TOY, "mode": "default", "hypothesis": "slower"}]})
    result = project.run("study.json", "--collect-only", "-q", "-Wdefault")
    result.stdout.fnmatch_lines(["*ignored as notes: wave, experiments[[]0].hypothesis; --energy-strict-files*"])
    assert result.stdout.str().count("ignored as notes") == 1
    assert result.ret == 0
    result = project.run("study.json", "--collect-only", "-q", "--energy-strict-files")
    result.stdout.fnmatch_lines(['*study.json:2: wave: "wave" is not a key that is known here*'])
    assert result.ret == 2


def test_history_is_also_looked_for_from_the_root_folder(project, write):
    """A file in a folder names results as its author's tool did: from the folder where pytest runs."""
    (project.path / "settings").mkdir()
    (project.path / "old.csv").write_text("repository,model,hyperparam_learning_rate\ntoy,net,0.1")
    write(
        {"experiments": [{**TOY, "mutate": ["learning_rate"]}], "historical_csvs": ["old.csv"]}, "settings/study.json"
    )
    assert len(ids(project.run("settings/study.json", "--collect-only", "-q"))) == 1


def test_the_rows_of_older_results_are_counted(project):
    """One line per file of older results says how many rows were read, skipped and why; it is no warning."""
    rows = ["repository,model,status,hyperparam_learning_rate", "toy,net,passed,0.1", "toy,net,failed,0.2"]
    (project.path / "old.csv").write_text("\n".join(rows))
    one = {"repo": "toy", "model": "net", "mutate": ["learning_rate"]}
    (project.path / "study.energy.json").write_text(
        json.dumps({"profile": "quick", "historical_csvs": "old.csv", "experiments": [one, one]})
    )
    result = project.run("--collect-only", "-W", "error", "study.energy.json")
    assert result.ret == 0
    lines = [line for line in result.outlines if "old.csv" in line]
    assert lines == ["energy: historical_csvs: old.csv: 1 rows read, 1 skipped (1 that did not pass)"]
