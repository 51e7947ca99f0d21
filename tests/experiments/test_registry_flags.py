"""``workloads.json`` and the training scripts agree: flags, defaults, models and printed lines."""

from __future__ import annotations

import importlib
import json
import re
import shlex
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the experiments extra is not installed")
pytest.importorskip("numpy", reason="the experiments extra is not installed")

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
ENTRIES = json.loads((EXPERIMENTS / "workloads.json").read_text())["models"]
EVERY = pytest.mark.parametrize("repository", ENTRIES)


def parser_of(entry):
    return importlib.import_module(entry["train_script"].removesuffix(".py")).build_parser()


def destination(parser, flag):
    return next(action.dest for action in parser._actions if flag in action.option_strings)


@EVERY
def test_the_registered_defaults_are_the_scripts_own(repository):
    """A script started by hand without flags trains with the registered, published values."""
    entry = ENTRIES[repository]
    parser = parser_of(entry)
    defaults = vars(parser.parse_args([]))
    overridden = set().union(*entry.get("model_overrides", {}).values())
    for name, hyperparameter in entry["supported_hyperparams"].items():
        if name not in overridden:
            assert defaults[destination(parser, hyperparameter["flag"])] == hyperparameter["default"], name


def test_pcb_is_registered_with_its_published_learning_rate():
    """The registry and the script agree that PCB's rate is 0.02 (Sun et al., arXiv 1711.09349)."""
    override = ENTRIES["Person_reID_baseline_pytorch"]["model_overrides"]["pcb"]
    assert override["learning_rate"]["default"] == importlib.import_module("train_person_reid")._RATES["pcb"] == 0.02


@EVERY
def test_the_flags_of_every_model_and_profile_are_understood(repository):
    """Each model, required argument and profile argument is accepted by the script."""
    entry = ENTRIES[repository]
    parser = parser_of(entry)
    required = [part for text in entry.get("required_args", {}).values() for part in shlex.split(text)]
    for model in entry["models"]:
        chosen = [] if model == "default" else [entry["model_flag"], model]
        for profile in entry["profiles"].values():
            own = profile.get("models", {}).get(model, {}).get("args", [])
            parser.parse_args([*chosen, *required, *profile.get("args", []), *own, "--output-dir", "x", "--data", "y"])


@EVERY
def test_the_patterns_match_the_sample_log(repository):
    """Every metric and applied pattern finds its line in the log of a real run."""
    entry = ENTRIES[repository]
    paths = entry["sample_log"]
    paths = [paths] if isinstance(paths, str) else paths.values() if isinstance(paths, dict) else paths
    log = "\n".join((EXPERIMENTS / path).read_text() for path in paths)
    patterns = dict(entry["performance_metrics"]["log_patterns"])
    patterns.update({name: value["applied"] for name, value in entry["supported_hyperparams"].items()})
    for name, pattern in patterns.items():
        matches = re.findall(pattern, log, re.MULTILINE)
        assert matches, name
        float(matches[-1])


@EVERY
def test_each_metric_says_which_direction_is_better(repository):
    """The chart of a metric over energy, and its gate, need the direction; a count of iterations has none."""
    metrics = ENTRIES[repository]["performance_metrics"]
    assert set(metrics["log_patterns"]) - set(metrics["better"]) <= {"iterations"}
    assert metrics["better"].get("train_loss", "lower") == "lower"
