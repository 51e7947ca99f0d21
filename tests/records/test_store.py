from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from copied import replace

from pytest_parallel_energy.errors import RecordError
from pytest_parallel_energy.records.reader import read_records
from pytest_parallel_energy.records.run_folder import experiment_label
from pytest_parallel_energy.records.store import RunStore
from pytest_parallel_energy.reports.csv_table import write_summary


def test_a_new_run_has_its_folder_and_files(tmp_path):
    """A run's folder, run.json, records.jsonl, .gitignore and latest exist before the first experiment."""
    store = RunStore.create(tmp_path / "results", name="nightly", labels={"branch": "main"})
    assert (tmp_path / "results" / ".gitignore").read_text().splitlines()[-1] == "*"
    assert (tmp_path / "results" / "latest").readlink() == Path(store.run_id)
    assert "nightly" in store.run_id
    info = json.loads((store.folder / "run.json").read_text())
    assert info["labels"] == {"branch": "main"}
    assert info["exit_status"] is None
    assert (store.folder / "records.jsonl").read_bytes() == b""


def test_appended_records_are_on_disk_at_once(tmp_path, make_record):
    """After append returns, another reader finds the record."""
    store = RunStore.create(tmp_path)
    first, second = make_record(), make_record()
    store.append(first)
    assert read_records(store.folder).records == (first,)
    store.append(second)
    assert read_records(tmp_path).records == (first, second)
    store.finish(0)


def test_one_write_and_one_sync_a_record(tmp_path, make_record, monkeypatch):
    """The line goes out in one write that ends with its newline, followed by one fsync."""
    store = RunStore.create(tmp_path)
    calls = []
    write, fsync = os.write, os.fsync
    monkeypatch.setattr(os, "write", lambda fd, data: calls.append(bytes(data)[-1:]) or write(fd, data))
    monkeypatch.setattr(os, "fsync", lambda fd: calls.append("sync") or fsync(fd))
    store.append(make_record())
    assert calls == [b"\n", "sync"]


def test_an_experiment_has_its_record_for_people(tmp_path, make_record):
    """experiment.json in the experiment's folder is the same record."""
    store = RunStore.create(tmp_path)
    folder = store.experiment_folder(experiment_label("abc", 0, 2))
    assert folder.name == "abc-rep0-try2"
    record = make_record(folder=store.relative(folder))
    store.append(record)
    assert record.folder == "experiments/abc-rep0-try2"
    assert json.loads((folder / "experiment.json").read_text())["record_id"] == record.record_id


@pytest.mark.parametrize(
    "label", ["a/b", "../../etc", "", ".hidden", "lr=0.1-bg=VulBERTa/mlp", "ü" * 300, "a b;rm -rf $HOME", "-rf", "\0"]
)
def test_any_label_is_one_folder_inside_the_run(tmp_path, label):
    """A label never leaves the run's folder and never nests."""
    store = RunStore.create(tmp_path)
    folder = store.experiment_folder(label)
    assert folder.parent == store.folder / "experiments"
    assert folder.is_dir()
    assert not folder.name.startswith((".", "-"))


def test_a_taken_name_gets_a_number(tmp_path):
    """Two experiments with one label have a folder each."""
    store = RunStore.create(tmp_path)
    assert store.experiment_folder("x") != RunStore.open(store.folder).experiment_folder("x")


def test_sessions_at_the_same_instant_do_not_meet(tmp_path):
    """Many sessions at once get a folder each, and latest is one of them."""
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: RunStore.create(tmp_path), range(40)))
    assert len({store.folder for store in stores}) == 40
    assert (tmp_path / "latest").readlink().name in {store.run_id for store in stores}
    assert [problem for store in stores for problem in store.problems] == []
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".latest")]
    for store in stores:
        store.finish(0)


def test_finishing_writes_status_and_summary(tmp_path, make_record):
    """run.json says how the run ended, and summary.csv has a row a record."""
    store = RunStore.create(tmp_path)
    store.append(make_record())
    store.write_run(replace(store.info, arguments=("pytest", "-k", "x")))
    store.finish(1)
    info = json.loads((store.folder / "run.json").read_text())
    assert (info["exit_status"], info["arguments"]) == (1, ["pytest", "-k", "x"])
    assert info["ended_at"] >= info["started_at"]
    write_summary(store.folder)
    assert len((store.folder / "summary.csv").read_text().splitlines()) == 2


def test_a_gitignore_of_the_user_stays(tmp_path):
    """Who keeps results in git has said so, and is not overruled."""
    (tmp_path / ".gitignore").write_text("mine\n")
    RunStore.create(tmp_path).finish(0)
    assert (tmp_path / ".gitignore").read_text() == "mine\n"


def test_a_folder_named_latest_is_left_alone(tmp_path):
    """Where latest cannot be replaced the run goes on and says so."""
    (tmp_path / "latest").mkdir()
    store = RunStore.create(tmp_path)
    assert "latest" in store.problems[0]
    assert (tmp_path / "latest").is_dir()


def test_an_unusable_folder_is_refused_with_the_remedy(tmp_path):
    """A file in the place of the folder: path, reason and remedy in one message, for root too."""
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match=r"/file/results: .*/file is a file, not a folder; .*--energy-dir"):
        RunStore.create(tmp_path / "file" / "results")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused_with_the_remedy(tmp_path):
    """A folder without write permission is refused before anything starts."""
    (tmp_path / "closed").mkdir(mode=0o555)
    with pytest.raises(RecordError, match=r"permission denied.*--energy-dir"):
        RunStore.create(tmp_path / "closed")


def test_a_full_disk_loses_nothing_that_was_written(tmp_path, make_record):
    """When the disk fills, earlier records stay readable, and what did not fit is written once there is room."""
    store = RunStore.create(tmp_path)
    records = [make_record() for _ in range(3)]
    store.append(records[0])
    size = (store.folder / "records.jsonl").stat().st_size
    with _file_size_limit(size + 100), pytest.raises(RecordError, match="earlier records are safe"):
        store.append(records[1])
    assert read_records(store.folder).records == (records[0],)
    assert read_records(store.folder).problems == ()
    store.append(records[2])
    assert read_records(store.folder).records == tuple(records)


def test_a_disk_that_stays_full_has_its_records_saved_elsewhere(tmp_path, make_record, monkeypatch):
    """At the end of the run, what the disk never took is saved to the temporary folder, and the message says where."""
    store = RunStore.create(tmp_path / "results")
    record = make_record()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    real = os.write
    with monkeypatch.context() as context:
        context.setattr(os, "write", lambda fd, data: real(fd, data[:10]))
        with pytest.raises(RecordError, match="no space left"):
            store.append(record)
        with pytest.raises(RecordError, match="saved to"):
            store.finish(1)
    (rescued,) = tmp_path.glob("pytest-energy-*.jsonl")
    assert read_records(rescued).records == (record,)


class _file_size_limit:  # noqa: N801 - reads as a verb after "with"
    """A disk that is full after so many bytes: RLIMIT_FSIZE with its signal ignored gives short writes and EFBIG."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes

    def __enter__(self) -> None:
        self.handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        self.limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.limit_bytes, self.limits[1]))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self.limits)
        signal.signal(signal.SIGXFSZ, self.handler)


def test_a_killed_run_can_be_read(tmp_path):
    """After SIGKILL in the middle of appending, each record that append returned for is there."""
    code = textwrap.dedent("""
        import sys
        from pathlib import Path
        from pytest_parallel_energy.records.record import Record, Status
        from pytest_parallel_energy.records.store import RunStore
        store = RunStore.create(Path(sys.argv[1]))
        for i in range(100000):
            store.append(Record(record_id=str(i), run_id="r", nodeid="n", cell="c", status=Status.PASSED,
                                started_at="", duration_s=1.0, reason="x" * 5000))
            print(i, flush=True)
    """)
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": root},
    ) as process:
        confirmed = [process.stdout.readline() for _ in range(20)]
        process.kill()
        confirmed += process.stdout.readlines()
    found = read_records(tmp_path)
    whole = [line for line in confirmed if line.endswith("\n")]
    assert [record.record_id for record in found.records][: len(whole)] == [line.strip() for line in whole]
    assert len(found.problems) <= 1
    assert json.loads((tmp_path / "latest" / "run.json").read_text())["exit_status"] is None


def test_an_existing_folder_gets_no_gitignore(tmp_path):
    """A folder of the user's may be a repository; one that the plugin makes is ignored by git."""
    RunStore.create(tmp_path).finish(0)
    assert not (tmp_path / ".gitignore").exists()
    RunStore.create(tmp_path / "new").finish(0)
    assert (tmp_path / "new" / ".gitignore").read_text().endswith("\n*\n")


def test_a_worker_that_comes_first_makes_the_same_folder(tmp_path):
    """Under xdist a worker may need the folder before the controller: git ignores it all the same."""
    worker = RunStore.open(tmp_path / "new" / "run")
    assert (tmp_path / "new" / ".gitignore").exists()
    RunStore.create(tmp_path / "new", folder=tmp_path / "new" / "run")
    worker.release()


def test_a_removed_folder_is_made_again_with_its_records(tmp_path, make_record):
    """``git clean`` while a session runs: what was appended before is written again with the next record."""
    store = RunStore.create(tmp_path)
    records = [make_record() for _ in range(3)]
    for record in records[:2]:
        store.append(record)
    shutil.rmtree(store.folder)
    store.append(records[2])
    store.finish(0)
    assert read_records(store.folder).records == tuple(records)
