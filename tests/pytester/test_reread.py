"""The records of a run are repaired with corrected patterns."""

from __future__ import annotations

import json

TESTS = """
import pytest

@pytest.mark.workload("toy/net", epochs=1)
def test_training(train):
    train()

@pytest.mark.workload("toy/broken", epochs=1)
def test_broken(train):
    train()
"""


def corrected(project, pattern):
    registry = json.loads((project.path / "models.json").read_text())
    registry["models"]["toy"]["performance_metrics"]["log_patterns"]["accuracy"] = pattern
    (project.path / "models.json").write_text(json.dumps(registry))


def test_a_run_with_a_wrong_pattern_is_repaired(project):
    """The training that failed without its metric has passed, the broken one has not; the energy stays as measured."""
    project.tests(TESTS)
    corrected(project, "^acuracy: ([0-9.]+)$")
    project.run().assert_outcomes(failed=2)
    before = {record["nodeid"]: record for record in project.records()}
    ended = (project.run_folder / "run.json").read_text()
    corrected(project, "^accuracy: ([0-9.]+)$")
    result = project.run("--energy-reread")
    assert result.ret == 0
    result.stdout.fnmatch_lines([
        "*test_training*: failed is now passed", "*test_training*: accuracy unknown is now 0.75",
        "1 of 2 trainings of * changed", "wrote *summary.csv*",
    ])  # fmt: skip
    after = {record["record_id"]: record for record in project.records()}
    assert len(after) == 2
    (repaired,) = [record for record in after.values() if "test_training" in record["nodeid"]]
    assert (repaired["status"], repaired["reason"]) == ("passed", None)
    assert repaired["workload"]["metrics"] == {"accuracy": 0.75}
    assert "its log was read again with other patterns" in repaired["workload"]["flags"][-1]
    assert repaired["energy"] == before[repaired["nodeid"]]["energy"]
    assert (project.run_folder / "run.json").read_text() == ended
    assert "0.75" in (project.run_folder / "summary.csv").read_text()
    again = project.run("--energy-reread")
    again.stdout.fnmatch_lines(["0 of 2 trainings of * changed"])


def test_the_latest_run_stays_the_latest(project):
    """An older run is repaired, and "latest" (which --energy-resume means) still names the newer one."""
    project.tests(TESTS)
    project.run().assert_outcomes(passed=1, failed=1)
    older = project.run_folder.resolve()
    project.run().assert_outcomes(passed=1, failed=1)
    newer = project.run_folder.resolve()
    assert newer != older
    assert project.run(f"--energy-reread={older.name}").ret == 0
    latest = [link for link in older.parent.glob("latest*") if link.is_symlink()]
    assert latest
    assert {link.resolve() for link in latest} == {newer}


def test_a_run_that_is_not_there_is_named(project):
    """With the runs that are there; a test path after the bare option stays a path."""
    result = project.run("--energy-reread=no-such-run")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*there is no run 'no-such-run'*"])
    empty = project.run("--energy-reread", "test_it.py")
    assert empty.ret == 4
    empty.stderr.fnmatch_lines(["*holds no run yet*"])
