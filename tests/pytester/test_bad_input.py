"""Bad input: one clear message at collection or start, nothing half-started, never an internal error."""

from __future__ import annotations

import json

import pytest

MARKED = """
import pytest

{marker}
def test_it(train):
    train()
"""

MARKERS = {
    '@pytest.mark.workload("toy/nett")': "did you mean 'toy/net'",
    '@pytest.mark.workload("toy/net", learning_rat=1)': "did you mean 'learning_rate'",
    '@pytest.mark.workload("toy/net", epochs="many")': "epochs",
    '@pytest.mark.workload("toy/net", profile="quik")': "did you mean 'quick'",
    "@pytest.mark.workload()": "takes one name",
    '@pytest.mark.workload("toy/net")\n@pytest.mark.mutate("momentum")': "momentum",
    '@pytest.mark.workload("toy/net")\n@pytest.mark.mutate()': "names nothing to mutate",
    '@pytest.mark.workload("toy/net")\n@pytest.mark.mutate("learning_rate", samples=0)': "samples",
    '@pytest.mark.workload("toy/net")\n@pytest.mark.mutate("learning_rate", vary="some")': "one-at-a-time",
    '@pytest.mark.workload("toy/net")\n@pytest.mark.background_load("toy/nop")': "toy/nop",
    '@pytest.mark.workload("toy/net")\n@pytest.mark.background_load("toy/net", n=0)': "whole number of 1 or more",
    '@pytest.mark.workload("toy/net")\n@pytest.mark.energy(repeat=3)': "did you mean 'repeats'",
    '@pytest.mark.workload("toy/net")\n@pytest.mark.energy(repeats=0)': "whole number of 1 or more",
    "@pytest.mark.mutate(learning_rate=[0.1, float('nan')])": "nan",
}


@pytest.mark.parametrize(("marker", "words"), MARKERS.items(), ids=range(len(MARKERS)))
def test_markers(project, marker, words):
    """A marker that is not understood stops the collection with the value and what would be right."""
    project.tests(MARKED.format(marker=marker))
    result = project.run()
    output = result.stdout.str() + result.stderr.str()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert words in output
    assert "INTERNALERROR" not in output
    assert "Traceback" not in output
    assert not (project.path / "energy-results").exists()


OPTIONS = {
    "--energy-repeats=0": "whole number of 1 or more",
    "--energy-repeats=many": "'many'",
    "--energy-interval=fast": "'fast'",
    "--energy-coverage-min=2": "fraction from 0 to 1",
    "--energy-sensors=thermometer": "known:",
    "--energy-sensors=rapl": "use powercap or perf",
    "--energy-tag=nokey": "KEY=VALUE",
    "--energy-models=nowhere.json": "nowhere.json",
    "--energy-profile=quik": "did you mean 'quick'",
    "--energy-dir=test_it.py": "test_it.py",
}


@pytest.mark.parametrize(("option", "words"), OPTIONS.items(), ids=list(OPTIONS))
def test_options(project, option, words):
    """An option's bad value ends the session at its start with one message."""
    project.tests(MARKED.format(marker='@pytest.mark.workload("toy/net")'))
    result = project.run(option)
    output = result.stdout.str() + result.stderr.str()
    assert result.ret in {pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERRUPTED}
    assert words in output
    assert "INTERNALERROR" not in output
    assert "Traceback" not in output


def test_the_source_is_named(project, monkeypatch):
    """The message says whether the command line, the environment or the ini file holds the bad value."""
    project.tests(MARKED.format(marker=""))
    monkeypatch.setenv("PYTEST_ENERGY_REPEATS", "x")
    project.run().stderr.fnmatch_lines(["*environment variable PYTEST_ENERGY_REPEATS*'x'*"])
    monkeypatch.delenv("PYTEST_ENERGY_REPEATS")
    project.ini("energy_coverage_min = 7")
    project.run().stderr.fnmatch_lines(["*ini setting energy_coverage_min*"])


REGISTRIES = {
    "{": "models.json:1:2: is not JSON",
    '{"models": {"toy": {"path": "nowhere", "train_script": "x.py", "models": ["default"]}}}': "nowhere",
    '{"modles": {}}': "did you mean 'models'",
}


@pytest.mark.parametrize(("text", "words"), REGISTRIES.items(), ids=range(len(REGISTRIES)))
def test_a_broken_registry(project, text, words):
    """A registry that cannot be used is named with the place in it."""
    (project.path / "models.json").write_text(text)
    project.tests(MARKED.format(marker='@pytest.mark.workload("toy/default")'))
    result = project.run()
    output = result.stdout.str() + result.stderr.str()
    assert result.ret != 0
    assert "models.json" in output
    assert words in output
    assert "INTERNALERROR" not in output


def test_a_script_that_cannot_be_executed(project):
    """A training script without the executable bit is refused before anything starts."""
    script = project.path / "train.sh"
    script.write_text("#!/bin/sh\n")
    registry = {"models": {"toy": {"path": ".", "train_script": "train.sh", "models": ["default"]}}}
    (project.path / "models.json").write_text(json.dumps(registry))
    project.tests(MARKED.format(marker='@pytest.mark.workload("toy/default")'))
    result = project.run()
    assert "chmod +x" in result.stdout.str()
    assert not (project.path / "energy-results").exists()


def test_train_without_workload(project):
    """train() without anything to train says what to write."""
    project.tests("def test_it(train):\n    train()\n")
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*nothing to train*workload*"])


def test_strict_without_counter(project, tmp_path, monkeypatch):
    """--energy-strict ends the session at its start where there is only an estimate, and says why."""
    monkeypatch.setenv("PYTEST_ENERGY_SYSFS_ROOT", str(tmp_path))
    project.tests("def test_it(energy_meter):\n    pass\n")
    result = project.run("--energy-strict", "--energy-sensors=powercap,estimate")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "powercap" in result.stderr.str()
    assert "--energy-strict" in result.stderr.str()
