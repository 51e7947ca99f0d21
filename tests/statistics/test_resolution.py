"""The smallest difference that two runs on one machine can show."""

from __future__ import annotations

import pytest
from copied import replace

from pytest_parallel_energy.records.record import Attribution
from pytest_parallel_energy.statistics.quantities import resolution_of


def test_the_gain_of_the_sensors_is_no_limit_of_a_share(make_record):
    """It is the same in both runs: the interval without it counts, and only old records have no other."""
    shares = Attribution(foreground_j=100.0, low_j=80.0, high_j=120.0, split_u95_j=5.0)
    record = make_record(1000.0, attribution=shares)
    base_j = resolution_of(record, "total_j")
    assert resolution_of(record, "foreground_j") - base_j == pytest.approx(5.0)
    old = replace(record, attribution=replace(shares, split_u95_j=None))
    assert resolution_of(old, "foreground_j") - base_j == pytest.approx(20.0)
