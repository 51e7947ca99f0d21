"""A run in this process, without pytest around it: a fake sensor on a virtual clock, and a results folder."""

from __future__ import annotations

import sys

import pytest
from msgspec.structs import replace

from pytest_parallel_energy.energy.meter import EnergyMeter
from pytest_parallel_energy.plan.cells import CellParam, MarkedPlan
from pytest_parallel_energy.plan.markers import LoadRequest, WorkloadMark
from pytest_parallel_energy.plan.settings import Settings
from pytest_parallel_energy.records.record import HostPart
from pytest_parallel_energy.run.experiment import Experiment
from pytest_parallel_energy.run.session import Run
from pytest_parallel_energy.testing import FakeSensor, PowerProfile, VirtualClock
from pytest_parallel_energy.training.registry import load_registry

HOST = HostPart(machine_id="m", hostname="h", cpu="EPYC 7763", sockets=2, threads=256)

TRAINING = """
import argparse, pathlib, sys
parser = argparse.ArgumentParser()
parser.add_argument("-n")
parser.add_argument("--lr", type=float)
parser.add_argument("--epochs", type=int)
options = parser.parse_args()
marker = pathlib.Path("failed-once")
if options.n == "broken" or (options.n == "flaky" and not marker.exists()):
    marker.touch()
    sys.exit("out of luck")
print("accuracy: 0.75", flush=True)
"""

REGISTRY = """{"models": {"toy": {
    "path": ".", "train_script": "toy_training.py", "models": ["net", "broken", "flaky"], "model_flag": "-n",
    "output": {"env": "TOY_OUTPUT"},
    "supported_hyperparams": {
        "learning_rate": {"flag": "--lr", "type": "float", "default": 0.1, "range": [0.01, 1.0]},
        "epochs": {"flag": "--epochs", "type": "int", "default": 20, "range": [1, 50]}
    },
    "profiles": {"quick": {"epochs": 2}},
    "performance_metrics": {"log_patterns": {"accuracy": "^accuracy: ([0-9.]+)$"}},
    "required_metrics": ["accuracy"]
}}}"""


class World:
    """What the tests share: ``clock.advance`` lets the sensor count 100 joules per second."""

    def __init__(self, folder):
        self.folder = folder
        self.clock = VirtualClock()
        self.meter = EnergyMeter(
            [FakeSensor(PowerProfile.constant(100.0), clock=self.clock)], clock_ns=self.clock, sleep=self.clock.advance
        )
        self.meter.open()
        (folder / "toy_training.py").write_text(TRAINING)
        (folder / "models.json").write_text(REGISTRY)
        (folder / "test_it.py").write_text("def test_x(): ...\n")
        self.run = self.new_run()

    def settings(self, **changes):
        return replace(Settings(models=(str(self.folder / "models.json"),), idle=0.0), **changes)

    def new_run(self, run_folder=None, **changes):
        """A run whose registry holds the toy alone and whose host is known."""
        run = Run(self.settings(**changes), self.folder, run_folder=run_folder)
        run._meter = self.meter  # instead of the sensors of this machine
        run.__dict__["host"] = HOST  # the cached property: facts of a known machine
        run.__dict__["registry"] = load_registry([self.folder / "models.json"])
        return run

    def cell(self, workload=None, loads=(), nodeid="test_it.py::test_x[rep0]", run=None, settings=None, **param):
        plan = MarkedPlan(workload=WorkloadMark(name=workload) if workload else None, loads=tuple(loads))
        return (run or self.run).cell(nodeid, settings or self.settings(), plan, CellParam(**param))

    def experiment(self, *args, run=None, **keywords):
        run = run or self.run
        return Experiment(run, self.cell(*args, run=run, **keywords))

    def busy_load(self, seconds=0.01):
        """A command as load: it sleeps."""
        code = f"import time; time.sleep({seconds})"
        return LoadRequest.of([sys.executable, "-I", "-S", "-c", code], {"ready": "started", "grace": 0.2})


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.run.close()
    made.meter.close()
