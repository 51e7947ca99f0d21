"""Whole sessions in a project of their own: a toy workload with a registry, and pytest as a child process."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

PACKAGE_ROOT = Path(__file__).parents[2]

TRAINING = """
import argparse, os, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("-n")
parser.add_argument("--lr", type=float)
parser.add_argument("--epochs", type=int)
parser.add_argument("--caption", default="")
options = parser.parse_args()
print(f"config: learning_rate={options.lr!r}", flush=True)
print(f"config: caption={options.caption}", flush=True)
for epoch in range(options.epochs):
    sum(i * i for i in range(100_000))
    print(f"epoch {epoch}", flush=True)
if options.n == "broken":
    sys.exit("out of luck")
if options.n == "flaky":
    marker = os.environ["TOY_MARKER"]
    if not os.path.exists(marker):
        open(marker, "w").close()
        sys.exit("first time fails")
if options.n == "slow":
    time.sleep(600)
print("accuracy: 0.75", flush=True)
"""

REGISTRY = {
    "models": {
        "toy": {
            "path": ".",
            "train_script": "toy_training.py",
            "models": ["net", "broken", "flaky", "slow"],
            "model_flag": "-n",
            "output": {"env": "TOY_OUTPUT"},
            "supported_hyperparams": {
                "learning_rate": {
                    "flag": "--lr",
                    "type": "float",
                    "default": 0.1,
                    "range": [0.01, 1.0],
                    "distribution": "log_uniform",
                    "applied": "^config: learning_rate=(\\S+)$",
                },
                "epochs": {"flag": "--epochs", "type": "int", "default": 20, "range": [1, 50]},
                "caption": {"flag": "--caption", "type": "str", "default": ""},
            },
            "profiles": {"quick": {"epochs": 2}},
            "performance_metrics": {
                "log_patterns": {"accuracy": "^accuracy: ([0-9.]+)$"},
                "better": {"accuracy": "higher"},
            },
            "required_metrics": ["accuracy"],
        }
    }
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=3, metavar="N", help="SIGKILLs per sweep that is killed and resumed")


class Project:
    """A folder with tests and a toy workload; ``run`` starts pytest there and gives what it printed."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path
        (self.path / "toy_training.py").write_text(TRAINING)
        (self.path / "models.json").write_text(json.dumps(REGISTRY))
        self.ini("")

    def ini(self, *lines: str) -> None:
        text = "\n".join(("[pytest]", "energy_models = models.json", *lines))
        (self.path / "pytest.ini").write_text(text + "\n")

    def tests(self, source: str) -> None:
        self.pytester.makepyfile(test_it=source)

    def run(self, *arguments: str) -> pytest.RunResult:
        return self.pytester.runpytest_subprocess(*self.plugins, *arguments)

    plugins = ("-p", "pytest_parallel_energy.plugin", "-p", "pytest_timeout")

    @property
    def run_folder(self) -> Path:
        return (self.path / "energy-results" / "latest").resolve()

    def records(self) -> list[dict]:
        lines = (self.run_folder / "records.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PACKAGE_ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    for name in [name for name in os.environ if name.startswith("PYTEST_ENERGY_")]:
        monkeypatch.delenv(name)
    # a lock of its own: these sessions measure nothing that another one on this machine could disturb
    monkeypatch.setenv("PYTEST_ENERGY_HOST_LOCK_DIR", str(pytester.path))
    return Project(pytester)
