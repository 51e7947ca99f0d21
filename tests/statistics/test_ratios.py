"""Ratios between cells, with intervals that need no SciPy."""

from __future__ import annotations

import random

import pytest

from pytest_parallel_energy.records.record import DomainEnergy, WindowResult
from pytest_parallel_energy.statistics.ratios import ratio_of


def _records(make_record, joules, **domain):
    domains = (DomainEnergy(name="package-0", kind="cpu", u95_j=50.0, quality="counter", **domain),) if domain else ()
    return [
        make_record(energy=WindowResult(total_j=value, window_s=10.0, quality="counter", domains=domains))
        for value in joules
    ]


def test_an_unknown_value_leaves_no_ratio(make_record):
    """One unknown energy, or one that is not above 0, makes the ratio unknown."""
    known = _records(make_record, [1.0, 2.0])
    assert ratio_of(_records(make_record, [1.0, None]), known, "total_j") is None
    assert ratio_of(_records(make_record, [0.0, 1.0]), known, "total_j") is None
    assert ratio_of(known, known, "mean_w") is None


def test_one_value_has_no_interval(make_record):
    """The spread of a single value is unknown, and so is the direction."""
    ratio = ratio_of(_records(make_record, [3.0]), _records(make_record, [2.0, 2.0]), "total_j")
    assert (ratio.value, ratio.low, ratio.direction) == (pytest.approx(1.5), None, None)


def test_the_sensors_resolution_widens_the_interval(make_record):
    """Equal repeats do not make a difference certain that the sensors cannot resolve."""
    sharp = ratio_of(_records(make_record, [102.0] * 3), _records(make_record, [100.0] * 3), "total_j")
    assert sharp.direction == 1
    coarse = {"update_interval_s": 1.0, "mean_w": 10.0}
    blurred = ratio_of(
        _records(make_record, [102.0] * 3, **coarse), _records(make_record, [100.0] * 3, **coarse), "total_j"
    )
    assert blurred.direction == 0
    assert blurred.high / blurred.value == pytest.approx(1.15, abs=0.01)


def test_the_interval_covers_the_true_ratio(make_record):
    """Of intervals over three noisy repeats each, at least 93 % hold the true ratio (seeded)."""
    draw = random.Random(5)
    held = 0
    for _ in range(300):
        upper = _records(make_record, [150.0 * draw.lognormvariate(0, 0.03) for _ in range(3)])
        lower = _records(make_record, [100.0 * draw.lognormvariate(0, 0.02) for _ in range(3)])
        ratio = ratio_of(upper, lower, "total_j")
        held += ratio.low <= 1.5 <= ratio.high
    assert held >= 0.93 * 300
