"""Experiments and their attempts, composed of a fake sensor, real trainings and a results folder."""

from __future__ import annotations

import json

import pytest

from pytest_parallel_energy.errors import ConfigError, LimitError, SensorError, TrainingError
from pytest_parallel_energy.plan.limits import limit_from_mark
from pytest_parallel_energy.records.reader import read_records
from pytest_parallel_energy.records.record import Phase, Status
from pytest_parallel_energy.testing import FakeSensor, Fault, FaultKind, PowerProfile, Traits


def call(experiment, clock, seconds=2.0):
    """Begin, and a test's call that takes ``seconds``."""
    experiment.begin()
    experiment.open_window()
    clock.advance(seconds)
    experiment.close_window()


def kept(experiment):
    """The records that another process would find if this one were killed now."""
    experiments = experiment.run.open_store().folder / "experiments"
    texts = [file.read_text() for file in sorted(experiments.glob("*/experiment.json"))]
    return [json.loads(text) for text in texts if text.strip()]


def test_one_attempt_gives_one_record(world):
    """The joules of the window, the identity, and nothing that was not measured."""
    experiment = world.experiment(repetition=2)
    call(experiment, world.clock)
    experiment.attempt.metrics["loss"] = 0.5
    (record,) = experiment.finish()
    assert record.energy.total_j == pytest.approx(200.0)
    assert record.energy.window_s == pytest.approx(2.0)
    assert (record.status, record.reason, record.phase) == (Status.PASSED, None, Phase.MEASURED)
    assert (record.cell, record.code, record.repetition) == (experiment.cell.id, experiment.cell.code, 2)
    assert record.metrics == {"loss": 0.5}
    assert (record.background, record.workload) == ((), None)


def test_a_started_attempt_is_on_the_disk_as_crashed(world):
    """Before the call there is a record that says that the attempt did not end; a heartbeat adds its joules."""
    experiment = world.experiment()
    experiment.begin()
    experiment.keep_heartbeat()
    (started,) = kept(experiment)
    assert (started["status"], started["energy"]["total_j"]) == ("crashed", None)
    assert started["reason"] == "the session ended before this attempt did"
    experiment.open_window()
    world.clock.advance(3.0)
    experiment.keep_heartbeat()
    (beat,) = kept(experiment)
    assert (beat["status"], beat["energy"]["total_j"]) == ("crashed", pytest.approx(300.0))
    assert beat["reason"].endswith("its last heartbeat")
    assert beat["record_id"] == started["record_id"]


def test_no_heartbeat_after_the_end(world):
    """A late heartbeat does not turn a finished attempt into a crashed one."""
    experiment = world.experiment()
    call(experiment, world.clock)
    (record,) = experiment.finish()
    store = experiment.run.open_store()
    store.append(record)
    experiment.keep_heartbeat()
    assert list(store.adopt_unfinished()) == []
    assert [found.status for found in read_records(store.folder).records] == [Status.PASSED]


def test_a_folder_is_made_when_there_is_something_to_keep(world):
    """A test that passes without training, load or trace leaves one line; a failed one leaves a folder as well."""
    passes, fails = world.experiment(), world.experiment(nodeid="test_it.py::test_y[rep0]")
    for experiment in (passes, fails):
        call(experiment, world.clock)
    fails.attempt.note(Status.FAILED, "assert 0")
    store = world.run.open_store()
    for experiment in (passes, fails):
        (record,) = experiment.finish()
        store.append(record)
    assert (passes.attempt._folder, record.folder) == (None, store.relative(fails.attempt.folder))
    assert json.loads((fails.attempt.folder / "experiment.json").read_text())["reason"] == "assert 0"
    world.run.close()
    assert [folder.name for folder in (store.folder / "experiments").iterdir()] == [fails.attempt.folder.name]


def test_a_folder_made_late_keeps_the_energy_of_the_heartbeat(world):
    """A training that starts in the middle of the call names its folder, and the joules so far stay on the disk."""
    experiment = world.experiment()
    experiment.begin()
    experiment.open_window()
    world.clock.advance(2.0)
    folder = experiment.attempt.folder
    (found,) = kept(experiment)
    assert (found["folder"], found["energy"]["total_j"]) == (f"experiments/{folder.name}", pytest.approx(200.0))
    world.clock.advance(1.0)
    (record,) = experiment.finish()
    assert record.folder == found["folder"]


def test_closing_the_window_closes_forgotten_ones(world):
    """A window that the test left open ends with the test's, and does not measure the next test."""
    experiment = world.experiment()
    experiment.begin()
    experiment.open_window()
    world.meter.begin("forgotten")
    world.clock.advance(1.0)
    experiment.close_window()
    assert world.meter.open_windows == []
    world.clock.advance(5.0)
    (record,) = experiment.finish()
    assert record.energy.total_j == pytest.approx(100.0)
    assert [window.name for window in record.energy.windows] == ["forgotten"]


def test_the_first_failure_counts(world):
    """A tear-down that fails after the test did does not replace the test's own reason."""
    experiment = world.experiment()
    call(experiment, world.clock)
    experiment.attempt.note(Status.FAILED, "assert 0")
    experiment.attempt.note(Status.INTERRUPTED, "teardown: too late")
    (record,) = experiment.finish()
    assert (record.status, record.reason) == (Status.FAILED, "assert 0")


def test_a_skipped_test_leaves_nothing(world):
    """Neither a record nor a folder."""
    experiment = world.experiment()
    experiment.begin()
    experiment.discard()
    assert experiment.finish() == ()
    assert kept(experiment) == []


def test_the_record_before_an_exit_is_replaced_if_the_test_ends_after_all(world):
    """The record of a timeout that would end the process has the same id as the test's own record."""
    experiment = world.experiment()
    experiment.begin()
    experiment.open_window()
    world.clock.advance(1.0)
    experiment.record_before_exit(Status.TIMEOUT, "Timeout (>1s)")
    store = experiment.run.open_store()
    (record,) = read_records(store.folder).records
    assert (record.status, record.energy.total_j) == (Status.TIMEOUT, pytest.approx(100.0))
    world.clock.advance(1.0)
    (last,) = experiment.finish()
    store.append(last)
    (record,) = read_records(store.folder).records
    assert (record.status, record.energy.total_j) == (Status.PASSED, pytest.approx(200.0))


def test_an_interrupted_experiment_is_adopted(world):
    """Where pytest reports no more, the records go to the attempts' folders and are found from there."""
    experiment = world.experiment()
    experiment.begin()
    experiment.open_window()
    world.clock.advance(1.0)
    experiment.attempt.note(Status.INTERRUPTED, "the session was interrupted")
    experiment.finish_interrupted()
    (record,) = experiment.run.open_store().adopt_unfinished()
    assert (record.status, record.energy.total_j) == (Status.INTERRUPTED, pytest.approx(100.0))


def test_limits_and_strictness(world):
    """A broken limit and, under strict, a failed sensor fail the test; the measurement stays."""
    experiment = world.experiment()
    call(experiment, world.clock)
    experiment.check((limit_from_mark("limit_energy", ("250 J",), {}),))
    with pytest.raises(LimitError, match="200 J"):
        experiment.check((limit_from_mark("limit_energy", ("150 J",), {}),))
    faults = (Fault(kind=FaultKind.RAISES, at_s=0.5),)
    broken = FakeSensor(PowerProfile.constant(1.0), clock=world.clock, traits=Traits(faults=faults))
    world.meter.close()
    world.meter._wanted = [broken]
    strict = world.experiment(settings=world.settings(strict=True))
    call(strict, world.clock)
    with pytest.raises(SensorError, match="--energy-strict"):
        strict.check(())


def test_a_retry_cuts_the_window(world):
    """The failed attempt has its own record with its own joules; the second begins with none of them."""
    run = world.new_run(max_retries=1)
    experiment = world.experiment("toy/flaky", run=run, settings=world.settings(max_retries=1))
    experiment.begin()
    experiment.open_window()
    world.clock.advance(1.0)
    trained = experiment.train(None, None, {})
    world.clock.advance(3.0)
    experiment.close_window()
    failed, passed = experiment.finish()
    assert (trained.attempts, trained.metrics) == (2, {"accuracy": 0.75})
    assert (failed.status, failed.attempt, failed.energy.total_j) == (Status.FAILED, 1, pytest.approx(100.0))
    assert (passed.status, passed.attempt, passed.energy.total_j) == (Status.PASSED, 2, pytest.approx(300.0, rel=1e-4))
    assert failed.record_id != passed.record_id
    assert failed.folder != passed.folder
    assert "out of luck" in failed.reason


def test_a_retry_inside_a_window_of_the_test_is_part_of_it(world):
    """A training inside a named window is retried within the same attempt, and the record says so."""
    settings = world.settings(max_retries=1)
    experiment = world.experiment("toy/flaky", settings=settings)
    experiment.begin()
    experiment.open_window()
    with experiment.named_window("whole") as window:
        assert window is not None
        assert experiment.train(None, None, {}).attempts == 2
    experiment.close_window()
    (record,) = experiment.finish()
    assert any("retried within this measurement: " in flag for flag in record.meter.flags)


def test_trainings_without_success(world):
    """A training that fails for good, and one that is not named."""
    experiment = world.experiment("toy/broken")
    experiment.begin()
    experiment.open_window()
    with pytest.raises(TrainingError, match=r"toy/broken: .*out of luck"):
        experiment.train(None, None, {})
    nothing = world.experiment()
    nothing.begin()
    with pytest.raises(ConfigError, match="nothing to train"):
        nothing.train(None, None, {})


def test_two_trainings_have_logs_of_their_own(world):
    """The second training of an attempt does not overwrite the first one's log."""
    experiment = world.experiment("toy/net")
    experiment.begin()
    experiment.open_window()
    first = experiment.train(None, None, {})
    second = experiment.train("toy/net", None, {"epochs": 3})
    assert first.log != second.log
    assert first.log.exists()
    assert "--epochs" in second.command
    experiment.close_window()
    (record,) = experiment.finish()
    assert record.workload.hyperparameters["epochs"] == 3
    assert [window.name for window in record.energy.windows] == ["train toy/net"] * 2


def test_outside_the_call_nothing_is_measured(world):
    """A named window during set-up is none, and there is no window to read."""
    experiment = world.experiment()
    experiment.begin()
    with experiment.named_window("early") as window:
        assert window is None
    assert experiment.window is None


def test_nothing_is_kept_when_disabled(world):
    """A scratch folder, no window, no results folder."""
    experiment = world.experiment("toy/net", settings=world.settings(disable=True))
    experiment.begin()
    assert not experiment.measured
    assert experiment.train(None, None, {}).metrics == {"accuracy": 0.75}
    assert not world.run.results_dir.exists()
    scratch = experiment.attempt.folder
    world.run.close()
    assert not scratch.exists()


def test_a_worker_keeps_its_record_until_the_controller_has_it(world):
    """A worker of xdist appends nothing; its finished record stays in the attempt's folder."""
    controller = world.run
    worker = world.new_run(run_folder=controller.open_store().folder)
    experiment = world.experiment(run=worker)
    call(experiment, world.clock)
    (record,) = experiment.finish()
    assert [found["status"] for found in kept(experiment)] == ["passed"]
    assert [found.record_id for found in controller.open_store().adopt_unfinished()] == [record.record_id]


def test_the_experiment_must_begin(world):
    """Reading the attempt before that is a mistake of the caller."""
    with pytest.raises(RuntimeError, match="has not begun"):
        world.experiment().close_window()
