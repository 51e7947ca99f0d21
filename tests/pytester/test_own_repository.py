"""A user's own repository: an existing checkout with a shell script, driven by a registry entry alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

# What such scripts do: print SUCCESS whatever happens, write into their own folder, and overrule a learning rate.
SCRIPT = """#!/bin/sh
rate=$4
echo "asked for learning rate: $rate"
if [ "$1" = "-n" ] && [ "$2" = "pcb" ]; then rate=0.02; fi
mkdir -p results
echo "$$ $rate" >> results/result.txt
echo "effective learning rate: $rate"
i=0
while [ $i -lt ${6%.*} ]; do i=$((i + 1)); echo "epoch $i"; sleep 0.05; done
[ "$2" = "broken" ] && { echo "Training finished: SUCCESS"; exit 3; }
[ "$2" = "mute" ] || echo "Rank@1:0.75 mAP:0.5"
echo "Training finished: SUCCESS"
"""
ENTRY = {
    "path": "checkouts/reid",
    "train_script": "./train.sh",
    "models": ["densenet121", "pcb", "broken", "mute"],
    "model_flag": "-n",
    "supported_hyperparams": {
        "learning_rate": {
            "flag": "--lr", "type": "float", "default": 0.05, "range": [0.025, 0.075], "distribution": "log_uniform",
            "applied": "^effective learning rate: (\\S+)$",
        },
        "epochs": {"flag": "--epochs", "type": "int", "default": 2, "range": [1, 3]},
    },
    "performance_metrics": {"log_patterns": {"rank1": "Rank@1:([0-9.]+)", "mAP": "mAP:([0-9.]+)"}},
    "sample_log": "reid.log",
}  # fmt: skip


@pytest.fixture
def reid(project):
    checkout = project.path / "checkouts" / "reid"
    checkout.mkdir(parents=True)
    (checkout / "train.sh").write_text(SCRIPT)
    (checkout / "train.sh").chmod(0o755)
    (project.path / "reid.log").write_text("effective learning rate: 0.05\nRank@1:0.5 mAP:0.2\n")
    (project.path / "own.json").write_text(json.dumps({"models": {"Person_reID": ENTRY}}))
    return checkout


def study(project, *entries):
    (project.path / "study.json").write_text(json.dumps([{"repo": "Person_reID", **entry} for entry in entries]))
    return project.run("study.json", "--energy-models=own.json")


def test_a_checkout_is_driven_as_it_is(project, reid):
    """Its script runs in its folder with the drawn value; metrics and the applied value come from its log."""
    study(project, {"model": "densenet121", "mutate": ["learning_rate"]}).assert_outcomes(passed=1)
    (record,) = project.records()
    asked = record["workload"]["hyperparameters"]["learning_rate"]
    assert record["workload"]["applied"] == {"learning_rate": asked}
    assert record["workload"]["metrics"] == {"rank1": 0.75, "mAP": 0.5}
    (flag,) = record["workload"]["flags"]
    assert flag.startswith("it left new or changed files in its checkout: results/result.txt; ")
    assert (reid / "results" / "result.txt").read_text().endswith(f" {asked!r}\n")


def test_a_value_that_was_not_applied_is_flagged(project, reid):
    """The script trained with 0.02 whatever was asked for: the record and the table say so."""
    result = study(project, {"model": "pcb", "mode": "default"})
    result.assert_outcomes(passed=1)
    (record,) = project.records()
    assert record["workload"]["applied"] == {"learning_rate": 0.02}
    assert record["workload"]["flags"][0] == "learning_rate: asked for 0.05, applied 0.02"
    result.stdout.fnmatch_lines(["*learning_rate: asked for 0.05, applied 0.02*"])


def test_success_is_the_exit_code_and_the_metrics(project, reid):
    """Two scripts that print SUCCESS: one exits with 3, one reports nothing. Both failed."""
    result = study(project, {"model": "broken", "mode": "default"}, {"model": "mute", "mode": "default"})
    result.assert_outcomes(failed=2)
    assert [record["workload"]["exit_code"] for record in project.records()] == [3, 0]
    result.stdout.fnmatch_lines(["*exit code 3; its log says: Training finished: SUCCESS*"])
    result.stdout.fnmatch_lines(["*exit code 0, but it reports none of rank1, mAP*"])


def test_two_runs_at_once_do_not_share_their_outputs(project, reid):
    """The load of the same repository runs in a copy of the checkout: the foreground's results are its own."""
    load = {"repo": "Person_reID", "model": "densenet121", "hyperparameters": {"epochs": 3}}
    study(project, {"model": "densenet121", "mode": "default", "background": load}).assert_outcomes(passed=1)
    (record,) = project.records()
    (load,) = record["background"]
    assert load["coverage_ratio"] > 0
    assert load["rounds_failed"] == 0
    assert len((reid / "results" / "result.txt").read_text().splitlines()) == 1
    kept = project.run_folder.glob("experiments/*/background/outputs/round-*/checkout/**/results/result.txt")
    assert all(len(result.read_text().splitlines()) <= 1 for result in kept)
    assert "ran in a copy of its checkout" in " ".join(load["flags"])


def test_a_pattern_that_does_not_fit_its_sample_is_refused(project, reid):
    """Before anything starts: the pattern, its place, and the sample log."""
    (project.path / "reid.log").write_text("Rank-1: 0.5\n")
    result = study(project, {"model": "pcb", "mode": "default"})
    assert result.ret == 2
    result.stdout.fnmatch_lines([
        "*own.json:*sample_log: the pattern performance_metrics.log_patterns.rank1 *finds nothing*"
    ])
    assert not (project.path / "energy-results").exists()


def test_the_console_script_plans(project, reid):
    """``pytest-parallel-energy plan`` is ``pytest --energy-plan``."""
    (project.path / "study.json").write_text(json.dumps([{"repo": "Person_reID", "model": "pcb", "mode": "default"}]))
    command = [sys.executable, "-m", "pytest_parallel_energy", "plan", "study.json", "--energy-models=own.json"]
    planned = subprocess.run(
        [*command, *project.plugins], cwd=project.path, capture_output=True, text=True, check=True, env=os.environ
    )
    assert "1 cell, 1 run" in planned.stdout
    assert not (project.path / "energy-results").exists()


def test_tests_inside_a_results_folder_are_not_collected(pytester):
    """A copy of a checkout in a run's folder, also under "latest", brings no tests into the next session."""
    pytester.makepyfile(test_mine="def test_mine(): pass")
    run = pytester.path / "energy-results" / "20260101-000000-abcdef"
    checkout = run / "experiments" / "cell-rep0" / "outputs" / "checkout"
    checkout.mkdir(parents=True)
    (run / "records.jsonl").touch()
    (checkout / "test_mine.py").write_text("def test_copy(): pass")
    (run.parent / "latest").symlink_to(run.name)
    (run.parent / "latest-beta").symlink_to(run.name)
    (pytester.path / "20260101").mkdir()
    (pytester.path / "20260101" / "test_dated.py").write_text("def test_dated(): pass")
    result = pytester.runpytest("-q", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=2)
