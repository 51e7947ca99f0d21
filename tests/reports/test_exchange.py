from __future__ import annotations

import csv
import io
import json
import sqlite3

import pytest
from copied import replace

from pytest_parallel_energy.console.cli import main
from pytest_parallel_energy.errors import ConfigError, RecordError
from pytest_parallel_energy.records.codec import NewerRecordError, decode
from pytest_parallel_energy.records.merge import merge_runs, merged_lines
from pytest_parallel_energy.records.reader import check_target, read_records
from pytest_parallel_energy.records.record import GpuPart, HostPart, WindowResult, WorkloadPart
from pytest_parallel_energy.records.store import RunStore
from pytest_parallel_energy.reports.costs import Factors, carbon_factor
from pytest_parallel_energy.reports.export import export_records


def _run(base, records, name=None):
    store = RunStore.create(base, name=name)
    for record in records:
        store.append(record)
    store.finish(0)
    return store.folder


def test_sqlite_answers_questions(tmp_path, make_record):
    """The database has a table a kind of part, joined by record id, and each whole record as JSON."""
    records = [make_record(load=True), make_record(None)]
    (tmp_path / "db").write_bytes(export_records(records, "sqlite"))
    connection = sqlite3.connect(tmp_path / "db")
    try:
        query = (
            "select r.energy_total_j, d.name, l.rounds_completed, m.value "
            "from records r join domains d using (record_id) "
            "join loads l using (record_id) join metrics m using (record_id)"
        )
        assert connection.execute(query).fetchall() == [(1234.5, "package-0", 12, 0.4321)]
        unknown = "select count(*) from records where energy_total_j is null"
        assert connection.execute(unknown).fetchone() == (1,)
        texts = [row[0] for row in connection.execute("select json from records")]
        assert [decode(text.encode()) for text in texts] == records
    finally:
        connection.close()


def test_sqlite_takes_odd_names(tmp_path, make_record):
    """Names that differ only in case, names with quotes, and huge integers are read back from the database."""
    values = {"LR": 1, "lr": 2, 'a"b': 3, "seed": 2**80, "x'); drop table records; --": None}
    record = make_record(workload=WorkloadPart(repository="r", model="m", hyperparameters=values))
    (tmp_path / "db").write_bytes(export_records([record], "sqlite"))
    connection = sqlite3.connect(tmp_path / "db")
    try:
        cursor = connection.execute("select * from records")
        stored = dict(zip([column[0] for column in cursor.description], cursor.fetchone(), strict=True))
    finally:
        connection.close()
    assert {name: value for name, value in stored.items() if name.startswith("hyperparam_")} == {
        "hyperparam_LR": 1,
        "hyperparam_lr_2": 2,
        'hyperparam_a"b': 3,
        "hyperparam_seed": str(2**80),
        "hyperparam_x'); drop table records; --": None,
    }


def test_nested_windows_are_rows_with_their_path(tmp_path, make_record):
    """A window inside a window is found by its path."""
    energy = WindowResult(windows=(WindowResult(name="epoch-1", total_j=5.0, windows=(WindowResult(name="step"),)),))
    (tmp_path / "db").write_bytes(export_records([make_record(energy=energy)], "sqlite"))
    connection = sqlite3.connect(tmp_path / "db")
    try:
        paths = [row[0] for row in connection.execute("select path from windows")]
    finally:
        connection.close()
    assert paths == ["test", "test/epoch-1", "test/epoch-1/step"]


def test_codecarbon_has_its_units(make_record):
    """Energies are kWh, emissions kg, and what is unknown is empty where CodeCarbon would write 0."""
    host = HostPart(cpu="X", threads=8, memory_bytes=2**34, gpus=(GpuPart(uuid="u", name="H200"),))
    records = [make_record(7_200_000.0, host=host), make_record(None)]
    text = export_records(records, "codecarbon", Factors(carbon=carbon_factor("500 g/kWh"))).decode()
    known, unknown = csv.DictReader(io.StringIO(text))
    assert float(known["energy_consumed"]) == pytest.approx(2.0)
    assert float(known["emissions"]) == pytest.approx(1.0)
    assert float(known["cpu_energy"]) == pytest.approx(2.0)
    assert known["gpu_energy"] == ""
    assert known["gpu_model"] == "H200"
    assert float(known["ram_total_size"]) == 16.0
    assert unknown["energy_consumed"] == unknown["emissions"] == ""


def test_parquet_keeps_types(tmp_path, make_record):
    """Numbers stay numbers, unknown is null, and a mixed column is text."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="PyArrow is not installed")
    mixed = WorkloadPart(repository="r", model="m", hyperparameters={"learning_rate": "auto"})
    (tmp_path / "t").write_bytes(export_records([make_record(None), make_record(workload=mixed)], "parquet"))
    table = parquet.read_table(tmp_path / "t").to_pydict()
    assert table["energy_total_j"] == [None, 1234.5]
    assert table["hyperparam_learning_rate"] == ["0.0123", "auto"]


def test_csv_is_the_summary(make_record):
    """The CSV export is the table of summary.csv."""
    assert export_records([make_record()], "csv").startswith(b"record_id,run_id,")


def test_an_unknown_export_is_refused(make_record):
    """A misspelt kind gives the right ones."""
    with pytest.raises(ConfigError, match="did you mean 'sqlite'"):
        export_records([make_record()], "sqlit")


@pytest.mark.parametrize("kind", ["csv", "codecarbon"])
def test_no_records_give_a_table_with_its_head_alone(kind):
    """An empty run gives a CSV file with the columns and without rows."""
    reader = csv.DictReader(io.StringIO(export_records([], kind).decode()))
    assert list(reader) == []
    assert {"csv": "energy_total_j", "codecarbon": "energy_consumed"}[kind] in reader.fieldnames


def test_no_records_give_an_empty_database(tmp_path):
    """An empty run gives a database whose tables have no rows."""
    (tmp_path / "db").write_bytes(export_records([], "sqlite"))
    connection = sqlite3.connect(tmp_path / "db")
    try:
        tables = ("records", "domains", "windows", "loads", "metrics")
        counts = [connection.execute(f"select count(*) from {table}").fetchone() for table in tables]
    finally:
        connection.close()
    assert counts == [(0,)] * 5


def test_merging_keeps_everything_once(tmp_path, make_record):
    """Two machines' runs become one file; merging it again with its sources changes nothing."""
    first, second = [make_record(), make_record(repetition=1)], [make_record(run_id="other")]
    merged = merge_runs([_run(tmp_path / "a", first), _run(tmp_path / "b", second)])
    assert merged.records == (*first, *second)
    assert (merged.duplicates, merged.conflicts) == (0, ())
    (tmp_path / "all.jsonl").write_bytes(b"".join(merged_lines(merged)))
    again = merge_runs([tmp_path / "all.jsonl", tmp_path / "a", tmp_path / "b"])
    assert again.records == merged.records
    assert again.duplicates == 3
    assert read_records(tmp_path / "all.jsonl").records == merged.records


def test_a_folder_of_runs_is_searched(tmp_path, make_record):
    """A results folder gives all its runs, each once although latest repeats one."""
    records = [make_record() for _ in range(3)]
    for record in records:
        _run(tmp_path / "results", [record])
    merged = merge_runs([tmp_path])
    assert sorted(record.record_id for record in merged.records) == [record.record_id for record in records]
    assert merged.duplicates == 0
    assert len(merged.sources) == 3


def test_a_conflict_keeps_both(tmp_path, make_record):
    """Two records with one id and other contents are both there, the second under a new id, and named."""
    record = make_record()
    other = replace(record, duration_s=1.0)
    paths = [_run(tmp_path / "a", [record]), _run(tmp_path / "b", [other])]
    merged = merge_runs(paths)
    assert merged.records[0] == record
    assert replace(merged.records[1], record_id=record.record_id) == other
    assert f"another record has the id {record.record_id}" in merged.conflicts[0]
    assert merge_runs(paths) == merged
    assert len(merge_runs([*paths, _run(tmp_path / "c", merged.records)]).records) == 2


def test_a_repetition_that_passed_twice_is_named(tmp_path, make_record):
    """Two finished records of one repetition are kept, and a person is told."""
    merged = merge_runs([_run(tmp_path, [make_record(), make_record()])])
    assert len(merged.records) == 2
    assert merged.conflicts == (f"run: repetition 0 of {merged.records[0].nodeid} passed 2 times; all are kept",)


def test_damage_and_newer_records_are_named(tmp_path, make_record):
    """A torn line is a problem of the merge, a newer record stops it."""
    folder = _run(tmp_path, [make_record()])
    with (folder / "records.jsonl").open("ab") as file:
        file.write(b'{"torn')
    assert len(merge_runs([folder]).problems) == 1
    with (folder / "records.jsonl").open("ab") as file:
        file.write(b"\n" + json.dumps({"schema_version": 9}).encode() + b"\n")
    with pytest.raises(NewerRecordError, match="version 9"):
        merge_runs([folder])


def test_a_merge_never_overwrites_a_source(tmp_path, make_record):
    """The target may not be one of the sources, not by another name either."""
    folder = _run(tmp_path / "a", [make_record()])
    merged = merge_runs([folder])
    (tmp_path / "link").symlink_to(folder / "records.jsonl")
    (tmp_path / "copy").hardlink_to(folder / "records.jsonl")
    with pytest.raises(RecordError, match="belongs to a run"):
        check_target(tmp_path / "link", merged.sources)
    with pytest.raises(RecordError, match="one of the files that were read"):
        check_target(tmp_path / "copy", merged.sources)
    check_target(tmp_path / "new.jsonl", merged.sources)


def test_nothing_to_merge_is_an_error(tmp_path):
    """A folder without runs is named."""
    with pytest.raises(RecordError, match="no records at"):
        merge_runs([tmp_path])


def test_merging_a_run_in_progress_says_so(tmp_path, make_record, capsys):
    """Its records are merged, and the user knows that more will come."""
    store = RunStore.create(tmp_path / "a")
    store.append(make_record())
    assert main(["merge", str(tmp_path / "a"), "-o", str(tmp_path / "all")]) == 0
    assert "a session is still writing this run" in "".join(capsys.readouterr())
    store.finish(0)
    assert main(["merge", str(tmp_path / "a"), "-o", str(tmp_path / "all"), "--force"]) == 0
    assert "still writing" not in "".join(capsys.readouterr())
