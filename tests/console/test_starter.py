"""``init`` writes experiments that run as they are, and overwrites nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pytest_parallel_energy.console.cli import main
from pytest_parallel_energy.console.starter import write_starter
from pytest_parallel_energy.errors import ConfigError


def run_pytest(folder, *arguments):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--energy-idle=0", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize(("kind", "target", "passed"), [("script", "", 9), ("in-process", "", 6)])
def test_what_is_written_runs(tmp_path, kind, target, passed):
    """The tests pass unchanged, and each leaves its record."""
    write_starter(tmp_path / "new", kind)
    done = run_pytest(tmp_path / "new", *target.split())
    assert f"{passed} passed" in done.stdout, done.stdout + done.stderr
    (records,) = (tmp_path / "new" / "energy-results").glob("2*/records.jsonl")
    lines = [json.loads(line) for line in records.read_text().splitlines()]
    assert len(lines) == passed
    metrics = [line["workload"]["metrics"] if line["workload"] else line["metrics"] for line in lines]
    assert all(0.5 < metric["test_accuracy"] <= 1 for metric in metrics)


def test_an_experiment_file_runs(tmp_path):
    """The same training, asked for by a file."""
    write_starter(tmp_path, "file")
    done = run_pytest(tmp_path, "starter.energy.json")
    assert "4 passed" in done.stdout, done.stdout + done.stderr


def test_nothing_is_overwritten(tmp_path):
    """One file that exists is reason enough to write none, and the message names it."""
    (tmp_path / "train.py").write_text("mine")
    with pytest.raises(ConfigError, match=r"already has train\.py; nothing was written"):
        write_starter(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["train.py"]
    assert (tmp_path / "train.py").read_text() == "mine"


def test_a_project_keeps_its_pyproject(tmp_path):
    """Where there is a pyproject.toml, the settings get a file of their own that pytest prefers."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "mine"\n')
    write_starter(tmp_path)
    assert (tmp_path / "pyproject.toml").read_text() == '[project]\nname = "mine"\n'
    assert "energy_models = workloads.json" in (tmp_path / "pytest.ini").read_text()


@pytest.mark.parametrize(
    ("settings", "noted"), [("[tool.pytest.ini_options]\nxfail_strict = true\n", True), ("", False)]
)
def test_settings_that_pytest_no_longer_reads_are_noted(tmp_path, capsys, settings, noted):
    """A written pytest.ini takes the place of the settings in pyproject.toml: the output says so."""
    (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "mine"\n{settings}')
    assert main(["init", str(tmp_path)]) == 0
    assert ("instead of the pytest settings in" in capsys.readouterr().out) is noted


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    """The message says which path is a file, and how to name another folder."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"/file is a file, not a folder\. Name another folder: .* init DIR"):
        write_starter(tmp_path / "file" / "study")


def test_an_existing_repository_gets_an_entry(tmp_path):
    """The entry names the script relative to the registry, and its test trains it."""
    repository = tmp_path / "their work"
    repository.mkdir()
    (repository / "main.py").write_text("import sys; print('accuracy: 0.75', sys.argv[1:])")
    write_starter(tmp_path / "study", repository=str(repository), script="main.py")
    done = run_pytest(tmp_path / "study")
    assert "3 passed" in done.stdout, done.stdout + done.stderr
    assert "0.75" in done.stdout


@pytest.mark.parametrize(("script", "message"), [(None, "needs --script"), ("gone.py", "is not a file")])
def test_a_repository_without_its_script_is_refused(tmp_path, script, message):
    """The message says what is missing."""
    with pytest.raises(ConfigError, match=message):
        write_starter(tmp_path / "study", repository=str(tmp_path), script=script)
    assert not (tmp_path / "study").exists()
