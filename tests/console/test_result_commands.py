from __future__ import annotations

import csv
import io
import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from pytest_parallel_energy.console.cli import main
from pytest_parallel_energy.records.reader import read_records
from pytest_parallel_energy.records.record import DomainEnergy, WindowResult
from pytest_parallel_energy.records.store import RunStore


def _energy(joules):
    domain = DomainEnergy(name="p", kind="cpu", joules=joules, u95_j=1.0, mean_w=10.0, update_interval_s=0.001)
    return WindowResult(
        window_s=10.0, total_j=joules, total_u95_j=1.0, quality="counter", boundary="CPU packages", domains=(domain,)
    )


@pytest.fixture
def runs(tmp_path, monkeypatch, make_record):
    """Two runs in the results folder of the working directory, the second one using a fifth more."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    found = []
    for name, factor in (("first", 1.0), ("second", 1.2)):
        store = RunStore.create(tmp_path / "energy-results", name=name)
        for i in range(5):
            store.append(make_record(energy=_energy((100 + i * 0.1) * factor), repetition=i, run_id=store.run_id))
        store.finish(0)
        found.append(store)
    return found


def test_compare_prints_the_table(runs, capsys):
    """Two runs by name and by "latest": the verdict, and status 0 unless a limit was given."""
    assert main(["compare", runs[0].run_id, "latest"]) == 0
    out = capsys.readouterr().out
    assert "+20.0 %" in out
    assert "verdicts: 1 worse" in out
    assert main(["compare", runs[0].run_id, "latest", "--fail", "total_j:5%"]) == 1
    assert main(["compare", runs[0].run_id, "latest", "--fail", "total_j:30%"]) == 0
    assert main(["compare", "latest", runs[0].run_id, "--fail", "total_j:5%"]) == 0


@pytest.mark.parametrize("form", ["csv", "json", "md"])
def test_compare_writes_each_format(runs, capsys, tmp_path, form):
    """To standard output and to a file the same text; several runs are compared with the first."""
    arguments = ["compare", runs[0].run_id, runs[1].run_id, runs[0].run_id, "--format", form, "--quantity", "seconds"]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert main([*arguments, "--output", "out/x"]) == 0
    assert (tmp_path / "out" / "x").read_bytes().decode() == text
    if form == "json":
        assert [found["new"] for found in json.loads(text)["comparisons"]] == [runs[1].run_id, runs[0].run_id]
    if form == "csv":
        assert [row["quantity"] for row in csv.DictReader(io.StringIO(text, newline=""))] == ["seconds", "seconds"]


def test_report_writes_into_an_old_run(runs, capsys):
    """A report of any run, after the fact: the default, several kinds, the terminal's table."""
    assert main(["report", runs[0].run_id, "--to", "md", "--to", "openmetrics", "--to", "term"]) == 0
    assert (runs[0].folder / "report.md").exists()
    assert (runs[0].folder / "metrics.txt").exists()
    assert "counter" in capsys.readouterr().out
    assert main(["report", "--to", "md", "--compare", runs[0].run_id, "--price", "1 EUR/kWh; me"]) == 0
    text = (runs[1].folder / "report.md").read_text()
    assert "**worse**" in text
    assert "EUR at 1 EUR/kWh (me)" in text


def test_a_report_that_cannot_be_written_costs_no_other(runs, capsys, tmp_path):
    """The first target and the first run fail; the other reports are written, and the exit status says so."""
    (tmp_path / "file").touch()
    targets = ["--to", "md:file/x.md", "--to", "json", "--to", "csv"]
    assert main(["report", "nowhere", runs[0].run_id, *targets]) == 1
    assert {"report.json", "summary.csv"} <= {path.name for path in runs[0].folder.iterdir()}
    complaints = capsys.readouterr().err.splitlines()
    assert "no run or baseline 'nowhere'" in complaints[0]
    assert "file/x.md" in complaints[1]
    assert len(complaints) == 2
    assert main(["report", runs[0].run_id, "--to", "md:file/x.md"]) == 2


def test_report_reads_the_first_schema(tmp_path, monkeypatch, capsys):
    """A run of schema version 1 has a report."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(Path(__file__).parents[1] / "records" / "samples" / "records-v1.jsonl", tmp_path / "records.jsonl")
    assert main(["report", ".", "--to", "md"]) == 0
    assert "crashed: the worker 'gw0' crashed" in (tmp_path / "report.md").read_text()


def test_export_writes_each_kind(runs, capsys, tmp_path):
    """CSV and CodeCarbon go to standard output, a database only to a file."""
    assert main(["export", "--to", "csv", *(store.run_id for store in runs)]) == 0
    assert len(list(csv.DictReader(io.StringIO(capsys.readouterr().out)))) == 10
    assert main(["export", "--to", "codecarbon", "--carbon-intensity", "400; me"]) == 0
    assert "energy_consumed" in capsys.readouterr().out
    assert main(["export", "--to", "sqlite"]) == 2
    assert "name a file with --output" in capsys.readouterr().err
    assert main(["export", "--to", "sqlite", "-o", "x.db"]) == 0
    connection = sqlite3.connect(tmp_path / "x.db")
    try:
        assert connection.execute("select count(*) from records").fetchone() == (5,)
    finally:
        connection.close()


def test_merge_puts_runs_together(runs, capsys, tmp_path):
    """A folder of runs becomes one that can be reported on; a second merge into it is refused."""
    assert main(["merge", "energy-results", "-o", "all"]) == 0
    assert "10 records of 2 files" in capsys.readouterr().out
    assert len(read_records(tmp_path / "all").records) == 10
    assert main(["merge", "energy-results", "all", "-o", "all"]) == 2
    assert "one of the files that were read" in capsys.readouterr().err
    assert main(["report", "all", "--to", "term"]) == 0


def test_what_is_not_there_is_named(runs, capsys):
    """A wrong name is one sentence with the nearest right one and status 2."""
    assert main(["compare", "frist", "latest"]) == 2
    assert capsys.readouterr().err.startswith("pytest-parallel-energy: no run or baseline 'frist'")


def test_a_damaged_line_is_said_beside_the_answer(runs, capsys):
    """What could not be read goes to standard error, so that a pipe stays clean."""
    with (runs[1].folder / "records.jsonl").open("ab") as file:
        file.write(b'{"torn')
    assert main(["export", "--to", "csv"]) == 0
    captured = capsys.readouterr()
    assert "half-written last line" in captured.err
    assert captured.out.startswith("record_id,")


@pytest.mark.parametrize("arguments", [["report"], ["compare", "latest"], ["export", "--to", "csv"]])
def test_a_foreign_csv_is_refused_by_name(runs, tmp_path, capsys, arguments):
    """A table of another tool is not a run: the message names it, and nothing is written next to it."""
    (tmp_path / "foreign").mkdir()
    foreign = tmp_path / "foreign" / "table.csv"
    foreign.write_text("a,b\n1,2\n")
    assert main([*arguments, str(foreign)]) == 2
    assert f"{foreign} is not a file of records" in capsys.readouterr().err
    assert [path.name for path in foreign.parent.iterdir()] == ["table.csv"]


def test_merge_refuses_a_target_that_exists(runs, tmp_path, capsys):
    """A merged file is replaced only when the user says so: it may hold records that no source has."""
    first, second = (str(store.folder) for store in runs)
    assert main(["merge", first, second, "-o", "all"]) == 0
    before = (tmp_path / "all" / "records.jsonl").read_bytes()
    assert main(["merge", first, "-o", "all"]) == 2
    assert "records.jsonl exists and would be replaced" in capsys.readouterr().err
    assert (tmp_path / "all" / "records.jsonl").read_bytes() == before
    assert main(["merge", first, "-o", "all", "--force"]) == 0
    assert len(read_records(tmp_path / "all").records) == 5


def test_compare_by_workload(tmp_path, monkeypatch, capsys, make_record):
    """--by workload compares what two tests train; by default each test is a cell of its own."""
    monkeypatch.chdir(tmp_path)
    stores = []
    for name in ("first", "second"):
        store = RunStore.create(tmp_path / "energy-results", name=name)
        for i in range(5):
            store.append(
                make_record(
                    energy=_energy(100 + i * 0.1), repetition=i, run_id=store.run_id, cell=name,
                    nodeid=f"t.py::test_{name}[rep{i}]", foreground_id="f", loads_id="l",
                )
            )  # fmt: skip
        store.finish(0)
        stores.append(store.run_id)
    assert main(["compare", *stores]) == 0
    assert "nothing to compare" in capsys.readouterr().out
    assert main(["compare", *stores, "--by", "workload"]) == 0
    assert "verdicts: 1 no change" in capsys.readouterr().out
