"""The loads of an experiment, as real processes."""

from __future__ import annotations

import time

import pytest

from pytest_parallel_energy.errors import LoadError


def test_loads_run_around_the_window_and_stop(world):
    """Two marked loads: both are in the record with their rounds, and gone afterwards."""
    experiment = world.experiment(loads=[world.busy_load(), world.busy_load()])
    experiment.begin()
    try:
        experiment.loads.start_marked(experiment.attempt.folder)
        experiment.open_window()
        assert [load.alive for load in experiment.loads.loads] == [True, True]
        deadline_s = time.monotonic() + 20
        while min(load.rounds_completed for load in experiment.loads.loads) < 2:
            assert time.monotonic() < deadline_s, "no second round after 20 s"
            time.sleep(0.01)
        world.clock.advance(1.0)
        experiment.close_window()
    finally:
        experiment.loads.stop()
    assert [load.alive for load in experiment.loads.loads] == [False, False]
    (record,) = experiment.finish()
    first, second = record.background
    assert first.rounds_completed >= 2
    assert second.rounds_completed >= 2
    names = [load.log_dir.name for load in experiment.loads.loads]
    assert names == ["background", "background-2"]


def test_a_load_of_the_test_itself_is_part_of_the_identity(world):
    """A load that the test starts changes the cell of its record; a marked one is counted once."""
    experiment = world.experiment(loads=[world.busy_load(0.01)])
    experiment.begin()
    try:
        experiment.loads.start_marked(experiment.attempt.folder)
        assert experiment.loads.started_identities() == []
        experiment.loads.start(world.busy_load(0.02), experiment.attempt.folder)
        (identity,) = experiment.loads.started_identities()
        assert "0.02" in identity["command"][-1]
    finally:
        experiment.loads.stop()
    (record,) = experiment.finish()
    assert record.cell == world.cell(loads=[world.busy_load(0.01), world.busy_load(0.02)]).id != experiment.cell.id


def test_a_load_that_was_stopped_early_fails_the_check(world):
    """A measurement without the load that it names is refused."""
    experiment = world.experiment(loads=[world.busy_load()])
    experiment.begin()
    try:
        experiment.loads.start_marked(experiment.attempt.folder)
        experiment.open_window()
        experiment.loads.stop()
        world.clock.advance(1.0)
        time.sleep(0.2)
        experiment.close_window()
        with pytest.raises(LoadError, match=r"coverage|ran"):
            experiment.check(())
    finally:
        experiment.loads.stop()


def test_only_a_test_without_loads_is_compared_with(world):
    """The window of a passed test alone is kept for tests that do the same work with loads."""
    experiment = world.experiment()
    experiment.begin()
    experiment.open_window()
    world.clock.advance(2.0)
    experiment.close_window()
    experiment.finish()
    assert world.run.legs._alone[experiment.cell.work_and_values].leg.mean_w == pytest.approx(100.0)
