"""Remarks on other processes that worked while a test was measured."""

from __future__ import annotations

import pytest

from pytest_parallel_energy.records.record import Attribution, Quality, WindowResult
from pytest_parallel_energy.reports.remarks import cell_remarks, remarks
from pytest_parallel_energy.reports.strangers import stranger_ratio
from pytest_parallel_energy.statistics.grouping import group_cells


def attempt(make_record, *, other_s, own_s=4.8, total_j=217.0, other_j=None, **fields):
    """An attempt of 10 s."""
    shares = Attribution(
        foreground_cpu_s=own_s,
        background_cpu_s=0.0,
        other_cpu_s=other_s,
        other_cpu_ratio=other_s / (own_s + other_s),
        other_j=other_j,
    )
    energy = WindowResult(window_s=10.0, total_j=total_j, quality=Quality.COUNTER)
    return make_record(energy=energy, attribution=shares, **fields)


def test_the_joules_of_others_are_told(make_record):
    """Half of the CPU time was of others: the remark says how many of the joules are not the test's."""
    sentence = "other processes used 52 % of the CPU time: about 113 J of 217 J"
    record = attempt(make_record, other_s=5.2)
    assert sentence in remarks(record)
    assert sentence in cell_remarks(group_cells([record])[0])


def test_with_idle_power_only_joules_above_it_are_theirs(make_record):
    """Where they were split off above the idle power, those joules are told."""
    (text,) = [text for text in remarks(attempt(make_record, other_s=5.2, other_j=31.4)) if "other" in text]
    assert text.endswith(": about 31.4 J of 217 J")


def test_others_that_worked_in_the_idle_leg_too_are_in_the_idle_energy(make_record):
    """Their joules above idle are none, and the remark does not pretend that they used nothing."""
    (text,) = [text for text in remarks(attempt(make_record, other_s=5.2, other_j=0.0)) if "other" in text]
    assert text.endswith("as they did while the idle power was measured: their energy is in the idle energy")


def test_a_cell_says_it_once(make_record):
    """Several attempts give one sentence with the range, the mean, and how many were disturbed."""
    records = [
        attempt(make_record, other_s=other_s, other_j=10.0 * other_s, total_j=100.0, repetition=number)
        for number, other_s in enumerate((0.01, 1.2, 5.2))
    ]
    found = [text for text in cell_remarks(group_cells(records)[0]) if "other processes" in text]
    words = "other processes used 20 to 52 % of the CPU time in 2 of 3 attempts"
    assert found == [f"{words}: about 21.4 J of 100 J on average"]


@pytest.mark.parametrize(("other_s", "own_s"), [(0.2, 9.0), (0.3, 0.1), (0.04, 0.0)])
def test_a_usual_machine_is_not_remarked(make_record, other_s, own_s):
    """A share below 5 %, and the few CPU seconds of any machine next to a test that sleeps, are not worth a remark."""
    record = attempt(make_record, other_s=other_s, own_s=own_s)
    assert not [text for text in remarks(record) if "other processes" in text]


def test_a_gpu_that_others_used_is_told(make_record):
    """Their part of the use of the GPU is remarked, and counts for the limit of --energy-strict."""
    shares = Attribution(other_gpu_ratio=0.3)
    record = make_record(attribution=shares)
    assert "other processes had 30 % of the use of a GPU" in remarks(record)
    assert stranger_ratio(WindowResult(window_s=10.0), shares) == 0.3
