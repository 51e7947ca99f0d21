from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest

from pytest_parallel_energy.records.record import WorkloadPart
from pytest_parallel_energy.statistics.quantities import QUANTITIES

DOCS = Path(__file__).parents[2] / "docs"


def _blocks(page, language):
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def _hook(index):
    code = [block for block in _blocks("trackers.md", "python") if "pytest_energy_record" in block][index]
    space = {}
    exec(compile(code, "trackers.md", "exec"), space)
    return space["pytest_energy_record"]


def test_recipes_for_ci_are_yaml():
    """The recipes parse, and have the keys that GitHub and GitLab look for."""
    yaml = pytest.importorskip("yaml")
    github, gitlab = (yaml.safe_load(block) for block in _blocks("ci.md", "yaml"))
    (job,) = github["jobs"].values()
    assert all("run" in step or "uses" in step for step in job["steps"])
    assert "script" in gitlab["energy"]


def test_the_page_lists_all_quantities():
    """The documentation names each quantity that can be compared."""
    assert " ".join(QUANTITIES) in " ".join((DOCS / "reports.md").read_text(encoding="utf-8").split())


@pytest.mark.filterwarnings("default")
def test_the_mlflow_recipe_works(tmp_path, monkeypatch, make_record):
    """The recipe stores parameters, metrics and tags in a local store."""
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "store").as_uri())
    hook = _hook(0)
    hook(None, make_record())
    hook(None, make_record(None, workload=None, metrics={"answer": 42.0}))
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("energy")
    unknown, known = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"])
    assert known.data.metrics["energy_total_j"] == 1234.5
    assert known.data.metrics["test_accuracy"] == 0.4321
    assert known.data.params["learning_rate"] == "0.0123"
    assert "energy_total_j" not in unknown.data.metrics
    assert unknown.data.metrics["answer"] == 42.0


def test_the_wandb_recipe_calls_what_it_should(monkeypatch, make_record):
    """The recipe begins, logs known values and finishes one run a record (against a stand-in of wandb's interface)."""
    calls = []

    class Run:
        def __init__(self):
            self.summary = {}

        def log(self, values):
            calls.append(values)

        def finish(self):
            calls.append("finished")

    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=lambda **_: Run()))
    record = make_record(workload=WorkloadPart(repository="r", model="m", hyperparameters={}, metrics={"loss": None}))
    _hook(1)(None, record)
    assert calls[0]["energy/total_j"] == 1234.5
    assert "loss" not in calls[0]
    assert calls[1] == "finished"
