"""Windows of every length on simulated sensors: the printed interval holds the truth, or the window says otherwise.

A sample of the cells of ``benchmarks/coverage.py``, with fixed seeds: the shortest windows, bursts, and loads in step
with a sensor.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "coverage.py"


@pytest.fixture(scope="module")
def bench():
    """The benchmark as a module."""
    spec = importlib.util.spec_from_file_location("coverage_benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def check(bench, **settings):
    case = bench.Case(**settings)
    tally = bench.simulate(case, 40)
    assert tally.covered_ratio >= bench.LEAST_COVERED_RATIO, f"{case}: {tally.covered_ratio:.0%} are held"
    assert tally.passes, f"{case}: {tally.width_ratio:.2f} times as wide as needed, without a flag"
    return tally


@pytest.mark.parametrize("shape", ["constant", "wave 25 ms", "bursts 20 ms", "bursts 200 ms"])
@pytest.mark.parametrize(("window_s", "update_s"), [(0.01, 0.02), (0.01, 0.1), (0.03, 0.1), (0.1, 0.1)])
def test_steps(bench, shape, window_s, update_s):
    """Steps of 10 to 100 ms inside a test, on counters of 20 and 100 ms: none is 0 J in silence."""
    tally = check(bench, kind="step", window_s=window_s, update_s=update_s, shape=shape)
    assert tally.refused == 0


@pytest.mark.parametrize("shape", ["wave 25 ms", "wave 130 ms", "bursts 20 ms", "bursts 200 ms"])
@pytest.mark.parametrize(("window_s", "update_s"), [(0.02, 0.1), (0.1, 0.1), (0.1, 0.02), (1.0, 0.1), (1.0, 0.5)])
def test_bursts_at_the_ends(bench, shape, window_s, update_s):
    """The doubt about the ends of a test's window comes from the power on both sides, however it jumps."""
    check(bench, kind="test", window_s=window_s, update_s=update_s, shape=shape)


@pytest.mark.parametrize("shape", ["constant", "wave 100 ms", "wave 130 ms", "bursts 20 ms"])
@pytest.mark.parametrize("window_s", [0.1, 1.0])
def test_part_time_sensors(bench, shape, window_s):
    """A board that sees 25 of every 100 ms: what may be hidden is inside the interval, and flagged."""
    settings = {"kind": "test", "window_s": window_s, "update_s": 0.1, "averaging_s": 0.025, "gain": True}
    tally = check(bench, shape=shape, **settings)
    assert tally.flagged_ratio == 1.0, "the time of a step is not known"


def test_from_a_second_on_a_quick_counter_is_as_good_as_needed(bench):
    """RAPL's 1 ms: no flag, and no wider than the gain error makes it."""
    tally = check(bench, kind="test", window_s=1.0, update_s=0.001, shape="bursts 20 ms", gain=True)
    assert tally.flagged_ratio == 0.0
    assert tally.width_ratio <= 1.5
