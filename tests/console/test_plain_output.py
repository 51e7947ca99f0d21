"""Answers on an ASCII terminal, and registries that the ini file names."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest


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
    assert "+-" in done.stderr
    assert "Traceback" not in command(tmp_path, "doctor", encoding="ascii").stderr


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
