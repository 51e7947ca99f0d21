"""The line and the file that say how a run is going."""

from __future__ import annotations

import pytest

from pytest_parallel_energy.run.progress import LiveFigures, Progress


def test_energy_of_the_finished_experiments_adds_up():
    """One unknown value makes the sum unknown: a part is not shown as the whole."""
    run = Progress.begin(3, 0.0).starts("t.py::test_a", 0.0).ends(100.0, 10.0)
    assert (run.finished, run.joules, run.spent_s, run.current) == (1, 100.0, 10.0, None)
    run = run.starts("t.py::test_b", 12.0).ends(50.0, 22.0)
    assert run.joules == 150.0
    assert run.starts("t.py::test_c", 22.0).ends(None, 30.0).joules is None


def test_the_time_left_counts_down():
    """The mean of the finished for each that is left; one that takes longer raises it, so that the time left moves."""
    run = Progress.begin(3, 0.0).starts("a", 0.0)
    assert run.left_s(5.0) is None
    run = run.ends(1.0, 10.0).starts("b", 10.0)
    assert run.left_s(14.0) == pytest.approx(16.0)
    assert run.left_s(20.0) == pytest.approx(10.0)
    assert run.left_s(40.0) == pytest.approx(20.0)
    assert run.ends(1.0, 40.0).starts("c", 40.0).left_s(100.0) == 0.0


def test_an_estimate_is_named_in_the_line():
    """Joules from a model never stand in the live line as if they were measured."""
    run = Progress.begin(2, 0.0).starts("t.py::test_a", 0.0)
    line = run.line(LiveFigures(watts=10.0, joules=20.0, quality="estimated"), 1.0)
    assert line.endswith("10.0 W, 20.0 J (estimated)")
    assert "(" not in run.line(LiveFigures(quality="estimated"), 1.0)
    assert run.status(LiveFigures(quality="estimated"), 1.0, "running")["current_quality"] == "estimated"


def test_the_status_file_holds_numbers():
    """What programs read; unknown numbers are null, not 0."""
    run = Progress.begin(None, 100.0).starts("t.py::test_a", 100.0)
    status = run.status(LiveFigures(watts=12.5), 103.25, "running")
    assert status["total"] is None
    assert (status["current"], status["current_elapsed_s"], status["current_w"]) == ("t.py::test_a", 3.25, 12.5)
    assert (status["current_j"], status["finished_j"], status["left_s"]) == (None, 0.0, None)
    assert run.line(LiveFigures(), 101.0).startswith("experiment 1 of ?: test_a")


def test_the_last_experiment_that_takes_longer_than_the_others_has_no_time_left_to_print():
    """The line does not say for minutes that 0 ms are left."""
    progress = Progress(total=3, finished=2, current="t.py::test_a", spent_s=20.0)
    assert progress.line(LiveFigures(), 9.0).endswith("; about 1.0 s left")
    assert progress.line(LiveFigures(), 11.0).endswith("; longer than the ones before")
