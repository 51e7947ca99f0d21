"""Energy of spans that no reading marks: the trace is cut, and the interval holds what the cut cannot know."""

from __future__ import annotations

import pytest

from pytest_parallel_energy.energy.meter import EnergyMeter
from pytest_parallel_energy.energy.trace_cut import cut_trace
from pytest_parallel_energy.testing import FakeSensor, PowerProfile, VirtualClock


def window_of(profile, seconds, step_s=1.0):
    """A window whose sampler ticks each ``step_s``, over a sensor that follows the profile."""
    clock = VirtualClock()
    meter = EnergyMeter([FakeSensor(profile, clock=clock)], clock_ns=clock, sleep=clock.advance)
    with meter.open(), meter.window("test") as window:
        for _ in range(round(seconds / step_s)):
            clock.advance(step_s)
            meter.sample()
    return window.measurement()


def test_spans_of_constant_power_are_exact_and_add_up():
    """Their energies are time times power; together they are the window's."""
    measured = window_of(PowerProfile.constant(100.0), 10)
    cut = cut_trace(measured, [(0.0, 2.5), (2.5, 7.0), (7.0, 99.0)])
    assert [energy.joules for energy in cut] == [pytest.approx(value) for value in (250.0, 450.0, 300.0)]
    assert sum(energy.joules for energy in cut) == pytest.approx(measured.energy.total_j)


def test_the_interval_holds_the_truth_wherever_the_power_steps():
    """A boundary at each phase of the sampling period: the true energy never leaves the interval."""
    for tenth in range(11):
        step_s = 4 + tenth / 10
        measured = window_of(PowerProfile.steps([(step_s, 20.0), (1.0, 300.0)]), 10)
        first, second = cut_trace(measured, [(0.0, step_s), (step_s, 10.0)])
        assert abs(first.joules - 20.0 * step_s) <= first.u95_j
        assert abs(second.joules - 300.0 * (10 - step_s)) <= second.u95_j


def test_a_shorter_sampling_period_narrows_the_interval():
    """Ten times as many samples: a tenth of the bound of a cut."""
    coarse, fine = (
        cut_trace(window_of(PowerProfile.constant(100.0), 10, step_s), [(2.55, 5.55)])[0] for step_s in (1.0, 0.1)
    )
    assert fine.u95_j < coarse.u95_j / 3
    assert fine.joules == pytest.approx(coarse.joules)


def test_energy_that_is_unknown_stays_unknown():
    """Without a sensor no span has joules."""
    clock = VirtualClock()
    with EnergyMeter([], clock_ns=clock, sleep=clock.advance) as meter, meter.window("test") as window:
        clock.advance(1.0)
    assert cut_trace(window.measurement(), [(0.0, 0.5)]) == ((None, None),)
