"""The experiment files that are shipped, and the schema that editors check them with."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from pytest_parallel_energy.study.experiment_file import read_study
from pytest_parallel_energy.study.keys import BACKGROUND, ENTRY, FOREGROUND, GLOBAL, TOP, is_bookkeeping
from pytest_parallel_energy.study.schema import experiment_schema, experiment_schema_text
from pytest_parallel_energy.training.registry import load_registry

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
FILES = sorted((EXPERIMENTS / "settings").glob("*.json"))
SCHEMA = EXPERIMENTS / "experiment.schema.json"


@pytest.fixture(scope="module")
def reference():
    return load_registry([EXPERIMENTS / "workloads.json"])


def entries(reference, name):
    return read_study(EXPERIMENTS / "settings" / name, reference).entries


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_file_is_understood(reference, file):
    """Every entry trains a registered workload under its quick profile, and every space can be drawn from."""
    study = read_study(file, reference)
    assert study.name == file.stem
    assert study.notes == ()
    for entry in study.entries:
        assert entry.profile == "quick"
        reference.workload(entry.workload).values(entry.profile, **entry.values)
        if entry.draw:
            assert entry.mutations


def test_the_parallel_example(reference):
    """ResNet-20 with two mutated learning rates beside one VulBERTa."""
    (entry,) = entries(reference, "parallel_example.json")
    assert (entry.workload, list(entry.space), entry.draw.samples) == (
        "pytorch_resnet_cifar10/resnet20",
        ["learning_rate"],
        2,
    )
    assert [load.name for load in entry.loads] == ["VulBERTa/mlp"]


def test_the_densenet_example(reference):
    """DenseNet-121 with fixed values beside ResNet-20, once."""
    (entry,) = entries(reference, "parallel_densenet_reid.json")
    assert (entry.space, entry.repeats, len(entry.loads)) == ({}, 1, 1)


def test_two_loads_and_none_with_the_same_draw(reference):
    """The comparison is fair: the loaded and the lone training draw the same learning rate."""
    beside, alone = entries(reference, "two_loads.json")
    assert (len(beside.loads), len(alone.loads)) == (2, 0)
    assert beside.mutations == alone.mutations


def test_the_example_of_the_documentation(reference, tmp_path):
    """The TOML of docs/sweeps.md is understood as the page says, and editors accept it."""
    page = (EXPERIMENTS.parent / "docs" / "sweeps.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    file = tmp_path / "study.toml"
    file.write_text(text)
    entries = read_study(file, reference).entries
    assert [entry.name for entry in entries] == [
        f"resnet20_beside_mlp_and_python3_intensity_{share}" for share in ("0_25", "0_5")
    ]
    assert [[load.n for load in entry.loads] for entry in entries] == [[2, 1]] * 2
    schema, document = experiment_schema(), tomllib.loads(text)
    assert _accepts(schema, document, schema)
    document["experiments"][0]["background"] += ["VulBERTa/mlp", ["true"]]
    assert _accepts(schema, document, schema)
    document["experiments"][0]["background"] += [{"name": "VulBERTa/mlp", "intensty": 0.5}]
    assert not _accepts(schema, document, schema)


def test_the_schema_is_the_one_that_the_code_gives():
    """It is checked in and up to date; ``python -m pytest_parallel_energy.study.schema`` prints it."""
    assert SCHEMA.read_text() == experiment_schema_text()
    assert all(json.loads(file.read_text())["$schema"] == "../experiment.schema.json" for file in FILES)


def test_the_schema_knows_each_key():
    """Names and aliases of every level are in it, and keys for people match its pattern."""
    schema = experiment_schema()
    levels = {"entry": ENTRY, "foreground": FOREGROUND, "background": BACKGROUND, "global_settings": GLOBAL}
    for level, keys in levels.items():
        assert {name for key in keys for name in (key.name, *key.aliases)} == set(schema["$defs"][level]["properties"])
    (pattern,) = schema["anyOf"][0]["patternProperties"]
    for key in ("comment", "_x", "$schema", "estimated_hours", "notes", "version", "created"):
        assert is_bookkeeping(key)
        assert re.search(pattern, key)
    for key in (key.name for keys in (*levels.values(), TOP) for key in keys):
        assert not is_bookkeeping(key), key
        assert not re.search(pattern, key), key


def _accepts(schema, value, root):
    """Whether a value satisfies the parts of JSON schema that the generated one uses."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        return any(_accepts(one, value, root) for one in schema["anyOf"])
    if "enum" in schema:
        return value in schema["enum"]
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "integer": int}
    wanted = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if type(value) not in {one for kind in wanted for one in ((int, float) if kind == "number" else (kinds[kind],))}:
        return False
    if isinstance(value, list):
        return all(_accepts(schema.get("items", {"type": "null"}), item, root) for item in value)
    if not isinstance(value, dict):
        return True
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    extra = schema.get("additionalProperties", True)
    return all(
        _accepts(known[key], below, root) if key in known
        else any(re.search(pattern, key) for pattern in patterns)
        or (extra if isinstance(extra, bool) else _accepts(extra, below, root))
        for key, below in value.items()
    )  # fmt: skip


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_file_satisfies_the_schema(file):
    """Editors accept what the reader accepts; a misspelt key and a wrong type they do not."""
    schema, document = experiment_schema(), json.loads(file.read_text())
    assert _accepts(schema, document, schema)
    assert not _accepts(schema, {**document, "experimnets": []}, schema)
    assert not _accepts(schema, {**document, "runs_per_config": "two"}, schema)
