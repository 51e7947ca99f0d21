"""Projections: stable epochs are multiplied, the start is not, and the interval covers what the full training used."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from copied import replace

from pytest_parallel_energy.records.energy_values import WindowResult
from pytest_parallel_energy.records.record import EpochEnergy, WorkloadPart
from pytest_parallel_energy.statistics.future_sum import future_sum_u95
from pytest_parallel_energy.statistics.projection import project, project_cell, stable_epochs


def trained(make_record, joules, *, overhead_j=0.0, u95_ratio=0.0, full=None):
    """A record whose epochs used these joules, 2 s each, and whose start and end used some more."""
    epochs = tuple(
        EpochEnergy(name=str(number), start_s=2.0 * number, seconds=2.0, joules=value, u95_j=1.0)
        for number, value in enumerate(joules, 1)
    )
    total_j = sum(joules) + overhead_j
    energy = WindowResult(window_s=2.0 * len(joules), total_j=total_j, total_u95_j=u95_ratio * total_j)
    workload = WorkloadPart(repository="r", model="m", hyperparameters={}, full_epochs=full)
    return replace(make_record(), energy=energy, epochs=epochs, workload=workload)


def test_the_start_is_counted_once(make_record):
    """An expensive first epoch and the overhead around the epochs stay as they were measured."""
    record = trained(make_record, [150.0, 100.0, 100.0, 100.0], overhead_j=30.0)
    projection = project(record, 20)
    assert projection.energy.value == pytest.approx(150 + 30 + 19 * 100)
    assert projection.time.value == pytest.approx(40.0)
    assert (projection.stable, projection.trained) == (3, 4)
    assert project(record, 2).energy.value == pytest.approx(480 - 200)


def test_a_slow_start_of_several_epochs_is_not_stable(make_record):
    """Epochs are left out at the beginning until the rest is alike; two must remain."""
    record = trained(make_record, [200.0, 180.0, 140.0, 100.0, 101.0, 99.0, 100.0])
    assert stable_epochs(record).joules == (100.0, 101.0, 99.0, 100.0)
    assert stable_epochs(trained(make_record, [100.0, 100.0])) is None
    assert project(trained(make_record, [100.0]), 10) is None


def test_unknown_energy_projects_nothing(make_record):
    """One unknown epoch, or an unknown total, and there is no projection."""
    record = trained(make_record, [100.0, 100.0, 100.0])
    holes = tuple(replace(epoch, joules=None) for epoch in record.epochs[:1]) + record.epochs[1:]
    assert project(replace(record, epochs=holes), 10) is None
    assert project(replace(record, energy=WindowResult(window_s=6.0)), 10) is None


def test_the_interval_covers_the_full_training(make_record):
    """1000 trainings of 100 noisy epochs, projected from their first 6: at least 93 % lie within the interval."""
    rng = random.Random(7)
    inside = 0
    for _ in range(1000):
        joules = [130.0, *(rng.gauss(100.0, 5.0) for _ in range(99))]
        projection = project(trained(make_record, joules[:6]), 100)
        inside += abs(projection.energy.value - sum(joules)) <= projection.energy.u95
    assert inside >= 930


def autoregression(rng, correlation, count):
    """Values around 100 with a standard deviation of 5, each correlated with the next one."""
    value = rng.gauss(0.0, 5.0)
    for _ in range(count):
        yield 100.0 + value
        value = correlation * value + rng.gauss(0.0, 5.0 * math.sqrt(1 - correlation**2))


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.5, 0.65])
@pytest.mark.parametrize(("trained_epochs", "full"), [(3, 20), (4, 200), (6, 50), (11, 100), (31, 200)])
def test_the_interval_covers_epochs_whose_neighbours_are_alike(make_record, correlation, trained_epochs, full):
    """Other programs and temperatures last longer than an epoch. 92 % of 400 trainings or more lie within."""
    rng = random.Random(11)
    record = trained(make_record, [100.0] * trained_epochs)
    inside = 0
    for _ in range(400):
        joules = [130.0, *autoregression(rng, correlation, full - 1)]
        epochs = tuple(replace(epoch, joules=value) for epoch, value in zip(record.epochs, joules, strict=False))
        energy = replace(record.energy, total_j=sum(joules[:trained_epochs]))
        projection = project(replace(record, epochs=epochs, energy=energy), full)
        inside += abs(projection.energy.value - sum(joules)) <= projection.energy.u95
    assert inside >= 0.92 * 400


@pytest.mark.parametrize("correlation", [0.0, 0.4, 0.8])
def test_many_values_show_how_alike_neighbours_are(correlation):
    """From 500 values the half-width is that of the true correlation, within a tenth, without a needless allowance."""
    rng = random.Random(3)
    sums, widths = [], []
    for _ in range(200):
        values = list(autoregression(rng, correlation, 600))
        sums.append(sum(values[500:]) - 100 * statistics.fmean(values[:500]))
        widths.append(future_sum_u95(values[:500], 100))
    between = 1 + correlation, 1 - correlation
    expected = 1.965 * 5.0 * math.sqrt((100 + 100**2 / 500) * between[0] / between[1])
    assert statistics.fmean(widths) == pytest.approx(expected, rel=0.1)
    assert statistics.stdev(sums) * 1.965 == pytest.approx(expected, rel=0.15)


def test_equal_epochs_have_no_spread():
    """As those of a test with generated numbers."""
    assert future_sum_u95([100.0] * 5, 20) == 0.0


def test_a_trend_widens_the_interval(make_record):
    """Epochs that grow by 1 % each: the interval reaches what the straight line would give."""
    joules = [100.0 + number for number in range(60)]
    projection = project(trained(make_record, joules[:12]), 60)
    assert abs(projection.energy.value - sum(joules)) <= projection.energy.u95


def test_the_error_of_the_meter_stays(make_record):
    """A gain error is in all epochs: the interval is never relatively narrower than the measured one."""
    projection = project(trained(make_record, [100.0] * 10, u95_ratio=0.1), 1000)
    assert projection.energy.u95 == pytest.approx(0.1 * projection.energy.value)


def test_a_cell_is_projected_to_the_published_length(make_record):
    """The mean over its repetitions; nothing where the full length is unknown or was trained."""
    records = [trained(make_record, [100.0] * 4, full=100.0), trained(make_record, [110.0] * 4, full=100.0)]
    assert project_cell(records).energy.value == pytest.approx(10_500)
    assert project_cell([trained(make_record, [100.0] * 4)]) is None
    assert project_cell([trained(make_record, [100.0] * 4, full=4.0)]) is None
    assert project_cell([]) is None
