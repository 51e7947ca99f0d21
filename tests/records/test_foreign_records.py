"""Records of other people: what they name must not lead out of the results folder, or take over a terminal."""

from __future__ import annotations

import json

import pytest
from copied import replace

from pytest_parallel_energy.console.cli import main
from pytest_parallel_energy.errors import RecordError
from pytest_parallel_energy.records.record import HostPart, WindowResult
from pytest_parallel_energy.records.store import RunStore
from pytest_parallel_energy.records.trace import trace_csv_gz
from pytest_parallel_energy.reports.open_report import load_report
from pytest_parallel_energy.statistics.baseline import save_baseline


@pytest.mark.parametrize("machine_id", ["../../outside", "/dev/shm/outside-energy", "a/b", "..", "x" * 300, "a\nb"])
def test_a_machine_id_leads_nowhere(tmp_path, make_record, machine_id):
    """A baseline is written under ``baselines/`` or not at all."""
    record = make_record(host=HostPart(machine_id=machine_id))
    with pytest.raises(RecordError, match="machine id"):
        save_baseline(tmp_path / "results" / "runs", [record])
    assert list(tmp_path.rglob("*.jsonl")) == []


def _with_trace(tmp_path, make_record, name):
    store = RunStore.create(tmp_path / "results")
    store.append(make_record(energy=WindowResult(total_j=1.0, trace=name)))
    store.finish(0)
    return store


@pytest.mark.parametrize("kind", ["absolute", "parent", "link"])
def test_a_trace_is_read_in_its_run_alone(tmp_path, make_record, kind):
    """A record that names a trace elsewhere, also by a link, gives a remark, and the file is not shown."""
    secret = tmp_path / "secret.csv.gz"
    secret.write_bytes(trace_csv_gz(["secret_w"], [(0.0, [1.0])]))
    name = {"absolute": str(secret), "parent": "../../secret.csv.gz", "link": "here.csv.gz"}[kind]
    store = _with_trace(tmp_path, make_record, name)
    if kind == "link":
        (store.folder / "here.csv.gz").symlink_to(secret)
    report = load_report(store.folder)
    assert report.traces == {}
    assert any("not inside the run's folder" in problem for problem in report.problems)


@pytest.mark.parametrize("kind", ["absolute", "parent"])
def test_a_folder_is_written_in_its_run_alone(tmp_path, make_record, kind):
    """Adopting an attempt whose record names a folder elsewhere writes nothing there."""
    outside = tmp_path / "outside"
    outside.mkdir()
    store = RunStore.create(tmp_path / "results")
    left = store.experiment_folder("left")
    record = make_record(folder=str(outside) if kind == "absolute" else "../../outside")
    (left / "experiment.json").write_text(json.dumps(_json(store, record)))
    assert len(list(store.adopt_unfinished())) == 1
    store.finish(0)
    assert list(outside.iterdir()) == []


def _json(store, record):
    probe = store.experiment_folder("probe")
    store.keep_experiment(replace(record, folder=store.relative(probe)))
    text = json.loads((probe / "experiment.json").read_text())
    (probe / "experiment.json").unlink()
    return {**text, "folder": record.folder}


def test_a_rescue_removes_nothing_elsewhere(tmp_path, make_record, monkeypatch):
    """Where pending records are saved elsewhere, only the run's own ``experiment.json`` goes."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "experiment.json").write_text("precious")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store = RunStore.create(tmp_path / "results")
    store._pending.append(make_record(folder=str(outside)))
    store.rescue()
    store.release()
    assert (outside / "experiment.json").read_text() == "precious"


EVIL = "t.py::test_a[\x1b]0;owned\x07\x1b[2J\u202ex]"


@pytest.mark.parametrize("arguments", [["report", "--to", "term"], ["compare", "latest", "latest"]])
def test_a_terminal_gets_no_control_characters(tmp_path, make_record, monkeypatch, capsys, arguments):
    """Names, reasons and loads of foreign records cannot move the cursor or rename the window."""
    monkeypatch.chdir(tmp_path)
    store = RunStore.create(tmp_path / "energy-results")
    for repetition in range(2):
        store.append(make_record(nodeid=EVIL, reason="\x9b2J", status="failed" if repetition else "passed"))
    store.finish(0)
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert not set(out) & {"\x1b", "\x07", "\x9b", "\u202e"}
    assert "owned" in out


def test_a_damaged_line_cannot_speak_to_the_terminal(tmp_path, make_record, monkeypatch, capsys):
    """What is said about foreign files on standard error has no control characters either."""
    monkeypatch.chdir(tmp_path)
    store = RunStore.create(tmp_path / "evil\x1b[2J")
    store.append(make_record())
    store.finish(0)
    with (store.folder / "records.jsonl").open("a") as file:
        file.write("{damaged\n")
    assert main(["compare", str(store.folder), str(store.folder)]) == 0
    error = capsys.readouterr().err
    assert "evil" in error
    assert "\x1b" not in error


def test_formulas_are_prefixed_when_asked(tmp_path, make_record, monkeypatch, capsys):
    """A text that a spreadsheet would run gets an apostrophe; negative numbers stay numbers."""
    monkeypatch.chdir(tmp_path)
    store = RunStore.create(tmp_path / "energy-results")
    labels = {"a": "=HYPERLINK(1)", "b": "+1", "c": "@x", "d": "plain", "e": "-x", "f": "\t=1"}
    store.append(make_record(labels=labels, metrics={"gain": -1.5}))
    store.finish(0)
    assert main(["export", "--to", "csv"]) == 0
    assert ",=HYPERLINK(1),+1,@x,plain,-x,\t=1," in capsys.readouterr().out
    assert main(["export", "--to", "csv", "--prefix-formulas"]) == 0
    out = capsys.readouterr().out
    assert ",'=HYPERLINK(1),'+1,'@x,plain,'-x,'\t=1," in out
    assert ",-1.5," in out
    assert main(["export", "--to", "sqlite", "-o", "x.db", "--prefix-formulas"]) == 2
    assert "--prefix-formulas is for --to csv" in capsys.readouterr().err
