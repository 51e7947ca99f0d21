"""A gate that was asked for and cannot judge fails; reports and results stay off the user's files."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from pytest_parallel_energy.console.cli import main

SUITE = "def test_it(energy_meter): pass\n"


@pytest.fixture
def study(project):
    """A project whose baseline was saved by an earlier session; gives the file."""
    project.tests(SUITE)
    project.run("--energy-save-baseline").assert_outcomes(passed=1)
    (baseline,) = project.path.glob("energy-results/baselines/*/default.jsonl")
    return baseline


def _empty(file):
    file.write_bytes(b"")


def _cut(file):
    file.write_bytes(file.read_bytes() + file.read_bytes()[:-50])


def _random(file):
    file.write_bytes(os.urandom(5000))


def _newer(file):
    file.write_bytes(re.sub(rb'"schema_version":\d+', b'"schema_version":99', file.read_bytes()))


def _folder(file):
    file.unlink()
    file.mkdir()


def _fifo(file):
    file.unlink()
    os.mkfifo(file)


DAMAGES = pytest.mark.parametrize("damage", [_empty, _cut, _random, _newer, _folder, _fifo])


@DAMAGES
@pytest.mark.parametrize("wanted", ["--energy-compare-fail=total_j:5%", "--energy-baseline-missing=fail"])
def test_a_damaged_baseline_fails(project, study, damage, wanted):
    """The session is refused before anything is measured, with the file and a remedy, and never hangs."""
    damage(study)
    result = project.run("--energy-compare", wanted)
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: --energy-compare: *{study.name}*"])
    result.stderr.no_fnmatch_line("*Traceback*")


def test_a_comparison_without_a_gate_only_says_so(project, study):
    """The user who only wants to see a comparison gets the reason that there is none."""
    _folder(study)
    result = project.run("--energy-compare")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["problem: nothing to compare with: *"])


def test_a_reference_that_vanishes_meanwhile_fails_the_gate(project, study):
    """What could be read before the training and not after it cannot judge either."""
    project.tests(SUITE + f"\nimport pathlib\ndef test_other(): pathlib.Path({str(study)!r}).unlink()\n")
    assert project.run("--energy-compare", "--energy-compare-fail=total_j:5%").ret == 1


def test_an_empty_results_folder_is_refused(project, monkeypatch):
    """``--energy-dir="$UNSET"`` must not turn the repository into a results folder."""
    project.tests(SUITE)
    for arguments in (["--energy-dir="], ["--energy-dir", " "]):
        result = project.run(*arguments)
        assert result.ret == 4
        result.stderr.fnmatch_lines(["ERROR: --energy-dir: *name is empty*"])
    monkeypatch.setenv("PYTEST_ENERGY_DIR", "")
    assert project.run().ret == 4
    assert not (project.path / ".gitignore").exists()


def test_a_repository_as_results_folder_is_not_ignored(project):
    """``--energy-dir=.`` works, and git still sees the user's files."""
    project.tests(SUITE)
    subprocess.run(["git", "init", "-q", str(project.path)], check=True)
    project.run("--energy-dir=.").assert_outcomes(passed=1)
    assert not (project.path / ".gitignore").exists()
    status = subprocess.run(["git", "status", "--short"], cwd=project.path, capture_output=True, text=True, check=True)
    assert "test_it.py" in status.stdout


def test_a_report_never_replaces_the_records(project, study, monkeypatch, capsys):
    """Exports, reports and comparisons refuse the files that they read, under each of their names."""
    monkeypatch.chdir(project.path)
    records = project.run_folder / "records.jsonl"
    (project.path / "hard").hardlink_to(records)
    (project.path / "soft").symlink_to(records)
    before = {path: path.read_bytes() for path in (records, study, project.run_folder / "run.json")}
    for target in (records, project.path / "hard", project.path / "soft", project.run_folder / "run.json"):
        assert main(["export", "--to", "csv", "-o", str(target)]) == 2
        assert main(["report", "--to", f"md:{target}"]) == 2
        assert main(["compare", "latest", "latest", "-o", str(target)]) == 2
    assert main(["report", "--compare", str(study), "--to", f"md:{study}"]) == 2
    assert main(["export", str(study), "--to", "csv", "-o", str(study)]) == 2
    assert {path: path.read_bytes() for path in before} == before
    assert "name another file to write to" in capsys.readouterr().err
    result = project.run(f"--energy-report=md:{records}")
    result.stdout.fnmatch_lines(["problem: *belongs to a run*"])
    assert records.read_bytes() == before[records]
