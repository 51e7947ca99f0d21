"""The end of a run: records first, and every step whatever becomes of the others."""

from __future__ import annotations

import os

import pytest

from pytest_parallel_energy.errors import RecordError
from pytest_parallel_energy.records.reader import read_records
from pytest_parallel_energy.records.record import Status
from pytest_parallel_energy.records.run_info import read_run_info
from pytest_parallel_energy.records.store import RunStore
from pytest_parallel_energy.run.closing import close_run, save_unstored

TAKES = os.write


@pytest.fixture
def store(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    return RunStore.create(tmp_path / "results")


def attempt(store, make_record, label):
    """The folder of an attempt that has begun, and its record as it would be after it passed."""
    folder = store.experiment_folder(label)
    record = make_record(record_id=label, folder=store.relative(folder))
    store.keep_experiment(make_record(record_id=label, folder=record.folder, status=Status.CRASHED))
    return record


@pytest.fixture
def full_disk(monkeypatch):
    """The next lines of records do not fit, until the fixture's value is called."""
    with monkeypatch.context() as context:
        context.setattr(os, "write", lambda fd, data: TAKES(fd, data[:10]))
        yield context.undo


def test_a_record_that_waited_for_room_is_written_and_not_adopted_as_crashed(store, make_record, full_disk):
    """The disk was full when the attempt ended and has room when the run closes: one record, passed."""
    record = attempt(store, make_record, "a")
    with pytest.raises(RecordError):
        store.append(record)
    full_disk()
    closed = close_run(store, 0)
    assert (closed.adopted, closed.problems, closed.complete) == ((), (), True)
    assert [one.status for one in read_records(store.folder).records] == [Status.PASSED]
    assert (store.folder / "records.jsonl").read_bytes().count(b"\n") == 1


def test_a_record_that_never_fitted_is_rescued_once_and_nothing_is_invented(store, make_record, full_disk):
    """The record is in the temporary folder, and the run neither takes the attempt for crashed nor says it is whole."""
    record = attempt(store, make_record, "a")
    with pytest.raises(RecordError):
        store.append(record)
    closed = close_run(store, 0)
    full_disk()
    assert not closed.complete
    assert "saved to" in closed.problems[0]
    assert read_records(store.folder).records == ()
    assert read_run_info(store.folder).exit_status == 0
    assert (store.folder / "summary.csv").exists()


def test_a_resume_takes_rescued_records_back(store, make_record, full_disk, tmp_path):
    """What was saved elsewhere is finished for the session that resumes the run."""
    record = attempt(store, make_record, "a")
    with pytest.raises(RecordError):
        store.append(record)
    close_run(store, 0)
    full_disk()
    again = RunStore.resume(store.folder)
    assert again.resumed == (record,)
    again.release()
    assert read_records(store.folder).records == (record,)
    assert not list((tmp_path / "tmp").iterdir())


def test_each_step_is_done_whatever_becomes_of_the_others(store, make_record):
    """A summary and a run.json that cannot be written are named; the lock is free and the records are there."""
    store.append(make_record())
    (store.folder / "run.json").unlink()
    (store.folder / "run.json").mkdir()
    (store.folder / "summary.csv").mkdir()
    attempt(store, make_record, "left-by-a-worker")
    closed = close_run(store, 0)
    assert [one.record_id for one in closed.adopted] == ["left-by-a-worker"]
    assert closed.complete
    assert [problem.partition(" cannot be written")[0].rpartition("/")[2] for problem in closed.problems] == [
        "run.json",
        "summary.csv",
    ]
    (store.folder / "run.json").rmdir()
    assert len(read_records(store.folder).records) == 2


def test_records_without_a_folder_are_saved(store, make_record, tmp_path):
    """A results folder that could not be made loses no record."""
    record = make_record()
    closed = save_unstored("some-run", [record])
    (saved,) = (tmp_path / "tmp").glob("pytest-energy-some-run-*.jsonl")
    assert str(saved) in closed.problems[0]
    assert read_records(saved).records == (record,)
    assert save_unstored("some-run", []).complete


def test_where_nothing_has_room_the_records_are_in_the_message(store, make_record, monkeypatch):
    """The last resort is the terminal."""
    monkeypatch.setattr("pytest_parallel_energy.records.rescue._places", list)
    assert '"record_id":"here"' in save_unstored("run", [make_record(record_id="here")]).problems[0]
