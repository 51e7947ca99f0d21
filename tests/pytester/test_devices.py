"""The GPUs of the measured training: what it sees, what counts, and what is only shown."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "energy"))
from nvml_stand_in import StandIn, build

TRAINING = """
import os, time
print("sees:", os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("CUDA_DEVICE_ORDER"), flush=True)
time.sleep(0.2)
print("accuracy: 1", flush=True)
"""
ENTRY = {
    "path": ".",
    "train_script": "show.py",
    "models": ["default"],
    "performance_metrics": {"log_patterns": {"accuracy": "accuracy: (.+)"}},
}
TEST = """
import pytest

{marker}
@pytest.mark.workload("show/default")
def test_it(train, energy_meter):
    result = train()
    assert {sees!r} in result.log.read_text()
"""


@pytest.fixture
def boards(project, monkeypatch):
    """A project on a machine whose driver lists two boards."""
    build(project.path)
    stand_in = StandIn(library=None, state=project.path / "gpus.txt")
    for power_mw in (100_000, 300_000):
        stand_in.gpu(power_mw=power_mw)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(project.path))
    monkeypatch.setenv("NVML_FAKE_STATE", str(stand_in.state))
    monkeypatch.setenv("NVML_FAKE_REAL_CLOCK", "1")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (project.path / "show.py").write_text(TRAINING)
    return project


def registry(project, **entry):
    (project.path / "models.json").write_text(json.dumps({"models": {"show": ENTRY | entry}}))


@pytest.mark.parametrize("way", ["marker", "option", "registry"])
def test_devices_are_seen_and_counted(boards, way):
    """The training sees board 1 alone; the record counts it and shows the other one, and so does the table."""
    registry(boards, **({"devices": [1]} if way == "registry" else {}))
    marker = "@pytest.mark.energy(devices=1)" if way == "marker" else ""
    boards.tests(TEST.format(marker=marker, sees="sees: 1 PCI_BUS_ID"))
    option = ("--energy-devices=1",) if way == "option" else ()
    result = boards.run("--energy-sensors=nvml", "--energy-idle=0", *option)
    result.assert_outcomes(passed=1)
    (record,) = boards.records()
    gpus = [domain for domain in record["energy"]["domains"] if domain["kind"] == "gpu"]
    assert [(gpu["name"], gpu["counted"], gpu["excluded"]) for gpu in gpus] == [
        ("gpu-0", False, True),
        ("gpu-1", True, False),
    ]
    assert record["devices"] == "1"
    assert all(gpu["joules"] is not None for gpu in gpus)
    result.stdout.re_match_lines([r".*not counted gpu-0 .*J"])


def test_other_devices_are_another_cell(boards):
    """A marker goes before the option; both cells differ, and differ from one without devices."""
    registry(boards)
    boards.tests(TEST.format(marker="@pytest.mark.energy(devices=[0, 1])", sees="sees: 0,1"))
    boards.run("--energy-sensors=nvml", "--energy-idle=0", "--energy-devices=1").assert_outcomes(passed=1)
    first = boards.records()[0]
    boards.tests(TEST.format(marker="", sees="sees:"))
    boards.run("--energy-sensors=nvml", "--energy-idle=0").assert_outcomes(passed=1)
    assert first["cell"] != boards.records()[0]["cell"]
    assert first["devices"] == "0,1"


def test_a_board_that_is_not_there_fails_the_test(boards):
    """Before the training starts, with the boards that are there."""
    registry(boards)
    boards.tests(TEST.format(marker="", sees=""))
    result = boards.run("--energy-sensors=nvml", "--energy-idle=0", "--energy-devices=5")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*no sensor measures the GPU '5'*gpu-0 (GPU-000-aaaa), gpu-1*"])


@pytest.mark.parametrize(("value", "message"), [("first", "names no GPU"), ({"a": 1}, "names no GPU")])
def test_devices_that_are_none_are_refused(boards, value, message):
    """In the registry with its place, before anything runs."""
    registry(boards, devices=value)
    boards.tests(TEST.format(marker="", sees=""))
    result = boards.run()
    assert result.ret != 0
    result.stdout.fnmatch_lines([f"*models.json*devices*{message}*"])
