"""The reading of a training's log and the measured window."""

from __future__ import annotations

import json
import time

import pytest

from pytest_parallel_energy.energy.meter import EnergyMeter
from pytest_parallel_energy.run import held_end
from pytest_parallel_energy.run.held_end import WindowEnd, reading_flags
from pytest_parallel_energy.testing import FakeSensor, PowerProfile
from pytest_parallel_energy.training import foreground
from pytest_parallel_energy.training.foreground import read_training
from pytest_parallel_energy.training.registry import load_registry

TRAINING = """
import sys
kind = sys.argv[2]
if kind == "large":
    block = bytes(range(256)) * 4096
    for _ in range(200):
        sys.stdout.buffer.write(block)
if kind == "line":
    sys.stdout.write("x" * 1_000_000)
if kind == "slow":
    sys.stdout.write("a" * 60)
print("\\naccuracy: 0.75", flush=True)
"""
PATTERNS = {"large": "accuracy: ([0-9.]+)", "line": ".*accuracy: ([0-9.]+)", "slow": "(?:a+)+b|accuracy: ([0-9.]+)"}
"""Each log with a pattern of a user: 200 MB of bytes, a line of a megabyte, and a pattern that takes forever on it."""


@pytest.fixture
def measured(world):
    """A run with a sensor in real time, and a workload per kind of log."""
    world.meter.close()
    world.meter = world.run._meter = EnergyMeter([FakeSensor(PowerProfile.constant(100.0))])
    (world.folder / "toy_training.py").write_text(TRAINING)
    entry = {"path": ".", "train_script": "toy_training.py", "model_flag": "-n", "output": {"env": "TOY_OUTPUT"}}
    models = {
        kind: {**entry, "models": [kind], "performance_metrics": {"log_patterns": {"accuracy": pattern}}}
        for kind, pattern in PATTERNS.items()
    }
    registry = world.folder / "logs.json"
    registry.write_text(json.dumps({"models": models}))
    world.run.__dict__["registry"] = load_registry([registry])
    yield world
    world.meter.close()


@pytest.fixture
def reading_began_s(monkeypatch):
    """The monotonic time at which each log began to be read."""
    times_s = []

    def noted(ended):
        times_s.append(time.monotonic())
        return read_training(ended)

    monkeypatch.setattr(foreground, "read_training", noted)
    return times_s


def trained(experiment):
    """Train; return the monotonic time at which the result was there, also where it is a failure."""
    experiment.begin()
    experiment.open_window()
    training = experiment.cell.workload
    result = experiment.attempt.train(training, training.values(None), None)
    return result, time.monotonic()


@pytest.mark.parametrize("kind", PATTERNS)
def test_a_window_that_ends_with_its_training_does_not_contain_the_reading_of_the_log(measured, reading_began_s, kind):
    """The window ends before the log is read, whatever the log and the patterns."""
    experiment = measured.experiment(f"{kind}/{kind}")
    opened_s = time.monotonic()
    result, _ = trained(experiment)
    experiment.close_window()
    (record,) = experiment.finish()
    assert opened_s + record.energy.window_s <= reading_began_s[0]
    assert record.energy.total_j == pytest.approx(100.0 * record.energy.window_s, rel=0.1)
    assert not [flag for flag in record.meter.flags if "reading the log" in flag]
    assert result.metrics == ({} if kind == "slow" else {"accuracy": 0.75})


def test_a_test_that_works_on_is_measured_to_its_end_and_its_reading_is_flagged(measured):
    """The window contains the work after the training, and the record says how long the log was read in it."""
    experiment = measured.experiment("line/line")
    _, done_s = trained(experiment)
    while time.monotonic() < done_s + 0.3:
        sum(range(1000))
    experiment.close_window()
    (record,) = experiment.finish()
    (flag,) = [flag for flag in record.meter.flags if "reading the log" in flag]
    assert flag.startswith("0.")
    assert record.energy.window_s > 0.3


def test_a_window_of_the_test_inside_the_call_contains_no_reading(measured, reading_began_s):
    """The window that is opened for the training itself closes before its log is read."""
    experiment = measured.experiment("large/large")
    opened_s = time.monotonic()
    trained(experiment)
    experiment.close_window()
    (record,) = experiment.finish()
    (part,) = record.energy.windows
    assert part.name == "train large/large"
    assert opened_s + part.start_s + part.window_s <= reading_began_s[0]


@pytest.mark.parametrize(
    ("end", "window_s", "words"),
    [
        (WindowEnd(at_hold=True, cut_s=0.09), 1.0, ["the last 0.09 s of the test are not in the window"]),
        (WindowEnd(at_hold=True, cut_s=0.09), 10.0, []),
        (WindowEnd(at_hold=True, cut_s=0.015), 0.1, []),
        (WindowEnd(read_s=0.5), 10.0, ["0.5 s of this window (5%) went into reading"]),
        (WindowEnd(at_hold=True, read_s=1.0, cut_s=0.05), 1.0, ["1.0 s of this window", "the last 0.05 s"]),
        (WindowEnd(at_hold=True, read_s=1.0, cut_s=0.05), None, []),
    ],
)
def test_what_a_window_lacks_and_contains_is_flagged(end, window_s, words):
    """Never in silence: work of the test after its training, and the reading of logs."""
    flags = reading_flags(end, window_s)
    assert len(flags) == len(words)
    assert all(word in flag for word, flag in zip(words, flags, strict=True))


def test_a_short_end_after_the_training_is_cut_off_and_flagged(measured, monkeypatch):
    """The record of a test that works on for a moment says so."""
    monkeypatch.setattr(held_end, "_REST_S", 60.0)  # however slow this machine is
    experiment = measured.experiment("slow/slow")
    _, done_s = trained(experiment)
    while time.monotonic() < done_s + 0.3:
        sum(range(1000))
    experiment.close_window()
    (record,) = experiment.finish()
    assert any("of the test are not in the window, which ends with the training" in flag for flag in record.meter.flags)
