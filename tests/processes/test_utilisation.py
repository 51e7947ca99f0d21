"""GPU utilisation from NVML's samples by process, and the error of its mean."""

from __future__ import annotations

import random
import statistics

import pytest

from pytest_parallel_energy.processes.guard.duty import LevelTally
from pytest_parallel_energy.processes.guard.ring import RingSample, UtilisationRing

_PERIOD_US = 139_000


def in_ring(first, last, *uses):
    """Samples of some periods, of each process that used the GPU: (pid, percent, every so many periods)."""
    return [
        RingSample(pid, percent, number * _PERIOD_US)
        for number in range(first, last)
        for pid, percent, every in uses
        if number % every == 0
    ]


def test_processes_add_up():
    """Two processes at 40 % use 80 % of the GPU, whether the driver returns one sample of each or many."""
    ring = UtilisationRing()
    assert ring.percent([RingSample(1, 40, 100), RingSample(2, 40, 101)], {1, 2}) == 80.0
    assert ring.percent([RingSample(1, 40, 1_000_100), RingSample(2, 40, 1_000_101)], {1, 2}) == 80.0
    ring = UtilisationRing()
    assert ring.percent(in_ring(1, 8, (1, 40, 1), (2, 40, 1)), {1, 2}) == 80.0
    assert ring.percent(in_ring(8, 15, (1, 40, 1), (2, 40, 1)), {1}) == 40.0


def test_idle_periods_count():
    """A process that used the GPU in every second period at 60 % used 30 % of it."""
    ring = UtilisationRing()
    ring.percent(in_ring(1, 8, (1, 60, 1)), {1})
    assert ring.percent(in_ring(8, 22, (1, 60, 2)), {1}) == pytest.approx(30.0, abs=3)


def test_an_idle_gpu_is_at_zero_and_is_not_counted_twice():
    """While the driver has no sample the use is 0; the time is not part of the next reading."""
    ring = UtilisationRing()
    assert ring.note_idle() is None
    ring.percent(in_ring(1, 8, (1, 60, 1)), {1})
    assert ring.note_idle() == 0.0
    assert ring.percent(in_ring(20, 27, (1, 60, 1)), {1}) == 60.0


def test_old_and_impossible_samples_are_dropped():
    """Not newer than the last, or above 100 %."""
    ring = UtilisationRing()
    assert [one.at_us for one in ring.take([RingSample(1, 50, 6), RingSample(1, 250, 7), RingSample(1, 5, 5)])] == [
        5,
        6,
    ]
    assert ring.take([RingSample(1, 50, 6)]) == []


@pytest.mark.parametrize("memory", [0.0, 0.8])
def test_the_interval_of_a_steered_level_holds_its_mean(memory):
    """Of readings that resemble their neighbours the mean is less sure than their scatter says."""
    draw = random.Random(1)
    inside = []
    for _ in range(200):
        tally, level = LevelTally(), draw.gauss(0, 1)
        for _ in range(120):
            level = memory * level + (1 - memory**2) ** 0.5 * draw.gauss(0, 1)
            tally.add(50 + level)
        inside.append(abs(tally.mean() - 50) <= tally.u95())
    assert statistics.fmean(inside) >= 0.9
