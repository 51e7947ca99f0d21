"""One sensor's account: wraps, resets, stuck and jumping counters, power with gaps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_parallel_energy.energy.sensor import Reading, SensorDescription
from pytest_parallel_energy.energy.track import Track
from pytest_parallel_energy.records.energy_values import Quality

S = 1_000_000_000


def about(**changes):
    settings = {"name": "package-0", "kind": "cpu", "source": "fake", "quality": Quality.COUNTER,
                "covers": "CPU packages", "joules_per_count": 1.0, "update_interval_s": 0.001}  # fmt: skip
    return SensorDescription(**(settings | changes))


def fed(description, *readings):
    track = Track(description)
    for at_s, value in readings:
        track.feed(round(at_s * S), value if isinstance(value, Reading) else Reading(counter=value))
    return track.account()


def test_difference_of_a_counter():
    """Joules are the difference times the unit."""
    assert fed(about(), (1, 100), (2, 150), (3, 175)).counts == 75


@given(st.lists(st.integers(1, 499), min_size=1, max_size=50), st.integers(0, 999))
def test_any_number_of_wraps_is_exact(steps, start):
    """As long as less than half a range goes by between readings, the sum is exact."""
    value, readings = start, [(0.0, start)]
    for number, step in enumerate(steps, 1):
        value = (value + step) % 1000
        readings.append((number * 0.5, value))
    account = fed(about(wraps_at_counts=1000, max_w=990.0), *readings)
    assert account.counts == sum(steps)
    assert account.faults == 0
    assert account.wraps == (start + sum(steps)) // 1000


def test_gap_of_half_a_range_is_refused():
    """If half a range may have gone by, a wrap may have gone unseen."""
    account = fed(about(wraps_at_counts=1000, max_w=100.0), (0, 0), (5.1, 10))
    assert account.counts == 0
    assert "wrapped unseen" in account.last_fault


def test_decrease_without_range_is_a_reset():
    """NVML's counter starts again when the driver is reloaded: never a wrap, never negative."""
    account = fed(about(), (0, 500), (1, 20), (2, 30))
    assert (account.resets, account.wraps, account.counts) == (1, 0, 10)
    assert "reset" in account.last_fault


def test_small_decrease_is_no_wrap():
    """A counter that falls by a little would have had to draw kilowatts to wrap: refused."""
    account = fed(about(wraps_at_counts=262_144, max_w=1000.0), (0, 500), (1, 499))
    assert account.counts == 0
    assert "jumped" in account.last_fault


def test_spike_above_the_limit_is_refused():
    """More than 1.2 times the power limit is not believed, and neither is the way back."""
    account = fed(about(max_w=100.0), (0, 0), (1, 100), (2, 5000), (3, 300))
    assert account.counts == 100
    assert account.faults == 2


def test_stuck_counter_is_a_fault():
    """A counter that stands still for many updates is no measurement."""
    account = fed(about(joules_per_count=1e-6), (0, 100), (1, 200), (2.5, 200))
    assert "has not moved for 1.5 s" in account.last_fault


def test_coarse_counter_may_stand_still():
    """A counter of whole joules waits for its quantum at low power."""
    assert fed(about(resolution_counts=1), (0, 100), (5, 100)).faults == 0


@pytest.mark.parametrize("value", [-1, 1000, 5000])
def test_values_outside_the_range_are_faults(value):
    """Negative, or above the range: no number."""
    account = fed(about(wraps_at_counts=1000), (0, 100), (1, value))
    assert (account.faults, account.counts) == (1, 0)


@pytest.mark.parametrize("watts", [float("nan"), float("inf"), -1.0, 900.0])
def test_impossible_powers_are_faults(watts):
    """Not a number, infinite, negative, or above the limit."""
    sensor = about(joules_per_count=None, max_w=700.0)
    assert fed(sensor, (0, Reading(power_w=100.0)), (1, Reading(power_w=watts))).faults == 1


def test_power_is_integrated_by_trapezoids():
    """Two readings of 100 and 200 W a second apart hold 150 J."""
    account = fed(about(joules_per_count=None), (0, Reading(power_w=100.0)), (1, Reading(power_w=200.0)))
    assert account.integral_j == 150.0


def test_long_gap_in_power_is_noted():
    """Five seconds without power reading are bridged, and counted as such."""
    account = fed(about(joules_per_count=None), (0, Reading(power_w=100.0)), (5, Reading(power_w=100.0)))
    assert (account.integral_j, account.bridged_s) == (500.0, 5.0)


def test_failed_reading_loses_no_joule_of_a_counter():
    """A counter goes on while nobody reads it."""
    track = Track(about())
    track.feed(0, Reading(counter=0))
    track.fail(S, "busy")
    assert track.account().problem == "busy"
    track.feed(2 * S, Reading(counter=100))
    account = track.account()
    assert (account.counts, account.errors, account.problem) == (100, 1, None)


def test_restart_forgets_the_time_between():
    """What was used while nobody measured is nobody's."""
    track = Track(about())
    track.feed(0, Reading(counter=0))
    track.restart()
    track.feed(3600 * S, Reading(counter=9999))
    assert track.account().counts == 0


def test_a_small_gap_is_told_in_milliseconds():
    """Two readings 40 ms apart: the message says 40 ms, not 0 s."""
    account = fed(about(wraps_at_counts=1000), (0, 0), (0.04, 600))
    assert account.last_fault.startswith("40 ms passed between two readings")
