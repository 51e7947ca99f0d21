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
VALUES = {"epochs": 20, "learning_rate": 0.5, "tag": "plain", "shuffle": False, "seed": 7}
"""Those of tiny/logistic in tests/training, when the hashes below were stored."""


def cell(loads):
    identities = [
        command_identity(load.command, load.conditions)
        if load.command
        else load_identity(load.name, VALUES, load.conditions)
        for load in loads
        for _ in range(load.n)
    ]
    return cell_id("toy/net", {"epochs": 2, "lr": 0.1}, identities, "a host")


@pytest.mark.parametrize(
    ("load", "keywords", "stored"),
    [
        ("tiny/logistic", {}, "30cf487595f4"),
        (
            "tiny/logistic",
            {"n": 2, "intensity": 0.5, "ready": "started", "ready_timeout": "20 s", "grace": 3},
            "3d43a239aa3e",
        ),
        ("tiny/logistic", {"batch_size": "auto", "gpu_memory_fraction": 0.25, "devices": [0, 1]}, "af35d508dee3"),
        (
            "tiny/logistic",
            {"target_gpu_utilisation": 60, "ready": "pattern:epoch 1", "devices": "GPU-12ab"},
            "4900c78872a4",
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
    assert cell(entry.loads) == "d7c575164995"


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
