"""What a plan expects, and what progress says."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest

from pytest_parallel_energy.plan.expectation import Past, PlannedCell, detectable_ratio
from pytest_parallel_energy.plan.run_table import run_table
from pytest_parallel_energy.records.record import Record, Status, WindowResult, WorkloadPart
from pytest_parallel_energy.reports.costs import price_factor
from pytest_parallel_energy.run.progress import LiveFigures, Progress

NOW = dt.datetime(2026, 1, 1, 12, 0, tzinfo=dt.UTC)
CELL = PlannedCell(name="test_a", cell="aaa", workload="toy/net", repetitions=3, warmups=1)


def record(cell, joules, seconds=10.0, **changes):
    base = Record(
        record_id=cell, run_id="r", nodeid="t", cell=cell, status=Status.PASSED, started_at="", duration_s=seconds,
        energy=WindowResult(total_j=joules), workload=WorkloadPart(repository="toy", model="net", hyperparameters={}),
    )  # fmt: skip
    return dataclasses.replace(base, **changes)


def test_a_cell_is_expected_to_take_what_it_took():
    """Mean time and joules of its own passed runs; failed ones do not count."""
    past = Past.of([record("aaa", 100.0), record("aaa", 110.0, 12.0), record("aaa", 9.0, status=Status.FAILED)])
    expected = past.expect(CELL)
    assert (expected.seconds, expected.joules, expected.n, expected.source) == (11.0, 105.0, 2, "cell")
    assert expected.spread_ratio is None


def test_another_cell_of_the_workload_stands_in():
    """A new mutation is expected to take what others of its workload took, alone and beside loads apart."""
    past = Past.of([record("bbb", 100.0), record("bbb", None)])
    expected = past.expect(CELL)
    assert (expected.seconds, expected.joules, expected.n, expected.source) == (10.0, 100.0, 2, "workload")
    assert past.expect(dataclasses.replace(CELL, loads=1)).seconds is None


@pytest.mark.parametrize(("repetitions", "ratio"), [(2, 0.0536), (3, 0.0304), (5, 0.0202), (10, 0.0132), (50, 0.0057)])
def test_the_smallest_difference_that_shows(repetitions, ratio):
    """Two-sample t test, 5 % level, 80 % power, one per cent spread: the values of standard tables."""
    assert detectable_ratio(0.01, repetitions) == pytest.approx(ratio, rel=0.02)


def test_one_repetition_shows_nothing():
    """Without repetitions, or without a known spread, no difference can be promised."""
    assert detectable_ratio(0.01, 1) is None
    assert detectable_ratio(None, 9) is None


def test_the_table():
    """Runs with their warm-ups, sums, what they leave out, the cost and the end."""
    past = Past.of([record("aaa", joules, 600.0) for joules in (99_000.0, 100_000.0, 101_000.0)])
    unknown = PlannedCell(name="test_b", cell="bbb", workload="other/net", repetitions=2)
    lines = run_table([CELL, unknown], past, now=NOW, price=price_factor("0.5 EUR/kWh; test"))
    assert lines[1].split("  ")[0] == "test_a"
    assert lines[1].split()[1:] == [
        *(
            "1+3",
            "10",
            "min",
            "0",
            "s",
            "100",
            "kJ",
            "3",
            "of",
            "this",
            "cell",
            "40",
            "min",
            "0",
            "s",
            "400",
            "kJ",
            "3.0%",
        )
    ]
    assert lines[2].split()[1:] == ["2", "–", "–", "–", "–", "–", "–"]
    assert lines[-3:] == [
        "2 cells, 6 runs",
        "time: 40 min 0 s, without 2 runs of which nothing is known; started now, done at 2026-01-01 12:40",
        "energy: 400 kJ (0.111 kWh, 0.06 EUR at 0.5 EUR/kWh (test)), without 2 runs of which nothing is known",
    ]
    assert "nothing is known of them" in run_table([unknown], Past(), now=NOW)[-1]


def test_progress_counts_and_expects():
    """Which of how many, and the time left from what the finished ones took."""
    progress = Progress.begin(4, now_s=0.0)
    assert progress.left_s(5.0) is None
    progress = progress.starts("t.py::a", 0.0).ends(100.0, 10.0).starts("t.py::b", 12.0)
    assert progress.left_s(16.0) == pytest.approx(26.0)
    assert progress.line(LiveFigures(), 16.0) == "experiment 2 of 4: b, 4.0 s; about 26.0 s left"
    status = progress.status(LiveFigures(watts=50.0), 16.0, "running")
    assert (status["finished"], status["current_elapsed_s"], status["finished_j"]) == (1, 4.0, 100.0)
    assert progress.ends(None, 20.0).joules is None
