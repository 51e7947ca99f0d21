"""The command that a workload becomes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from copied import replace

from pytest_parallel_energy.errors import ConfigError, RegistryError
from pytest_parallel_energy.training.hyperparameter import Hyperparameter
from pytest_parallel_energy.training.registry import load_registry
from pytest_parallel_energy.training.workload import Output

DATA = Path(__file__).parent / "data"


@pytest.fixture
def workload():
    return load_registry([DATA / "registry.json"]).workload("tiny/logistic")


def test_the_command_is_an_argument_list_in_the_order_of_the_registry(workload, tmp_path):
    """Interpreter, script, model, required arguments, values, profile arguments, output folder."""
    command = workload.command(workload.values("quick"), output_dir=tmp_path, threads=2, profile="quick")
    assert command.argv == (
        *(sys.executable, str(DATA / "tiny" / "train.py"), "-n", "logistic", "--data", "two words"),
        *("--epochs", "2", "--lr", "0.5", "--tag", "plain", "--seed", "7"),
        *("--points", "100", "--output-dir", str(tmp_path)),
    )
    assert command.cwd == DATA / "tiny"


def test_the_environment_holds_the_thread_budget_and_the_output_folder(workload, tmp_path):
    """The budget, the wait policy and the registry's own variables are added, and nothing else."""
    command = workload.command(workload.values(), output_dir=tmp_path, threads=2)
    assert command.env == {
        "OMP_NUM_THREADS": "2",
        "MKL_NUM_THREADS": "2",
        "OPENBLAS_NUM_THREADS": "2",
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONUNBUFFERED": "1",
        "PARALLEL_ENERGY_OUTPUT_DIR": str(tmp_path),
        "TINY": "yes",
    }
    with pytest.raises(ConfigError, match="1 or more, not 0"):
        workload.command(workload.values(), output_dir=tmp_path, threads=0)


@pytest.mark.parametrize(
    "text",
    ["a b", "$(touch /tmp/owned)", "'", '"', "`id`", "a\nb", "; rm -rf /", "-x", "--epochs=9", "é 中", "*", "\\"],
)
def test_each_text_reaches_the_training_literally(workload, tmp_path, text):
    """Quotes, substitutions, newlines and leading dashes arrive as they were written: no shell sees them."""
    command = workload.command(workload.values(tag=text, epochs=1), output_dir=tmp_path, threads=1)
    subprocess.run(command.argv, check=True, cwd=command.cwd, capture_output=True)
    argv = json.loads((tmp_path / "seen.json").read_text())["argv"]
    assert text in argv or f"--tag={text}" in argv


@pytest.mark.parametrize("value", [1e-05, 0.1, 1 / 3, 5e-324, 1.7976931348623157e308, 0.062345678901234567])
def test_a_float_is_passed_exactly(workload, tmp_path, value):
    """No learning rate is rounded on its way to the training."""
    argv = workload.command(workload.values(learning_rate=value), output_dir=tmp_path, threads=1).argv
    assert float(argv[argv.index("--lr") + 1]) == value


def test_flags_of_each_form():
    """Joined flags, booleans, and a default that is left to the training."""
    joined = Hyperparameter(name="x", flag="--x=", kind="int")
    assert joined.arguments(-5) == ("--x=-5",)
    assert joined.arguments(None) == ()
    switch = Hyperparameter(name="x", flag="--x", kind="bool", false_flag="--no-x")
    assert switch.arguments(True) == ("--x",)
    assert switch.arguments(False) == ("--no-x",)
    assert replace(switch, false_flag=None).arguments(False) == ()


def test_a_nul_character_is_refused(workload, tmp_path):
    """No program can be given one."""
    with pytest.raises(ConfigError, match="NUL"):
        workload.command(workload.values(tag="\0"), output_dir=tmp_path, threads=1)


def test_outputs_through_a_variable(workload, tmp_path):
    """A script that reads its output folder from a variable gets it there."""
    one = replace(workload, output=Output(kind="env", name="RESULTS"))
    command = one.command(one.values(), output_dir=tmp_path, threads=1)
    assert command.env["RESULTS"] == str(tmp_path)
    assert str(tmp_path) not in command.argv


def test_a_workload_that_writes_into_its_checkout_can_run_in_a_copy(workload, tmp_path):
    """The copy is taken once, runs from its own folder, leaves .git out and links what is shared."""
    checkout = tmp_path / "checkout"
    (checkout / "data").mkdir(parents=True)
    (checkout / "data" / "set.bin").write_text("x")
    (checkout / ".git").mkdir()
    (checkout / "train.py").write_text("open('result.txt', 'w').write('mine')")
    one = replace(workload, path=checkout, output=Output())
    assert one.writes_into_checkout
    copies = [replace(one.isolated(), output=Output(kind="copy", share=("data",))) for _ in range(2)]
    for index, copied in enumerate(copies):
        # Results within the checkout itself: the copy must not descend into itself.
        folder = checkout / "results" / str(index)
        copied.prepare(folder, copied.values())
        command = copied.command({}, output_dir=folder, threads=1)
        subprocess.run(command.argv[:2], check=True, cwd=command.cwd)
        assert command.cwd.is_relative_to(folder)
        assert (command.cwd / "result.txt").read_text() == "mine"
        assert (command.cwd / "data").is_symlink()
        assert not (command.cwd / ".git").exists()
        assert not (command.cwd / "results").exists()
    assert not (checkout / "result.txt").exists()


def test_a_folder_that_cannot_be_made_is_refused(workload, tmp_path):
    """A file where the output folder should be is named."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(RegistryError, match="taken cannot be prepared"):
        workload.prepare(tmp_path / "taken", workload.values())
