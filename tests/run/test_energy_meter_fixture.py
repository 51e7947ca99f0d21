"""The value of the ``energy_meter`` fixture."""

from __future__ import annotations

import pytest

from pytest_parallel_energy.energy.window import Window
from pytest_parallel_energy.errors import ParallelEnergyError
from pytest_parallel_energy.plugin.fixture_values import NotMeasured
from pytest_parallel_energy.plugin.meter_values import CallWindow, ScopeWindow, UnmeasuredWindow

NUMBERS = ("total_j", "u95_j", "cpu_j", "gpu_j", "dram_j", "seconds", "mean_w", "peak_w", "above_idle_j", "quality")


def test_it_is_the_window_of_the_call(world):
    """An error before the call, the energy so far during it, the final energy afterwards."""
    experiment = world.experiment()
    experiment.begin()
    meter = CallWindow(experiment)
    assert isinstance(meter, Window)
    for name in (*NUMBERS, "domains", "result"):
        with pytest.raises(RuntimeError, match="opens with the test's call"):
            getattr(meter, name)
    experiment.open_window()
    world.clock.advance(1.0)
    assert (meter.total_j, meter.seconds) == (pytest.approx(100.0), 1.0)
    with pytest.raises(ParallelEnergyError, match="still open"):
        meter.result  # noqa: B018
    world.clock.advance(1.0)
    experiment.close_window()
    world.clock.advance(7.0)
    assert meter.total_j == meter.result.total_j == pytest.approx(200.0)


def test_its_flags_trace_and_parts_are_those_of_the_call(world):
    """Besides its numbers, it shows the flags, the power trace and the inner windows of the window around the call."""
    experiment = world.experiment()
    experiment.begin()
    meter = CallWindow(experiment)
    experiment.open_window()
    world.clock.advance(1.0)
    world.meter.sample()
    with meter.window("part"):
        world.clock.advance(1.0)
    experiment.close_window()
    window = experiment.window
    assert (meter.flags, meter.trace, meter.inner) == (window.flags, window.trace, window.inner)
    assert [point.watts for point in meter.trace] == [(pytest.approx(100.0),)]
    assert [part.name for part in meter.inner] == ["part"]
    assert meter.start_s == 0.0


def test_parts_of_the_call(world):
    """A named window inside the call is measured; during set-up it reads like the call's own."""
    experiment = world.experiment()
    experiment.begin()
    meter = CallWindow(experiment)
    with meter.window("early") as early:
        assert early is meter
    experiment.open_window()
    with meter.window("part") as part:
        world.clock.advance(1.0)
    world.clock.advance(1.0)
    assert part.total_j == pytest.approx(100.0)
    assert meter.total_j == pytest.approx(200.0)


def test_after_a_retry_it_is_the_window_of_the_new_attempt(world):
    """The joules of the failed attempt are not those of the test."""
    experiment = world.experiment("toy/flaky", settings=world.settings(max_retries=1))
    experiment.begin()
    meter = CallWindow(experiment)
    experiment.open_window()
    world.clock.advance(5.0)
    experiment.train(None, None, {})
    world.clock.advance(1.0)
    # Besides the second: the wait for the counter, which takes some milliseconds, when the training ends.
    assert meter.total_j == pytest.approx(100.0, rel=0.01)


def test_a_test_cannot_open_or_close_it(world):
    """Only pytest does; a test that wants a window of its own gives it a name."""
    experiment = world.experiment()
    experiment.begin()
    meter = CallWindow(experiment)
    for misuse in (meter.open, meter.close, meter.end):
        with pytest.raises(ParallelEnergyError, match=r"pytest (opens|closes)"):
            misuse()
    with pytest.raises(ParallelEnergyError, match=r"energy_meter\.window"), meter:
        pass
    assert world.meter.open_windows == []


def test_the_stand_in_when_disabled():
    """It has the names of a window and no others; any comparison holds."""
    disabled = UnmeasuredWindow("not measured")
    for name in NUMBERS:
        assert isinstance(getattr(disabled, name), NotMeasured)
        assert getattr(disabled, name) < 0 <= getattr(disabled, name)
    with disabled.window("part") as part:
        assert isinstance(part.total_j, NotMeasured)
    assert isinstance(disabled.begin("part").total_j, NotMeasured)
    assert isinstance(disabled.end("part").total_j, NotMeasured)
    assert list(disabled.windows("epoch", "ab")) == ["a", "b"]
    assert repr(disabled) == "<energy window: not measured>"
    with pytest.raises(AttributeError, match="'joules'"):
        disabled.joules  # noqa: B018
    with pytest.raises(TypeError):
        disabled.total_j + 1


def test_begin_and_end_measure_a_part(world):
    """The last window of the name is closed; without one the message says which are open."""
    experiment = world.experiment()
    experiment.begin()
    meter = CallWindow(experiment)
    with pytest.raises(RuntimeError, match="set-up is not measured"):
        meter.begin("early")
    experiment.open_window()
    outer = meter.begin("outer")
    meter.begin("inner")
    world.clock.advance(1.0)
    with pytest.raises(ParallelEnergyError, match=r"no window 'iner' .*'outer', 'inner'"):
        meter.end("iner")
    assert meter.end("outer").total_j == pytest.approx(100.0)
    world.clock.advance(1.0)
    assert meter.end().total_j == pytest.approx(200.0)
    with pytest.raises(ParallelEnergyError, match="begin"):
        meter.end()
    assert repr(outer).startswith("<energy window 'outer': 100 ± ")
    experiment.close_window()
    with pytest.raises(RuntimeError):
        meter.begin("late")


def test_each_round_of_a_loop_has_a_window(world):
    """Also the round that is left early; the rounds are parts of the test's window."""
    experiment = world.experiment()
    experiment.begin()
    meter = CallWindow(experiment)
    experiment.open_window()
    for item in meter.windows("epoch", "abc"):
        world.clock.advance(1.0)
        if item == "b":
            break
    assert world.meter.open_windows == [experiment.window]
    experiment.close_window()
    assert [(part.name, part.total_j) for part in meter.inner] == [
        ("epoch 1", pytest.approx(100.0)),
        ("epoch 2", pytest.approx(100.0)),
    ]


def test_the_window_of_a_scope_leaves_those_of_tests_alone(world):
    """A module's window stays open over tests, whose windows are not its parts and start at 0."""
    scope = ScopeWindow(world.meter, "module a").open()
    with scope.window("pretraining"):
        world.clock.advance(1.0)
    experiment = world.experiment()
    experiment.begin()
    experiment.open_window()
    world.clock.advance(1.0)
    experiment.close_window()
    assert experiment.window.result.start_s == 0.0
    scope.close()
    assert scope.total_j == pytest.approx(200.0, rel=1e-3)  # besides the wait for the counter
    assert [part.name for part in scope.inner] == ["pretraining"]
