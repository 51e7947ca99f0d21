"""The gate of ``compare --fail`` on two runs with known joules: it closes where it must, and says why."""

from __future__ import annotations

import random

import pytest

from pytest_parallel_energy.console.cli import main
from pytest_parallel_energy.records.record import DomainEnergy, WindowResult
from pytest_parallel_energy.records.store import RunStore

pytest.importorskip("scipy", reason="the extra report is not installed")


def energy(joules):
    domain = DomainEnergy(
        name="p", kind="cpu", joules=joules, u95_j=0.01, quality="counter", mean_w=10.0, update_interval_s=0.001
    )
    return WindowResult(
        window_s=10.0, total_j=joules, total_u95_j=0.01, quality="counter", boundary="CPU packages", domains=(domain,)
    )


@pytest.fixture
def keep_run(tmp_path, monkeypatch, make_record):
    """Keep a run of cells with the same mean joules; return its folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def keep(name, joules, *, n=5, cells=1, spread=0.02, **fields):
        draw, store = random.Random(name), RunStore.create(tmp_path / "energy-results", name=name)
        for cell in range(cells):
            for repetition in range(n):
                value = joules * (1 + draw.gauss(0, spread))
                store.append(
                    make_record(
                        energy=energy(value),
                        cell=f"c{cell}",
                        nodeid=f"test_it.py::test_it[{cell}-rep{repetition}]",
                        repetition=repetition,
                        run_id=store.run_id,
                        **fields,
                    )
                )
        store.finish(0)
        return str(store.folder)

    return keep


def test_twenty_cells_with_half_as_much_again_close_it(keep_run, capsys):
    """Five repeats, 20 cells, all of them +50 %: 20 regressions."""
    old, new = keep_run("old", 100.0, cells=20), keep_run("new", 150.0, cells=20)
    assert main(["compare", old, new, "--fail", "total_j:5%"]) == 1
    assert "the gate is closed: 20 regressions" in capsys.readouterr().err


def test_three_repeats_of_ten_times_as_much_close_it(keep_run):
    """Three repeats, +900 %."""
    assert main(["compare", keep_run("old", 100.0, n=3), keep_run("new", 1000.0, n=3), "--fail", "total_j:5%"]) == 1


def test_a_missing_cell_closes_it(keep_run, capsys):
    """A cell of the older run that the newer one did not measure."""
    old, new = keep_run("old", 100.0, cells=3), keep_run("new", 100.0, cells=2)
    assert main(["compare", old, new, "--fail", "total_j:5%"]) == 1
    assert "1 cell of " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("limit", "nearest"), [("second:5%", "'seconds'"), ("test_acuracy:-2%", "'test_accuracy'"), ("energy:5%", "")]
)
def test_a_misspelled_quantity_is_an_error(keep_run, capsys, limit, nearest):
    """A gate for something that no record has names the nearest quantity."""
    old, new = keep_run("old", 100.0, metrics={"test_accuracy": 0.9}), keep_run("new", 100.0)
    assert main(["compare", old, new, "--fail", limit]) == 2
    message = capsys.readouterr().err
    assert "no record has a quantity" in message
    assert nearest in message


@pytest.mark.parametrize("side", ["old", "new"])
def test_a_run_in_which_nothing_passed_closes_it(keep_run, capsys, side):
    """Where each attempt of a run failed there is nothing to compare."""
    runs = [keep_run(name, 100.0, **({"status": "failed"} if name == side else {})) for name in ("old", "new")]
    assert main(["compare", *runs, "--fail", "total_j:5%"]) == 1
    assert "nothing to compare" in capsys.readouterr().err


def test_a_quantity_that_one_run_lacks_closes_it(keep_run, capsys):
    """A metric of the older run that the newer one no longer reports cannot be judged."""
    old, new = keep_run("old", 100.0, metrics={"f1": 0.9}), keep_run("new", 100.0)
    assert main(["compare", old, new, "--fail", "f1:-2%"]) == 1
    assert "nothing to compare" in capsys.readouterr().err


def test_another_machine_closes_it(keep_run, make_record, capsys):
    """Joules of another machine are shown beside each other, and no gate is open for them."""
    host = make_record().host
    other = type(host)(machine_id="another", hostname="other")
    assert main(["compare", keep_run("old", 100.0), keep_run("new", 100.0, host=other), "--fail", "total_j:5%"]) == 1
    assert "nothing to compare" in capsys.readouterr().err


def test_equal_runs_leave_it_open(keep_run):
    """The same joules, ten repeats: exit status 0."""
    old, new = keep_run("old", 100.0, n=10, spread=0.01), keep_run("new", 100.0, n=10, spread=0.01)
    assert main(["compare", old, new, "--fail", "total_j:5%"]) == 0


@pytest.mark.parametrize("form", ["table", "md", "csv", "json"])
def test_a_comparison_shows_the_quality_of_its_energies(keep_run, capsys, form):
    """In each format; the narrow terminal keeps it."""
    assert main(["compare", keep_run("old", 100.0), keep_run("new", 100.0), "--format", form]) == 0
    out = capsys.readouterr().out
    assert "quality" in out
    assert "counter" in out
