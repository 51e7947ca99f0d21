"""Answers on an ASCII terminal, and registries that the ini file names."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from pytest_parallel_energy.records.store import RunStore


def command(folder, *arguments, encoding="utf-8"):
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    return subprocess.run(
        [sys.executable, "-m", "pytest_parallel_energy", *arguments],
        cwd=folder, env=env, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip


def test_an_ascii_terminal_gets_every_answer(tmp_path):
    """Characters that it lacks are replaced; none of the commands fails."""
    done = command(tmp_path, "measure", "--sensors", "estimate", "--", "true", encoding="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stderr.isascii()
    done = command(tmp_path, "doctor", encoding="ascii")
    assert done.returncode in {0, 1}  # 1 where no counter can be read
    assert done.stderr == ""
    assert done.stdout.isascii()


def test_an_ascii_terminal_gets_reports_and_comparisons(tmp_path, make_record):
    """A table, a comparison in each format, and files with names and values that ASCII lacks; files stay UTF-8."""
    store = RunStore.create(tmp_path / "energy-results", name="größer")
    for repetition in range(3):
        failed = {"status": "failed", "reason": "Verlust ≠ 0 …"} if repetition == 2 else {}
        store.append(make_record(nodeid="test_größe.py::test_λ", repetition=repetition, run_id=store.run_id, **failed))
    store.finish(0)
    for arguments in (
        ["report", "--to", "term", "--to", "md", "--to", "html"],
        ["compare", "latest", "latest"],
        ["compare", "latest", "latest", "--format", "md"],
        ["export", "latest", "--to", "csv"],
        ["merge", "energy-results", "-o", "merged"],
    ):
        done = command(tmp_path, *arguments, encoding="ascii")
        assert (done.returncode, done.stderr) == (0, ""), arguments
        assert done.stdout.isascii(), arguments
        assert done.stdout, arguments
        if arguments[0] == "report":
            assert "energy +- 95 %" in done.stdout
    assert "λ | 2 |" in (store.folder / "report.md").read_text(encoding="utf-8")
    refused = command(tmp_path, "report", "größe…", "--dir", "ß", encoding="ascii")
    assert refused.returncode == 2
    assert refused.stderr.startswith("pytest-parallel-energy: no run or baseline")
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pytest.ini", "[pytest]\nenergy_models = models.json\n"),
        ("pyproject.toml", '[tool.pytest.ini_options]\nenergy_models = ["models.json"]\n'),
        ("setup.cfg", "[tool:pytest]\nenergy_models = models.json\n"),
    ],
)
def test_list_reads_the_registries_of_the_ini_file(tmp_path, file, text):
    """As pytest does: from a folder below too, with paths relative to the ini file."""
    (tmp_path / "t.py").touch()
    entry = {"path": ".", "train_script": "t.py", "models": ["default"]}
    (tmp_path / "models.json").write_text(json.dumps({"models": {"mine": entry}}))
    (tmp_path / file).write_text(text)
    below = tmp_path / "below"
    below.mkdir()
    done = command(below, "list")
    assert "mine/default" in done.stdout, done.stderr
