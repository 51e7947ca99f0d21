"""Copies of a checkout: cheap, apart from the user's files, and gone after the test except for what was written."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from copied import replace

from pytest_parallel_energy.run.outputs import tidy_outputs
from pytest_parallel_energy.training.checkout_changes import checkout_remark
from pytest_parallel_energy.training.checkout_copy import CheckoutCopy
from pytest_parallel_energy.training.foreground import Training, read_training, run_training
from pytest_parallel_energy.training.registry import load_registry
from pytest_parallel_energy.training.workload import Output

DATA = Path(__file__).parent / "data"
SCRIPT = """
import pathlib
assert pathlib.Path("../siblings/x.txt").read_text() == "sibling"
assert pathlib.Path("../../above/y.txt").read_text() == "above"
assert pathlib.Path("data/big.bin").stat().st_size == 5 << 20
assert pathlib.Path("outside").read_text() == "sibling"
assert not pathlib.Path("checkpoints").exists()
assert pathlib.Path("untracked.py").exists()
pathlib.Path("untracked.py").write_text("# changed")
pathlib.Path("checkpoints").mkdir()
pathlib.Path("checkpoints/last.pt").write_text("mine")
print("accuracy: 1")
"""


@pytest.fixture(params=["git", "plain"])
def checkout(request, tmp_path):
    """A checkout with data, an environment, old checkpoints and links, with and without git."""
    folder = tmp_path / "projects" / "repository"
    for name in ("data", ".venv/bin", "checkpoints", "../siblings", "../../above"):
        (folder / name).mkdir(parents=True)
    (folder / "data" / "big.bin").write_bytes(b"\0" * (5 << 20))
    (folder / ".venv" / "bin" / "python").touch()
    (folder / "checkpoints" / "last.pt").write_text("theirs")
    (folder.parent / "siblings" / "x.txt").write_text("sibling")
    (folder.parent.parent / "above" / "y.txt").write_text("above")
    (folder / "train.py").write_text(SCRIPT)
    (folder / "outside").symlink_to("../siblings/x.txt")
    (folder / ".gitignore").write_text(".venv\ncheckpoints\n")
    if request.param == "git":
        for arguments in (["init", "-q"], ["add", "train.py", "outside", ".gitignore"]):
            subprocess.run(["git", "-C", str(folder), *arguments], check=True)
    (folder / "untracked.py").write_text("# theirs")
    return folder


def workload(checkout):
    one = load_registry([DATA / "registry.json"]).workload("tiny/logistic")
    return replace(one, path=checkout, output=Output(kind="copy"), required_metrics=(), environment={})


def test_a_copy_links_data_and_leaves_old_outputs_out(checkout, tmp_path):
    """Relative paths to neighbours work, data and environment cost nothing, and no user's file changes."""
    one = workload(checkout)
    result = read_training(run_training(Training(workload=one, values=one.values(), threads=1), tmp_path))
    assert result.status == "passed", result.log.read_text()
    (announced,) = [flag for flag in result.flags if flag.startswith("ran in a copy of its checkout (")]
    assert "linked: .venv, data; left out: checkpoints" in announced.replace("data, .venv", ".venv, data")
    assert "checkpoints/last.pt" not in " ".join(result.flags)
    assert (checkout / "checkpoints" / "last.pt").read_text() == "theirs"
    assert (checkout / "untracked.py").read_text() == "# theirs"
    size_bytes = sum(path.lstat().st_size for path in tmp_path.glob("outputs/**/*"))
    assert size_bytes < 1 << 20


@pytest.mark.parametrize(
    ("keep", "passed", "stays"),
    [("outputs", True, True), ("failed", True, False), ("failed", False, True), ("none", False, False)],
)
def test_what_stays_of_a_copy(checkout, tmp_path, keep, passed, stays):
    """The copy goes; what the training wrote into it stays as --energy-keep says."""
    one = workload(checkout)
    read_training(run_training(Training(workload=one, values=one.values(), threads=1), tmp_path))
    tidy_outputs([tmp_path], [checkout], keep, passed=passed)
    left = sorted(path.name for path in tmp_path.glob("outputs/**/*") if not path.is_dir())
    assert left == (["last.pt", "untracked.py"] if stays else [])
    assert (checkout / "data" / "big.bin").exists()
    assert (checkout.parent / "siblings" / "x.txt").exists()


def test_files_that_a_training_leaves_in_the_checkout_are_a_remark(checkout, tmp_path):
    """A script that writes into its own folder: the next run finds its checkpoint."""
    (checkout / "train.py").write_text("open('model.pt', 'w').write('x'); print('accuracy: 1')")
    one = replace(workload(checkout), output=Output())
    result = read_training(run_training(Training(workload=one, values=one.values(), threads=1), tmp_path))
    (remark,) = [flag for flag in result.flags if "checkout" in flag]
    assert remark.startswith("it left new or changed files in its checkout: model.pt; a later run finds them")


def test_results_within_the_checkout_are_not_its_files(checkout):
    """The run's own folder, caches and the virtual environment do not count; older files do not either."""
    own = checkout / "energy-results" / "run" / "experiments" / "one"
    own.mkdir(parents=True)
    before_s = time.time() - 0.1
    (own.parent.parent / "run.json").write_text("{}")
    (own / "training.log").touch()
    (checkout / "__pycache__").mkdir()
    (checkout / "__pycache__" / "x.pyc").touch()
    os.utime(checkout / ".venv" / "bin" / "python")
    found = checkout_remark(checkout, before_s + 1000, own)
    assert found is None
    (checkout / "late.txt").touch()
    assert "late.txt" in (checkout_remark(checkout, before_s, own) or "")
    assert "training.log" not in (checkout_remark(checkout, before_s, own) or "")


def test_the_announcement_names_five_folders_at_most():
    """A long list ends with how many more there are."""
    copied = CheckoutCopy(files=3, size_bytes=1_500_000, linked=list("abcdefg"))
    assert str(copied) == "ran in a copy of its checkout (3 files, 1.5 MB; linked: a, b, c, d, e and 2 more)"
