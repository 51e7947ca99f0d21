"""add-workload proposes an entry that a registry accepts and that really trains; metrics reads logs with it."""

from __future__ import annotations

import json
import sys

import pytest

from pytest_parallel_energy.console.cli import main
from pytest_parallel_energy.training.entry_proposal import log_patterns
from pytest_parallel_energy.training.foreground import Training, read_training, run_training
from pytest_parallel_energy.training.registry import load_registry
from pytest_parallel_energy.training.script_options import help_options, source_options

ARGPARSE = """
import argparse
parser = argparse.ArgumentParser(description="trains")
parser.add_argument("data", nargs="?", help="folder (default: none)")
parser.add_argument("-b", "--batch-size", default=128, type=int, metavar="N", help="size of a batch\\n (default: 128)")
parser.add_argument("--lr", "--learning-rate", default=0.1, type=float,
    help="initial rate, a text that is so long that it needs more than a line of the help")
parser.add_argument("--arch", choices=["resnet", "vgg"], default="resnet")
parser.add_argument("--nesterov", action="store_true")
parser.add_argument("--amp", action=argparse.BooleanOptionalAction, default=False)
parser.add_argument("--save-dir", default="save_temp")
parser.add_argument("--data-dir", default="./data")
parser.add_argument("--workers", type=int, default=4)
options = parser.parse_args()
print(f"lr={options.lr} batch={options.batch_size} arch={options.arch} amp={options.amp} nesterov={options.nesterov}")
print(f" * Prec@1 {options.lr * 5:.3f}")
print(f"Epoch 1 | train loss: 0.25 | test accuracy: 0.875")
"""
CLICK = """
import click

@click.command()
@click.option("--lr", default=0.001, help="Rate.", show_default=True)
@click.option("--epochs", type=int, default=3, show_default=True)
@click.option("--optimizer", type=click.Choice(["sgd", "adam"]), default="sgd", show_default=True)
@click.option("--amp/--no-amp", default=True)
@click.option("--output-dir", type=click.Path(), default="out")
def train(lr, epochs, optimizer, amp, output_dir):
    print("accuracy: 0.5")

if __name__ == "__main__":
    train()
"""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / "train.py").write_text(ARGPARSE)
    (tmp_path / "run.log").write_text("Epoch 1 | train loss: 0.25 | test accuracy: 0.875\nlr=0.1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_proposed_entry_trains(repository, capsys):
    """Types, defaults and choices arrive; the registry with the entry is valid, and its command runs."""
    command = ["add-workload", "repository/train.py", "--log", "run.log", "--write", "workloads.json"]
    assert main(command) == 0
    assert "not proposed: --data-dir" in capsys.readouterr().err
    entry = json.loads((repository / "workloads.json").read_text())["models"]["repository"]
    assert entry["output"] == {"flag": "--save-dir"}
    assert entry["sample_log"] == "run.log"
    described = entry["supported_hyperparams"]
    assert described["learning_rate"] == {
        "flag": "--lr", "type": "float", "default": 0.1, "range": [0.05, 0.2], "distribution": "log_uniform",
    }  # fmt: skip
    assert described["batch_size"] == {"flag": "--batch-size", "type": "int", "default": 128}
    assert described["arch"] == {"flag": "--arch", "type": "str", "default": "resnet", "choices": ["resnet", "vgg"]}
    assert described["amp"] == {"flag": "--amp", "type": "bool", "false_flag": "--no-amp", "default": False}
    assert described["nesterov"] == {"flag": "--nesterov", "type": "bool", "default": False}
    workload = load_registry([repository / "workloads.json"]).workload("repository/default")
    values = workload.values(learning_rate=0.05, amp=True, arch="vgg", batch_size=8)
    result = read_training(run_training(Training(workload=workload, values=values, threads=1), repository))
    assert result.status == "passed", result.log.read_text()
    assert result.log.read_text().startswith("lr=0.05 batch=8 arch=vgg amp=True nesterov=False")
    assert result.metrics == {"train_loss": 0.25, "test_accuracy": 0.875}


def test_an_entry_is_not_replaced(repository, capsys):
    """A second one of the same name is refused, another one is added to the file."""
    assert main(["add-workload", "repository/train.py", "--write", "workloads.json"]) == 0
    before = (repository / "workloads.json").read_text()
    assert main(["add-workload", "repository/train.py", "--write", "workloads.json"]) == 2
    assert "has an entry 'repository' already" in capsys.readouterr().err
    assert (repository / "workloads.json").read_text() == before
    assert main(["add-workload", "repository/train.py", "--write", "workloads.json", "--name", "other"]) == 0
    assert set(json.loads((repository / "workloads.json").read_text())["models"]) == {"repository", "other"}


def test_a_script_whose_help_fails_is_read_from_its_source(repository, capsys):
    """An import that is missing: the source alone gives the entry, and a note says so."""
    script = repository / "repository" / "train.py"
    script.write_text("import no_such_module\n" + ARGPARSE)
    assert main(["add-workload", "repository/train.py"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["models"]["repository"]["supported_hyperparams"]["batch_size"]["default"] == 128
    assert "train.py --help failed with exit code 1 (ModuleNotFoundError: No module named 'no_such_module')" in err


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("base.yaml", "optim: {lr: 0.1, name: sgd}\nmodel: {depth: 3}\ndata: {root: /data}\namp: false\n"),
        ("base.py", "optim = dict(lr=0.1, name='sgd')\nclass model: depth = 3\namp = False\nout_dir = 'out'\n"),
    ],
)
def test_the_keys_of_a_config_file(repository, capsys, name, text):
    """Numbers and switches become hyperparameters with their keys; texts and places do not."""
    (repository / "repository" / name).write_text(text)
    (repository / "repository" / "train.py").write_text("import sys; print(open(sys.argv[2]).read(), 'accuracy: 1')")
    assert main(["add-workload", "repository/train.py", "--config", f"repository/{name}", "--write", "own.json"]) == 0
    described = json.loads((repository / "own.json").read_text())["models"]["repository"]["supported_hyperparams"]
    assert {key: some["config"] for key, some in described.items()} == {
        "learning_rate": "optim.lr", "depth": "model.depth", "amp": "amp",
    }  # fmt: skip
    workload = load_registry([repository / "own.json"]).workload("repository/default")
    result = read_training(
        run_training(Training(workload=workload, values=workload.values(depth=17), threads=1), repository)
    )
    assert "17" in result.log.read_text()
    capsys.readouterr()


def test_a_click_script(repository, capsys):
    """Options, choices, a boolean pair and the output folder of click's help."""
    pytest.importorskip("click")
    (repository / "repository" / "train.py").write_text(CLICK)
    assert main(["add-workload", "repository/train.py", "--python", sys.executable]) == 0
    entry = json.loads(capsys.readouterr().out)["models"]["repository"]
    described = entry["supported_hyperparams"]
    assert described["learning_rate"]["default"] == 0.001
    assert described["epochs"] == {"flag": "--epochs", "type": "int", "default": 3}
    assert described["optimizer"]["choices"] == ["sgd", "adam"]
    assert described["amp"] == {"flag": "--amp", "type": "bool", "false_flag": "--no-amp", "default": True}
    assert entry["output"] == {"flag": "--output-dir"}


def test_the_help_of_a_parser_of_dataclasses():
    """Transformers' HfArgumentParser: switches take a value, and defaults stand in the text."""
    text = """\
usage: run.py [-h] --output_dir OUTPUT_DIR [--fp16 [FP16]]

options:
  -h, --help            show this help message and exit
  --learning_rate LEARNING_RATE, --learning-rate LEARNING_RATE
                        The initial learning rate for AdamW. (default: 5e-05)
  --fp16 [FP16]         Whether to use fp16. (default: False)
  --lr_scheduler_type {linear,cosine}
                        The scheduler type to use. (default: linear)
"""
    rate, fp16, scheduler = help_options(text)
    assert (rate.flag, rate.kind, rate.default) == ("--learning_rate", "float", 5e-05)
    assert (fp16.kind, fp16.default, fp16.takes_value) == ("bool", False, True)
    assert scheduler.choices == ("linear", "cosine")


def test_a_computed_default_is_unknown():
    """The source is parsed, never executed."""
    (option,) = source_options('import os\np.add_argument("--n", type=int, default=os.cpu_count())')
    assert (option.kind, option.default) == ("int", None)


def test_numbers_that_are_no_metrics_are_left_alone():
    """A learning rate, a step and a time are not metrics."""
    found = log_patterns(["step: 5 lr: 0.1 time: 3.2", "Epoch 3: val_loss=0.5, val_acc=81.2%"])
    assert set(found["log_patterns"]) == {"val_loss", "val_acc"}
    assert found["better"] == {"val_loss": "lower", "val_acc": "higher"}


def test_a_log_is_read_again(repository, capsys):
    """The metrics and remarks of a log; the exit status says whether a run with it would fail."""
    main(["add-workload", "repository/train.py", "--log", "run.log", "--write", "workloads.json"])
    capsys.readouterr()
    command = ["metrics", "run.log", "--workload", "repository/default", "--models", "workloads.json"]
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines() == ["train_loss = 0.25", "test_accuracy = 0.875"]
    (repository / "run.log").write_text("nothing\n")
    registry = json.loads((repository / "workloads.json").read_text())
    del registry["models"]["repository"]["sample_log"]
    (repository / "workloads.json").write_text(json.dumps(registry))
    assert main(command) == 1
    assert "a run with this log fails: it reports none of train_loss, test_accuracy" in capsys.readouterr().out
    assert main([*command, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["metrics"] == {}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["add-workload", "repository"], "is not a file; name the script that trains"),
        (["add-workload", "repository/train.py", "--log", "empty.log"], "looks like a metric"),
        (["add-workload", "repository/train.py", "--write", "run.log"], "cannot be read as JSON"),
        (["add-workload", "repository/train.py", "--config", "run.log"], "is not one of .json, .py, .toml"),
        (["metrics", "missing.log", "--workload", "repository/default", "--models", "own.json"], "there is no log"),
    ],
)
def test_what_cannot_be_used_is_named(repository, capsys, command, message):
    """With what to do instead, and exit status 2."""
    (repository / "empty.log").touch()
    main(["add-workload", "repository/train.py", "--write", "own.json"])
    assert main(command) == 2
    assert message in capsys.readouterr().err
