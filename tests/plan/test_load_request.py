"""Load requests: cell identities that stored results depend on, and the name of a command."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_parallel_energy.plan.markers import LoadRequest
from pytest_parallel_energy.processes.command import command_name
from pytest_parallel_energy.records.cell import cell_id
from pytest_parallel_energy.run.record_parts import command_identity, load_identity
from pytest_parallel_energy.study.experiment_file import read_study
from pytest_parallel_energy.training.registry import load_registry

REGISTRY = Path(__file__).parents[1] / "training" / "data" / "registry.json"
REGISTERED = load_registry([REGISTRY])


def identity(load):
    if load.command:
        return command_identity(load.command, load.conditions)
    workload = REGISTERED.workload(load.name)
    return load_identity(workload, workload.values(None, **load.hyperparameters), None, load.conditions)


def cell(loads):
    identities = [identity(load) for load in loads for _ in range(load.n)]
    return cell_id("toy/net", {"epochs": 2, "lr": 0.1}, identities, "a host")


@pytest.mark.parametrize(
    ("load", "keywords", "stored"),
    [
        ("tiny/logistic", {}, "f9ca681d6fcc"),
        (
            "tiny/logistic",
            {"n": 2, "intensity": 0.5, "ready": "started", "ready_timeout": "20 s", "grace": 3},
            "30866c2c3eaa",
        ),
        ("tiny/logistic", {"batch_size": "auto", "gpu_memory_fraction": 0.25, "devices": [0, 1]}, "bf7b3209ab9c"),
        (
            "tiny/logistic",
            {"target_gpu_utilisation": 60, "ready": "pattern:epoch 1", "devices": "GPU-12ab"},
            "dae142df69eb",
        ),
        (["./busy.sh", "a b"], {"devices": [], "ready": 5}, "e75543de9f4f"),
        (["python", "work/busy.py"], {"grace": "1 min", "ready": "port:8080", "intensity": 1}, "6405082fc186"),
    ],
)
def test_the_identity_of_a_load_is_stored(load, keywords, stored):
    """Records of earlier versions stay comparable: the same marker gives the same cell."""
    assert cell([LoadRequest.from_mark(SimpleNamespace(args=(load,), kwargs=keywords))]) == stored


FILE = """
[[experiments]]
repo = "tiny"
model = "logistic"
mode = "default"

[[experiments.background]]
name = "tiny/linear"
intensity = 0.5
ready = "started"

[[experiments.background]]
command = ["sh", "-c", "while :; do :; done"]
grace = "1 min"
"""


def test_the_identity_of_the_loads_of_a_file_is_stored(tmp_path):
    """Records of an experiment file's loads, a training and a command with conditions, stay comparable too."""
    file = tmp_path / "study.toml"
    file.write_text(FILE)
    (entry,) = read_study(file, load_registry([REGISTRY])).entries
    assert cell(entry.loads) == "a67495516e6e"


def test_the_identity_of_no_load_is_stored():
    """A cell without loads keeps its identity too."""
    assert cell([]) == "cf5b5954a52f"


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["/bin/dd", "if=/dev/zero"], "dd"),
        (["python3.12", "work/train.py", "-v"], "train.py"),
        (["python", "-m", "torch.utils"], "torch.utils"),
        (["bash"], "bash"),
    ],
)
def test_the_name_of_a_command(words, name):
    """A command is named after its program, or after what an interpreter runs."""
    assert command_name(words) == name
