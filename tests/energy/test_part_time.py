"""Part-time sensors: read at every update, widened by what a repeating load may hide, and flagged."""

from __future__ import annotations

import time

import pytest

from pytest_parallel_energy.energy.meter import EnergyMeter
from pytest_parallel_energy.energy.part_time import sight_of
from pytest_parallel_energy.energy.sensor import SensorDescription
from pytest_parallel_energy.records.energy_values import Quality
from pytest_parallel_energy.testing import FakeSensor, PowerProfile, Traits


def board(**changes):
    """A board that sees 5 of every 20 ms."""
    settings = {"name": "gpu-0", "kind": "gpu", "source": "fake", "quality": Quality.COUNTER, "covers": "GPU boards",
                "joules_per_count": 1e-3, "update_interval_s": 0.02, "averaging_s": 0.005}  # fmt: skip
    return SensorDescription(**(settings | changes))


@pytest.mark.parametrize(("averaging_s", "many"), [(0.005, True), (0.02, False)])
def test_only_part_time_sensors_are_read_at_every_update(averaging_s, many):
    """Within half a second a part-time board is read far more often than once per second, another one is not."""
    sensor = FakeSensor(PowerProfile.constant(300.0), description=board(averaging_s=averaging_s))
    with EnergyMeter([sensor]) as meter, meter.window() as window:
        deadline_s = time.monotonic() + 20
        while sensor.reads < 20 and time.monotonic() < deadline_s - 20 + (20 if many else 0.5):
            time.sleep(0.01)
    assert (sensor.reads >= 20) is many
    assert window.result.total_j is not None


def test_no_reading_outside_a_window():
    """Between windows a part-time board is left alone."""
    sensor = FakeSensor(PowerProfile.constant(300.0), description=board())
    with EnergyMeter([sensor]) as meter:
        meter.begin().end()
        reads = sensor.reads
        time.sleep(0.2)
        assert sensor.reads == reads


def test_the_cost_of_the_readings_is_in_the_record():
    """The CPU time of the extra readings is part of the sampler's."""
    sensor = FakeSensor(PowerProfile.constant(300.0), description=board(), traits=Traits(update_interval_s=0.02))
    with EnergyMeter([sensor], interval_s=0.2) as meter, meter.window() as window:
        while sensor.reads < 60:
            time.sleep(0.01)
    costs_s = window.measurement().sampler_cpu_s
    assert costs_s > 60 * 2e-6, "a reading and its bookkeeping take more than two microseconds"
    assert any("read at every update" in flag and "% of a core" in flag for flag in window.flags)


def test_steady_readings_may_hide_a_load_in_step_with_the_sensor():
    """Readings that do not vary are what a load of the same period shows too: all of it may be hidden."""
    assert sight_of([300.0] * 50, None).hidden_ratio == 1.0


def test_a_pattern_hides_less_the_longer_it_is():
    """A load that is met in four phases hides a quarter of what it could."""
    assert sight_of([100.0, 300.0, 310.0, 110.0] * 20, None).hidden_ratio == 0.25


def test_readings_without_a_pattern_hide_nothing():
    """Readings that vary at random are a fair sample."""
    import random

    chance = random.Random(1)
    sight = sight_of([chance.choice([80.0, 320.0]) for _ in range(200)], None)
    assert sight.hidden_ratio == 0.0
    assert sight.sigma_ratio > 0.2


def test_few_readings_show_nothing():
    """With fewer than twelve readings nothing can be excluded."""
    assert sight_of([80.0, 320.0] * 5, None).hidden_ratio == 1.0


def test_a_known_step_decides():
    """A step of which all phases are seen hides nothing; one that is seen by a quarter hides all that it can."""
    assert sight_of([300.0] * 50, 1.0).hidden_ratio == 0.0
    assert sight_of([300.0] * 50, 0.25).hidden_ratio == 1.0
