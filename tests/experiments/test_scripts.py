"""The training scripts as programs: what they say when they cannot train, and that they repeat themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the experiments extra is not installed")
pytest.importorskip("tree_sitter_c", reason="the experiments extra is not installed")

WORKLOADS = Path(__file__).parents[2] / "experiments" / "workloads"
TINY = {
    "train_resnet_cifar10.py": ["-e", "1", "--limit", "64", "--batch-size", "32"],
    "train_vulberta.py": [
        "--epochs", "1", "--limit", "64", "--batch_size", "32", "--layers", "1", "--width", "16", "--heads", "2",
        "--length", "32", "--vocabulary", "200",
    ],
}  # fmt: skip
EVERY = pytest.mark.parametrize("script", TINY)


@pytest.fixture
def run(tmp_path, tmp_path_factory):
    """Runs a script in an empty folder; the generated sets are shared by the tests of this session."""
    cache = tmp_path_factory.getbasetemp() / "generated"

    def start(script, *arguments, **variables):
        env = {**os.environ, "OMP_NUM_THREADS": "1", "EXPERIMENTS_CACHE": str(cache), **variables}
        return subprocess.run(
            [sys.executable, str(WORKLOADS / script), *arguments],
            cwd=tmp_path, env=env, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip

    return start


def figures(log):
    """The lines that do not depend on how fast the machine is."""
    return [line for line in log.splitlines() if line.startswith(("config:", "model:", "train_loss:", "test_", "f1"))]


@EVERY
def test_the_same_seed_gives_the_same_figures(run, script, tmp_path):
    """Two runs with one seed print the same loss and the same scores, and write nothing but what they were asked to."""
    first, second = run(script, *TINY[script]), run(script, *TINY[script])
    assert first.returncode == 0, first.stderr
    assert figures(first.stdout) == figures(second.stdout)
    assert len(figures(first.stdout)) > 5
    assert list(tmp_path.iterdir()) == []


@EVERY
def test_a_path_that_does_not_exist_is_one_line(run, script):
    """A wrong path is one line that names it, and exit code 2."""
    result = run(script, "--data", "/no/such/folder")
    assert result.returncode == 2
    assert result.stderr.splitlines() == ["error: --data: /no/such/folder does not exist"]


@EVERY
def test_a_folder_without_the_data_says_what_belongs_there(run, script, tmp_path):
    """An existing folder that is not the data set is one line that says what was expected."""
    result = run(script, "--data", str(tmp_path))
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert str(tmp_path) in result.stderr


def test_the_data_path_may_stand_in_the_environment(run):
    """``EXPERIMENTS_CIFAR10`` does what ``--data`` does."""
    result = run("train_resnet_cifar10.py", EXPERIMENTS_CIFAR10="/no/such/folder")
    assert result.stderr.splitlines() == ["error: --data: /no/such/folder does not exist"]


def test_training_goes_on_from_a_checkpoint(run, tmp_path):
    """The weights that ``--save`` wrote are those that ``--checkpoint`` starts from; another model's are refused."""
    tiny = TINY["train_resnet_cifar10.py"]
    assert run("train_resnet_cifar10.py", *tiny, "--save", "--output-dir", "kept").returncode == 0
    again = run("train_resnet_cifar10.py", *tiny, "--checkpoint", "kept/model.pt")
    assert again.returncode == 0, again.stderr
    assert "checkpoint: kept/model.pt" in again.stdout
    other = run("train_resnet_cifar10.py", *tiny, "-n", "resnet32", "--checkpoint", "kept/model.pt")
    assert other.returncode == 2
    assert "kept/model.pt is no state_dict of this model" in other.stderr
