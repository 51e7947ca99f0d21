"""Commands, and the ways in which values reach a training: each arrives literally in a real child process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from pytest_parallel_energy.errors import ConfigError, RegistryError
from pytest_parallel_energy.plan.cells import CellParam
from pytest_parallel_energy.run.record_parts import workload_part
from pytest_parallel_energy.training.foreground import Training, read_training, run_training
from pytest_parallel_energy.training.metric_files import read_metric_files
from pytest_parallel_energy.training.registry import load_registry

SHOW = """
import json, os, sys
print(json.dumps({"argv": sys.argv[1:], "lr": os.environ.get("LR"), "cwd": os.getcwd()}))
print("accuracy: 0.5")
"""
NASTY = ["a b", "$(touch owned)", "'", '"', "a\nb", "; rm -rf /", "{lr}", "{{x}}", "é 中", "*", "\\", "a=b", ""]
LR = {"flag": "--lr", "type": "float", "default": 0.1}
TAG = {"flag": "--tag", "type": "str", "default": "plain"}


@pytest.fixture
def registered(tmp_path):
    """A function that registers one workload whose script prints its arguments, and returns it."""
    (tmp_path / "checkout" / "inner").mkdir(parents=True)
    for script in ("train.py", "inner/other.py"):
        (tmp_path / "checkout" / script).write_text(SHOW)

    def register(model="default", **entry):
        entry = {"path": "checkout", "models": ["default"], "train_script": "train.py"} | entry
        if "command" in entry:
            del entry["train_script"]
        (tmp_path / "registry.json").write_text(json.dumps({"models": {"own": entry}}))
        return load_registry([tmp_path / "registry.json"]).workload(f"own/{model}")

    return register


def shown_by(workload, output_dir, **values):
    """Run the command as a real child and return the arguments, variables and folder that it saw."""
    asked = workload.values(None, **values)
    workload.prepare(output_dir, asked)
    command = workload.command(asked, output_dir=output_dir, threads=2)
    environment = {**os.environ, **command.env}
    done = subprocess.run(command.argv, cwd=command.cwd, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[0])


def test_a_command_is_found_on_path_and_its_placeholders_are_filled(registered, tmp_path):
    """Values, output folder, threads and interpreter; a hyperparameter with a placeholder gets no flag as well."""
    words = ["env", "X=1", "{python}", "train.py", "optim.lr={lr}", "out={output}", "--threads={threads}", "{{kept}}"]
    workload = registered(command=words, supported_hyperparams={"lr": {"type": "float", "default": 1e-05}, "tag": TAG})
    expected = ["optim.lr=1e-05", f"out={tmp_path / 'out'}", "--threads=2", "{kept}", "--tag", "plain"]
    assert shown_by(workload, tmp_path / "out")["argv"] == expected
    assert not workload.writes_into_checkout


@pytest.mark.parametrize("text", NASTY)
def test_each_way_passes_a_text_literally(registered, tmp_path, text):
    """Placeholder, flag and value, flag=value, Hydra's key=value, position, variable: no shell, no expansion."""
    ways = {
        "placed": ({"type": "str", "default": "x"}, ["--placed", text]),
        "flagged": (TAG, ["--tag", text]),
        "joined": ({**TAG, "flag": "--tag="}, [f"--tag={text}"]),
        "hydra": ({**TAG, "flag": "model.tag="}, [f"model.tag={text}"]),
        "position": ({"positional": True, "type": "str", "default": "x"}, [text]),
        "variable": ({"env": "LR", "type": "str", "default": "x"}, []),
    }
    workload = registered(
        command=["{python}", "train.py", "--placed", "{placed}"],
        supported_hyperparams={name: described for name, (described, _) in ways.items()},
    )
    seen = shown_by(workload, tmp_path / "out", **dict.fromkeys(ways, text))
    assert seen["argv"] == [word for _, words in ways.values() for word in words]
    assert seen["lr"] == text
    assert not (tmp_path / "checkout" / "owned").exists()


@pytest.mark.parametrize(
    ("described", "value", "arguments"),
    [
        ({"flag": "--amp", "false_flag": "--no-amp", "type": "bool"}, True, ["--amp"]),
        ({"flag": "--amp", "false_flag": "--no-amp", "type": "bool"}, False, ["--no-amp"]),
        ({"flag": "--amp=", "type": "bool"}, True, ["--amp=True"]),
        ({"flag": "--amp=", "type": "bool"}, False, ["--amp=False"]),
        ({"flag": "--betas", "type": "str", "list": "words"}, "0.9,0.999", ["--betas", "0.9", "0.999"]),
        ({"flag": "--layers=", "type": "str"}, "64,64", ["--layers=64,64"]),
        ({"flag": "-l", "type": "str", "list": "repeat"}, "a b,c", ["-l", "a b", "-l", "c"]),
        ({"flag": "--l=", "type": "str", "list": "repeat"}, "1,2", ["--l=1", "--l=2"]),
        ({"positional": True, "type": "int"}, 5, ["5"]),
    ],
)
def test_the_forms_of_a_value(registered, tmp_path, described, value, arguments):
    """Boolean pairs, booleans after an equals sign, lists, repeated flags and positions."""
    workload = registered(supported_hyperparams={"x": described})
    assert shown_by(workload, tmp_path / "out", x=value)["argv"] == arguments


def test_a_position_is_never_taken_for_an_option(registered):
    """A text with a leading dash is refused where it has no flag."""
    workload = registered(supported_hyperparams={"x": {"positional": True, "type": "str"}})
    with pytest.raises(RegistryError, match=r"x has no flag, so the training would take \"-rf\" for an option"):
        workload.values(None, x="-rf")


@pytest.mark.parametrize(
    ("suffix", "template", "load"),
    [
        (".json", '{"optim": {"lr": 1, "name": "sgd"}, "seed": 1}', json.loads),
        (".toml", 'seed = 1\ndays = [2020-01-01]\n[optim]\nlr = 1.0\nname = "sgd"\n', tomllib.loads),
        (".yaml", "# a comment\nseed: 1\noptim: {lr: 1, name: sgd}\n", yaml.safe_load),
    ],
)
@pytest.mark.parametrize("name", ["plain", 'a "b"\n\\ é', "{lr}", "yes", "\x7f"])
def test_values_in_a_config_file_go_into_a_copy(registered, tmp_path, suffix, template, load, name):
    """The copy holds the values in the template's format; the user's file stays as it is, byte for byte."""
    file = tmp_path / "checkout" / f"base{suffix}"
    file.write_text(template)
    workload = registered(
        config={"template": file.name, "flag": "--config"},
        supported_hyperparams={
            "lr": {"config": "optim.lr", "type": "float", "default": 0.1},
            "name": {"config": "optim.name", "type": "str", "default": "sgd"},
        },
    )
    flag, path = shown_by(workload, tmp_path / "out", lr=1e-05, name=name)["argv"]
    assert (flag, path) == ("--config", str(tmp_path / "out" / file.name))
    copied = load((tmp_path / "out" / file.name).read_text())
    assert copied["optim"] == {"lr": 1e-05, "name": name}
    assert copied["seed"] == 1
    assert file.read_text() == template


def test_a_key_that_the_template_lacks_is_refused(registered, tmp_path):
    """A misspelt key would be written and never read."""
    (tmp_path / "checkout" / "base.json").write_text('{"optim": {"lr": 1}}')
    described = {"lr": {"config": "optim.rate", "type": "float", "default": 0.1}}
    workload = registered(config={"template": "base.json", "flag": "-c"}, supported_hyperparams=described)
    with pytest.raises(RegistryError, match=r"base\.json has no key 'optim\.rate'"):
        workload.prepare(tmp_path / "out", workload.values())


def test_models_are_chosen_by_switches(registered, tmp_path):
    """``--PCB`` or nothing, as the scripts of some repositories have it."""
    entry = {"models": ["plain", "pcb"], "model_flag": {"pcb": ["--PCB", "--stripes=6"], "plain": []}}
    assert shown_by(registered("pcb", **entry), tmp_path / "a")["argv"] == ["--PCB", "--stripes=6"]
    assert shown_by(registered("plain", **entry), tmp_path / "b")["argv"] == []


def test_an_output_file_lies_in_the_folder_of_the_run(registered, tmp_path):
    """A training that writes one file is given its path."""
    workload = registered(output={"flag": "-o", "file": "model.pt"})
    assert shown_by(workload, tmp_path / "out")["argv"] == ["-o", str(tmp_path / "out" / "model.pt")]


def test_the_working_directory_is_another_than_the_script_s(registered, tmp_path):
    """``cwd`` is relative to the checkout; the script to the checkout as well."""
    assert shown_by(registered(cwd="inner"), tmp_path / "out")["cwd"] == str(tmp_path / "checkout" / "inner")
    program = tmp_path / "checkout" / "inner" / "go.sh"
    program.write_text('#!/bin/sh\nexec "$@"\n')
    program.chmod(0o755)
    workload = registered(cwd="inner", command=["./go.sh", "{python}", "other.py"])
    assert shown_by(workload, tmp_path / "out")["argv"] == []


def test_an_interpreter_is_relative_to_the_registry_and_may_have_arguments(registered, tmp_path):
    """As every other path; a virtual environment's link is kept, because Python finds its packages by it."""
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "python").symlink_to(sys.executable)
    workload = registered(python=["./venv/python", "-X", "dev"])
    command = workload.command(workload.values(), output_dir=tmp_path, threads=1)
    assert command.argv[:3] == (str(tmp_path / "venv" / "python"), "-X", "dev")
    assert shown_by(registered(python="venv/python"), tmp_path / "out")["argv"] == []
    module = registered(python="venv/python", command=["{python}", "-m", "train"])
    assert shown_by(module, tmp_path / "out")["argv"] == []


def test_a_command_trains_as_the_foreground(registered, tmp_path):
    """The whole way: a supervised child, its log and its metric."""
    workload = registered(
        command=["{python}", "train.py"], performance_metrics={"log_patterns": {"a": r"accuracy: (\S+)"}}
    )
    result = read_training(run_training(Training(workload=workload, values={}, threads=1), tmp_path))
    assert (result.status, result.metrics) == ("passed", {"a": 0.5})


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"command": []}, "is empty"),
        ({"command": ["x", "{learning_rat}"]}, 'has the placeholder "learning_rat", which is not known; did you mean'),
        ({"command": ["x", "{lr"]}, "has a brace that is not part of a placeholder"),
        ({"command": ["no-such-program-anywhere"]}, "is not found or not executable"),
        ({"command": ["x", "{free}"], "supported_hyperparams": {"free": {"type": "int"}}}, "has no default"),
        ({"supported_hyperparams": {"x": {"type": "int"}}}, 'lacks "flag"'),
        ({"supported_hyperparams": {"x": {**LR, "env": "X"}}}, "must have exactly one of"),
        ({"supported_hyperparams": {"x": {"env": "PARALLEL_ENERGY_OUTPUT_DIR", "type": "int"}}}, "is reserved"),
        ({"env": {"PARALLEL_ENERGY_TOKEN": "x"}}, "is reserved"),
        ({"output": {"copy": True, "share": ["../.."]}}, "is not a path inside the checkout"),
        ({"output": {"flag": "-o", "file": "../x"}}, "is not the name of a file"),
        ({"config": {"template": "base.ini"}}, "is not one of .json, .py, .toml, .yaml, .yml"),
        ({"cwd": "nowhere"}, 'correct "cwd"'),
        ({"python": "./no-python"}, "which cannot be run"),
        ({"sample_log": "/dev/zero"}, "is not a plain file"),
        ({"model_flag": {"other": "-x"}}, "other"),
    ],
)
def test_what_cannot_run_is_refused_by_name(registered, entry, message):
    """Each refusal names the registry, the place and the value."""
    entry = {"supported_hyperparams": {"learning_rate": LR}} | entry
    with pytest.raises(ConfigError) as raised:
        registered(**entry)
    assert message in str(raised.value)
    assert "registry.json" in str(raised.value)


def test_script_and_command_together_are_refused(tmp_path):
    """One of them says what runs."""
    entry = {"path": ".", "models": ["default"], "train_script": "a.py", "command": ["true"]}
    (tmp_path / "registry.json").write_text(json.dumps({"models": {"own": entry}}))
    with pytest.raises(RegistryError, match='must have either "train_script" or "command"'):
        load_registry([tmp_path / "registry.json"])


RESULTS = """
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
(folder / "results.json").write_text(json.dumps({"eval": {"f1": 0.75, "losses": [3, 1, 2], "bad": float("nan")}}))
(folder / "log.jsonl").write_text('{"epoch": 1, "acc": 0.4}\\n{"epoch": 2, "acc": 0.6}\\n{"epoch": 3, "a')
(folder / "table.csv").write_text("epoch, acc\\n1, 0.5\\n2, 0.25\\n3,\\n")
(folder / "away.json").symlink_to("/etc/passwd")
"""


@pytest.mark.parametrize(
    ("file", "key", "pick", "metric"),
    [
        ("results.json", "eval.f1", "last", 0.75),
        ("results.json", "eval.losses", "min", 1.0),
        ("results.json", "eval.losses", "first", 3.0),
        ("log.jsonl", "acc", "last", 0.6),
        ("log.jsonl", "acc", "mean", 0.5),
        ("table.csv", "acc", "last", 0.25),
        ("table.csv", "acc", "max", 0.5),
    ],
)
def test_a_metric_is_read_from_a_file_of_the_output_folder(registered, tmp_path, file, key, pick, metric):
    """JSON, JSON lines (the last one cut off) and CSV, with the value that is asked for."""
    (tmp_path / "checkout" / "save.py").write_text(RESULTS)
    places = {"m": {"file": file, "key": key, "pick": pick}}
    workload = registered(command=["{python}", "save.py", "{output}"], performance_metrics={"files": places})
    result = read_training(run_training(Training(workload=workload, values={}, threads=1), tmp_path / "run"))
    assert (result.status, result.metrics, result.flags) == ("passed", {"m": metric}, ())


@pytest.mark.parametrize(
    ("file", "key", "words"),
    [
        ("none.json", "x", "there is no such file"),
        ("results.json", "eval.f2", "it has no 'eval.f2'"),
        ("results.json", "eval.bad", "is nan, which is not a finite number"),
        ("away.json", "x", "outside the output folder"),
    ],
)
def test_a_metric_file_that_says_nothing_fails_the_training(registered, tmp_path, file, key, words):
    """Unknown is not zero: the flag tells why, and a training without its only metric has failed."""
    (tmp_path / "checkout" / "save.py").write_text(RESULTS)
    places = {"m": {"file": file, "key": key}}
    workload = registered(command=["{python}", "save.py", "{output}"], performance_metrics={"files": places})
    result = read_training(run_training(Training(workload=workload, values={}, threads=1), tmp_path / "run"))
    assert (result.status, result.metrics) == ("failed", {})
    assert words in result.flags[0]


def test_an_own_implementation_names_the_repository_that_it_follows(registered):
    """The record of a reference training never passes for a run of somebody else's code."""
    param = CellParam(values={}, repetition=0)
    assert workload_part(registered(after="owner/repository"), {}, None, param).after == "owner/repository"
    assert workload_part(registered(), {}, None, param).after is None


def test_every_reference_training_names_its_repository():
    """All six are own implementations, and their registry says after what."""
    registry = load_registry([Path(__file__).parents[2] / "experiments" / "workloads.json"])
    assert all(registry.get(name).after for name in registry.names())


PYTHON_CONFIG = """\
# nur ein Kommentar: é
from math import pi
lr = 0.5; name = "theirs"  # both on one line
optim = dict(betas=(0.9, 0.999), inner={"decay": 1e-4})
width: int = 64

class Model:
    depth = 3
"""


def test_values_in_a_python_config_file(registered, tmp_path):
    """Assignments, keywords of dict(), keys of dictionaries and class attributes; everything else stays."""
    file = tmp_path / "checkout" / "base.py"
    file.write_text(PYTHON_CONFIG)
    keys = {"lr": ("lr", "float"), "name": ("name", "str"), "decay": ("optim.inner.decay", "float")}
    keys |= {"width": ("width", "int"), "depth": ("Model.depth", "int")}
    described = {name: {"config": key, "type": kind} for name, (key, kind) in keys.items()}
    workload = registered(config={"template": "base.py", "flag": "--config"}, supported_hyperparams=described)
    nasty = "a'b\"\n{x} é"
    shown_by(workload, tmp_path / "out", lr=1e-05, name=nasty, decay=0.25, width=128, depth=9)
    seen: dict = {}
    exec(compile((tmp_path / "out" / "base.py").read_text(), "base.py", "exec"), seen)
    assert (seen["lr"], seen["name"], seen["width"], seen["Model"].depth) == (1e-05, nasty, 128, 9)
    assert seen["optim"] == {"betas": (0.9, 0.999), "inner": {"decay": 0.25}}
    assert "# nur ein Kommentar: é" in (tmp_path / "out" / "base.py").read_text()
    assert file.read_text() == PYTHON_CONFIG


def test_a_name_that_a_python_config_lacks_is_refused(registered, tmp_path):
    """With the name that was meant; the file is never executed."""
    (tmp_path / "checkout" / "base.py").write_text("learning_rate = 1\nraise SystemExit\n")
    described = {"lr": {"config": "lerning_rate", "type": "float", "default": 0.1}}
    workload = registered(config={"template": "base.py", "flag": "-c"}, supported_hyperparams=described)
    with pytest.raises(RegistryError, match=r"does not assign 'lerning_rate'; did you mean 'learning_rate'"):
        workload.prepare(tmp_path / "out", workload.values())


def test_metrics_of_tensorboard_mlflow_and_the_newest_of_several_files(registered, tmp_path):
    """Scalars of event files with a tag, a file of MLflow's store, and the newest match of a pattern."""
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    out = tmp_path / "run" / "outputs"
    for version, accuracy in enumerate((0.1, 0.7)):
        folder = out / "lightning_logs" / f"version_{version}"
        folder.mkdir(parents=True)
        (folder / "metrics.csv").write_text(f"epoch,val_acc\n0,0.05\n1,{accuracy}\n")
        os.utime(folder / "metrics.csv", (version + 1, version + 1))
    store = out / "mlruns" / "0" / "abc" / "metrics"
    store.mkdir(parents=True)
    (store / "loss").write_text("1700000000000 2.5 0\n1700000000001 1.5 1\n")
    with tensorboard.SummaryWriter(str(out / "tb")) as writer:
        for step, value in enumerate((0.5, 0.9, 0.8)):
            writer.add_scalar("val/accuracy", value, step)
    files = {
        "csv": {"file": "lightning_logs/version_*/metrics.csv", "key": "val_acc"},
        "mlflow": {"file": "mlruns/*/*/metrics/loss", "pick": "min"},
        "event": {"file": "tb/events.out.tfevents.*", "key": "val/accuracy", "pick": "best"},
    }
    workload = registered(performance_metrics={"files": files, "better": {"event": "higher"}})
    metrics, flags = read_metric_files(out, workload.metric_files)
    assert flags == []
    assert metrics == pytest.approx({"csv": 0.7, "mlflow": 1.5, "event": 0.9})
