from __future__ import annotations

import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from pytest_parallel_energy.console.starter import write_starter
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


def _recipes():
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    github, gitlab = (yaml.safe_load(block) for block in _blocks("ci.md", "yaml"))
    return github["jobs"]["energy"], gitlab["energy"]


def _commands(system):
    """The commands of the recipe that measure, and the environment that selects the main branch."""
    github, gitlab = _recipes()
    if system == "github":
        (step,) = (step for step in github["steps"] if "--energy-compare-fail" in step.get("run", ""))
        return [step["run"]], {"SAVE": "--energy-save-baseline=main"}
    return gitlab["script"], {"CI_COMMIT_BRANCH": "main", "CI_DEFAULT_BRANCH": "main"}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("system", ["github", "gitlab"])
def test_recipes_for_ci_compare_and_save(system, tmp_path):
    """The main branch saves a baseline in its one run, and a change that trains far longer closes the gate."""
    pytest.importorskip("scipy", reason="SciPy is not installed")
    project = tmp_path / "project"
    write_starter(project)
    (project / "test_energy.py").write_text(
        'import pytest\n\n@pytest.mark.workload("starter/default")\ndef test_training(train):\n    train()\n'
    )
    registry = project / "workloads.json"
    registry.write_text(registry.read_text().replace('"default": 60', '"default": 6'))  # a shorter test
    commands, on_main = _commands(system)
    script = "set -e\n" + "\n".join(commands)
    assert script.count("pytest ") == 1, "each run measures once"

    def run(environment):
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "GITHUB_", "CI"))}
        own = {"HOME": str(tmp_path), "PYTEST_ENERGY_HOST_LOCK_DIR": str(tmp_path), "PYTEST_ENERGY_IDLE": "0"}
        return subprocess.run(
            ["bash", "-c", script],
            cwd=project,
            env=clean | own | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    first = run(on_main)
    assert first.returncode == 0, first.stdout
    assert "nothing to compare with" in first.stdout
    assert list((tmp_path / "energy-results" / "baselines").rglob("main.jsonl"))
    training = project / "train.py"
    training.write_text(training.read_text().replace("options.epochs + 1", "20 * options.epochs + 1"))
    branch = run({"SAVE": "", "CI_COMMIT_BRANCH": "feature", "CI_DEFAULT_BRANCH": "main"})
    assert branch.returncode == 1, branch.stdout
    assert "worse" in branch.stdout
    github, gitlab = _recipes()
    kept = github["steps"][-1]["with"]["path"].split() if system == "github" else gitlab["artifacts"]["paths"]
    assert "report.html" in kept
    assert all((project / name).is_file() for name in kept)


def test_recipes_pin_actions_and_drop_permissions():
    """The actions of the recipe are those of this repository's own workflows, by commit."""
    github, _ = _recipes()
    own = (DOCS.parent / ".github" / "workflows" / "test.yml").read_text() + (
        DOCS.parent / ".github" / "workflows" / "release.yml"
    ).read_text()
    for step in github["steps"]:
        assert "uses" not in step or step["uses"] in own


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
