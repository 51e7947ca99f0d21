"""Generated sets on disk: whole or not there, also when runs start together."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import c_functions
import data_cache
import pytest
from data_cache import CACHE_VARIABLE, cached_folder
from data_errors import DataError

GENERATE = """
import random
from pathlib import Path
from c_functions import draw_functions
from data_cache import cached_folder
from defect_data import read_d2a, write_d2a

def write(folder):
    write_d2a(folder, draw_functions(50, random.Random(1)), draw_functions(9, random.Random(2)))

print(len(read_d2a(cached_folder("set", write, fallback=Path("none")))[0].code))
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_set_is_written_once(root, tmp_path):
    """The second run reads what the first one wrote."""
    calls = []

    def write(folder):
        calls.append(folder)
        (folder / "data").write_text("whole")

    first = cached_folder("set-v1", write, fallback=tmp_path)
    assert cached_folder("set-v1", write, fallback=tmp_path) == first == root / "set-v1"
    assert len(calls) == 1


def test_a_generator_that_fails_leaves_nothing(root, tmp_path):
    """No half-written set is left that a later run would read."""

    def write(folder):
        (folder / "data").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        cached_folder("set-v1", write, fallback=tmp_path)
    assert list(root.iterdir()) == []


def test_runs_that_start_together_see_a_whole_set(root, tmp_path):
    """The slower of two runs drops its copy and reads the other's; none sees a part."""

    def write(folder):
        cached_folder("set-v1", lambda inner: (inner / "data").write_text("quicker"), fallback=tmp_path)
        (folder / "data").write_text("slower")

    assert (cached_folder("set-v1", write, fallback=tmp_path) / "data").read_text() == "quicker"
    assert [path.name for path in root.iterdir()] == ["set-v1"]


def test_real_processes_together(root, tmp_path):
    """Four processes that generate the same set at once all end well, with one set."""
    script = tmp_path / "generate.py"
    script.write_text(GENERATE)
    folders = [str(Path(module.__file__).parent) for module in (data_cache, c_functions)]
    runs = [
        subprocess.Popen(
            [sys.executable, str(script)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    assert [run.communicate()[0] for run in runs] == ["50\n"] * 4
    assert [path.name for path in root.iterdir()] == ["set"]


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    """The folder that was asked for is named, with the variable that asked for it."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    with pytest.raises(DataError, match=rf"file/cache.*{CACHE_VARIABLE}"):
        cached_folder("set-v1", lambda folder: None, fallback=tmp_path)


def test_without_a_home_the_output_folder_holds_the_cache(tmp_path, monkeypatch):
    """A user without a writable home still trains: the set goes into the run's own output folder."""
    (tmp_path / "file").write_text("")
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    folder = cached_folder("set-v1", lambda inner: None, fallback=tmp_path / "out")
    assert folder == tmp_path / "out" / "data-cache" / "set-v1"
