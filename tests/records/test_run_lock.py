"""The lock on a run: one session, its workers, and readers that take nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_parallel_energy.errors import RecordError
from pytest_parallel_energy.records.reader import read_records
from pytest_parallel_energy.records.record import Status
from pytest_parallel_energy.records.run_lock import RunInUseError, RunLock, in_progress
from pytest_parallel_energy.records.store import RunStore

ROOT = str(Path(__file__).parents[2])


def test_a_run_is_in_progress_while_its_session_holds_it(tmp_path):
    """Held, released, and twice released."""
    assert not in_progress(tmp_path)
    lock = RunLock.hold(tmp_path)
    assert in_progress(tmp_path)
    with pytest.raises(RunInUseError, match=rf"session pid {os.getpid()} of user \w+ on host"):
        RunLock.hold(tmp_path)
    lock.release()
    lock.release()
    assert not in_progress(tmp_path)


def test_a_reader_never_refuses_a_resume(tmp_path):
    """Readers that ask all the time, in another process, hold nothing that a session needs."""
    RunStore.create(tmp_path).finish(0)
    folder = (tmp_path / "latest").resolve()
    code = (
        "import sys\nfrom pathlib import Path\nfrom pytest_parallel_energy.records.run_lock import in_progress\n"
        "while True: in_progress(Path(sys.argv[1]))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(folder)], env=os.environ | {"PYTHONPATH": ROOT}) as reader:
        try:
            deadline_s = time.monotonic() + 1.5
            while time.monotonic() < deadline_s:
                RunLock.hold(folder).release()
        finally:
            reader.kill()


def test_a_worker_keeps_the_run_in_progress(tmp_path):
    """A worker outlives its killed controller for some seconds: a resume waits for it, and then refuses."""
    worker = RunLock.join(tmp_path)
    another = RunLock.join(tmp_path)
    assert in_progress(tmp_path)
    began_s = time.monotonic()
    with pytest.raises(RunInUseError, match="worker pid"):
        RunLock.hold(tmp_path, wait_for_workers_s=0.3)
    assert time.monotonic() - began_s >= 0.3
    worker.release()
    another.release()
    RunLock.hold(tmp_path, wait_for_workers_s=0.3).release()


def test_a_forked_child_does_not_keep_a_released_lock(tmp_path):
    """A child that a test forked has a copy of the descriptor; the session has let go all the same."""
    lock = RunLock.hold(tmp_path)
    with subprocess.Popen(["sleep", "30"], pass_fds=[lock._descriptor]) as child:
        lock.release()
        try:
            assert not in_progress(tmp_path)
        finally:
            child.kill()


def test_a_killed_holder_frees_it(tmp_path):
    """SIGKILL of the session: the next one gets the lock."""
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom pytest_parallel_energy.records.run_lock import RunLock\n"
        "lock = RunLock.hold(Path(sys.argv[1]))\nprint('held', flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": ROOT}
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        assert in_progress(tmp_path)
        holder.kill()
    assert not in_progress(tmp_path)
    RunLock.hold(tmp_path).release()


def test_a_resume_adopts_before_it_reads(tmp_path, make_record):
    """What a worker measured and no controller appended is among the finished records; a torn line costs nothing."""
    store = RunStore.create(tmp_path)
    record = make_record(folder=store.relative(store.experiment_folder("a")))
    store.keep_experiment(record)
    with (store.folder / "records.jsonl").open("ab") as file:
        file.write(b'{"schema_version":1,"record_id":"' + record.record_id.encode())
    store.release()
    again = RunStore.resume(store.folder)
    assert again.resumed == (record,)
    with pytest.raises(RecordError, match="another session is using the run"):
        RunStore.resume(store.folder)
    again.finish(0)
    found = read_records(store.folder)
    assert found.records == (record,)
    assert len(found.problems) == 1


def test_a_guess_replaces_no_record(tmp_path, make_record):
    """A line that says crashed, behind the record of the same attempt, is not believed; the other order is."""
    store = RunStore.create(tmp_path)
    passed = make_record(record_id="same")
    guess = make_record(record_id="same", status=Status.CRASHED)
    for record in (guess, passed, guess):
        store.append(record)
    store.finish(0)
    assert read_records(store.folder).records == (passed,)
