"""What a resumed run leaves out."""

from __future__ import annotations

import json

import pytest
from copied import replace

from pytest_parallel_energy.errors import ConfigError, RecordError
from pytest_parallel_energy.plan.budget import EnergyBudget
from pytest_parallel_energy.plan.finished import Finished, find_run
from pytest_parallel_energy.plan.history import read_history
from pytest_parallel_energy.records.reader import read_records
from pytest_parallel_energy.records.record import HostPart, Phase, Record, Status, WindowResult, WorkloadPart
from pytest_parallel_energy.records.store import RunStore
from pytest_parallel_energy.reports.csv_table import write_summary


def record(number=0, **changes):
    return replace(
        Record(
            record_id=f"id{number}", run_id="run", nodeid=f"t.py::test[{number}]", cell=f"cell{number}", code="code",
            status=Status.PASSED, started_at="2026-01-01T00:00:00+00:00", duration_s=1.0,
            host=HostPart(git_commit="abc"), energy=WindowResult(total_j=100.0),
        ),
        **changes,
    )  # fmt: skip


def test_what_passed_with_the_same_cell_is_finished():
    """The id and the cell must both be the same: a changed default is another cell under the same id."""
    finished = Finished.of([record(1), record(2, status=Status.FAILED)], git_commit="abc")
    assert finished.holds("t.py::test[1]", "cell1", "code")
    assert not finished.holds("t.py::test[1]", "other", "code")
    assert not finished.holds("t.py::test[1]", "cell1", "edited")
    assert not finished.holds("t.py::test[2]", "cell2", "code")


def test_a_failed_attempt_before_a_passed_one_does_not_count():
    """Of a retried experiment the attempt that passed counts; a warm-up finishes only the warm-up."""
    records = [record(1, status=Status.FAILED, attempt=1), record(1, attempt=2), record(2, phase=Phase.WARMUP)]
    finished = Finished.of(records, git_commit="abc")
    assert finished.holds("t.py::test[1]", "cell1", "code")
    assert not finished.holds("t.py::test[2]", "cell2", "code")
    assert finished.holds("t.py::test[2]", "cell2", "code", warmup=True)


def test_other_code_is_not_finished():
    """Records of another commit run again, and are named."""
    finished = Finished.of([record(1)], git_commit="def")
    assert not finished
    assert finished.other_code == {"t.py::test[1]"}


def test_it_travels_as_plain_data():
    """What a worker of xdist is told is JSON, and means the same."""
    finished = Finished.of([record(1), record(2, phase=Phase.WARMUP)], git_commit="abc")
    assert Finished.from_plain(json.loads(json.dumps(finished.to_plain()))) == finished


def test_finding_the_run(tmp_path):
    """The latest, one by name, one by path; none yet is no error, a wrong name is."""
    assert find_run(tmp_path, "latest") is None
    store = RunStore.create(tmp_path, name="first")
    store.finish(0)
    for asked in ("latest", store.run_id, str(store.folder)):
        assert find_run(tmp_path, asked) == store.folder
    with pytest.raises(ConfigError, match=f"no run 'none' .*the newest runs are {store.run_id}"):
        find_run(tmp_path, "none")


def test_a_store_is_resumed(tmp_path):
    """Records are appended to those of the first session, and a line that a kill left half-written is ended."""
    store = RunStore.create(tmp_path, name="first", labels={"a": "b"})
    store.append(record(1))
    store.finish(2)
    with (store.folder / "records.jsonl").open("a") as file:
        file.write('{"schema_version":1,"record_id":"half')
    again = RunStore.resume(store.folder)
    assert (again.run_id, again.info.name, again.info.labels) == (store.run_id, "first", {"a": "b"})
    again.append(record(2))
    again.finish(0)
    found = read_records(store.folder)
    assert [one.record_id for one in found.records] == ["id1", "id2"]
    assert len(found.problems) == 1


def test_a_run_in_progress_is_not_resumed(tmp_path):
    """Two sessions never append to one run."""
    store = RunStore.create(tmp_path)
    with pytest.raises(RecordError, match=r"another session is using the run .*pid .* of user .* on host"):
        RunStore.resume(store.folder)
    store.finish(0)
    (store.folder / "run.json").write_text("{}")
    with pytest.raises(RecordError, match="cannot be resumed"):
        RunStore.resume(store.folder)


def test_a_budget_counts_each_record_once():
    """Sums joules, knows what it does not know, and says so."""
    budget = EnergyBudget(250.0)
    for one in (record(1), record(1), record(2), record(3, energy=WindowResult())):
        budget.add(one)
    assert (budget.spent_j, budget.is_spent, budget.unknown) == (200.0, False, 1)
    budget.add(record(4))
    assert budget.is_spent
    assert budget.words() == "the energy budget of 250 J: 300 J used, and 1 attempt whose energy is not known"


def test_history_of_records_and_of_their_csv(tmp_path):
    """A run's folder, its records.jsonl and its summary.csv know the same mutations, per workload and mode."""
    store = RunStore.create(tmp_path)
    for number, (rate, status) in enumerate([(0.1, "passed"), (0.012345678901234567, "passed"), (0.3, "failed")]):
        work = WorkloadPart(repository="toy", model="net", hyperparameters={"lr": rate, "epochs": 10, "on": True})
        store.append(record(number, workload=work, status=Status(status)))
    store.finish(0)
    write_summary(store.folder)
    for name in ("", "records.jsonl", "summary.csv"):
        history = read_history([store.folder / name])
        known = history.known("toy/net", beside_load=False, names=["lr"], fixed={"epochs": 10.0, "on": True})
        assert len(known) == 2, name
        assert history.known("toy/net", beside_load=True, names=["lr"], fixed={}) == frozenset()
        assert history.known("toy/net", beside_load=False, names=["lr"], fixed={"epochs": 11}) == frozenset()
        assert history.known("toy/other", beside_load=False, names=["lr"], fixed={}) == frozenset()


FOREIGN = """\
repository,model,status,hyperparam_lr,mode,fg_repository,fg_model,fg_hyperparam_lr,bg_repository
toy,net,passed,0.1,nonparallel,,,,
toy,net,,0.2,nonparallel,,,,
toy,net,failed,0.3,nonparallel,,,,
,,passed,,parallel,toy,net,0.4,other
,,passed,,,toy,net,0.5,
,,passed,0.6,,,,,
"""


def test_history_of_older_tools(tmp_path):
    """Rows in ``fg_*`` columns are trainings with a load, an empty status has not passed, and all rows are counted."""
    file = tmp_path / "older.csv"
    file.write_text(FOREIGN)
    history = read_history([file])
    alone, loaded = (history.known("toy/net", beside_load=beside, names=["lr"], fixed={}) for beside in (False, True))
    assert (len(alone), len(loaded)) == (1, 2)
    (note,) = history.notes
    assert note == (
        "older.csv: 3 rows read, 3 skipped "
        "(1 with an empty status, 1 that did not pass, 1 without a repository or model)"
    )


def test_history_in_columns_of_the_foreground_alone(tmp_path):
    """A file with nothing but ``fg_*`` columns is a table of results; one without any repository is refused."""
    file = tmp_path / "older.csv"
    file.write_text("fg_repository,fg_model,fg_hyperparam_lr,status\ntoy,net,0.1,passed\n")
    assert len(read_history([file])) == 1
    file.write_text("name,lr\na,0.1\n")
    with pytest.raises(ConfigError, match=r"has no column repository or repo.*its columns are name, lr"):
        read_history([file])
