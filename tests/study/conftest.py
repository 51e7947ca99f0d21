"""Experiment files over the tiny training of tests/training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_parallel_energy.study.experiment_file import read_study
from pytest_parallel_energy.training.registry import load_registry

REGISTRY = Path(__file__).parents[1] / "training" / "data" / "registry.json"


@pytest.fixture(scope="session")
def registry():
    return load_registry([REGISTRY])


@pytest.fixture
def study(tmp_path, registry):
    """Write a document to a file and read it as a study."""

    def study(document, name="study.json"):
        file = tmp_path / name
        file.write_text(document if isinstance(document, str) else json.dumps(document, indent=1))
        return read_study(file, registry)

    return study


@pytest.fixture
def entry(study):
    """The only entry of a study with these settings at the top."""

    def entry(one, **top):
        (found,) = study({**top, "experiments": [one]}).entries
        return found

    return entry
