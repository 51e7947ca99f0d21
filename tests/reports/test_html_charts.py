"""The charts of the HTML report as specifications: what they show, and axes that do not lie."""

from __future__ import annotations

import random

import pytest

from pytest_parallel_energy.records.record import EpochEnergy, WindowResult, WorkloadPart
from pytest_parallel_energy.reports.html.cell_labels import cell_labels, shared_label
from pytest_parallel_energy.statistics.grouping import group_cells

pytest.importorskip("altair", reason="the extra report is not installed")

from pytest_parallel_energy.reports.html import axes, charts, study_charts
from pytest_parallel_energy.reports.html.epoch_chart import epoch_chart


def _cells(make_record, energies, *, name="lr", values=None, accuracies=None, repeats=3):
    """One cell per energy, whose repeats differ by 1 %."""
    records = []
    for number, joules in enumerate(energies):
        for repetition in range(repeats):
            total_j = joules * (1 + 0.01 * (repetition - 1))
            energy = WindowResult(total_j=total_j, total_u95_j=0.001 * joules, quality="counter")
            accuracy = accuracies[number] if accuracies else 0.5
            part = WorkloadPart(
                repository="r",
                model="m",
                hyperparameters={name: values[number] if values else number},
                metrics={"accuracy": accuracy + 0.001 * repetition},
                better={"accuracy": "higher"},
            )
            nodeid = f"t.py::test_a[{name}={number}-same=1-rep{repetition}]"
            records.append(
                make_record(energy=energy, workload=part, cell=f"c{number}", nodeid=nodeid, repetition=repetition)
            )
    return group_cells(records)


def _layers(chart, kind):
    marks = [(layer, layer["mark"]) for layer in chart.spec["layer"]]
    return [layer for layer, mark in marks if (mark["type"] if isinstance(mark, dict) else mark) == kind]


def test_each_attempt_is_a_point_with_mean_interval_and_n(make_record):
    """A reader sees the single values, the mean, its interval with caps, and how many there are."""
    cells = _cells(make_record, [100.0, 200.0])
    chart = charts.energy_chart(cells, cell_labels(cells))
    (points,) = _layers(chart, "point")
    assert [row["energy"] for row in points["data"]["values"]][:3] == [99.0, 100.0, 101.0]
    (whiskers,) = _layers(chart, "errorbar")
    assert whiskers["mark"]["ticks"]
    first = whiskers["data"]["values"][0]
    assert first["low"] < 100.0 < first["high"]
    assert first["count"] == "n = 3"


def test_labels_say_what_differs(make_record):
    """What all cells share is left out of their labels; two cells never have one label."""
    cells = _cells(make_record, [1.0, 2.0])
    assert cell_labels(cells) == ["lr=0", "lr=1"]
    assert shared_label(cells) == "test_a, same=1"
    assert charts.energy_chart(cells, cell_labels(cells), shared_label(cells)).caption.startswith(
        "Energy (test_a, same=1)"
    )
    assert cell_labels(cells[:1]) == ["lr=0, same=1"]
    two = group_cells([make_record(cell="a", nodeid="t.py::a[x=1]"), make_record(cell="b", nodeid="t.py::a[x=1]")])
    assert cell_labels(two) == ["x=1 (a)", "x=1 (b)"]
    other = group_cells([make_record(cell="a", nodeid="t.py::a"), make_record(cell="b", nodeid="u.py::a")])
    assert len(set(cell_labels(other))) == 2


def test_labels_of_one_id_measured_twice_have_no_stray_bracket(make_record):
    """What tells two versions of one test apart stands behind its parameters."""
    cells = group_cells([make_record(nodeid="t.py::a[x=1]", code=code) for code in ("old", "new")])
    assert cell_labels(cells) == ["code old", "code new"]


def _x(make_record, values):
    cells = _cells(make_record, [100.0 + 10 * i for i in range(len(values))], name="h", values=values)
    (chart,) = study_charts.hyperparameter_charts(cells)
    return _layers(chart, "point")[0]["encoding"]["x"]


def test_whole_numbers_have_whole_ticks(make_record):
    """No tick stands at 2.5 epochs; powers of two are their own ticks."""
    linear = _x(make_record, [1, 2, 3, 4])
    assert linear["axis"]["format"] == "d"
    assert linear["axis"]["values"] == [1, 2, 3, 4]
    powers = _x(make_record, [16, 32, 64, 128, 256])
    assert powers["scale"]["type"] == "log"
    assert powers["axis"]["values"] == [16, 32, 64, 128, 256]


def test_axes_end_at_the_values(make_record):
    """An axis of dropout has no tick below 0, and one of epochs none above the most."""
    assert _x(make_record, [0.0, 0.3, 0.95])["scale"]["nice"] is False


@pytest.mark.parametrize(("count", "side"), [(3, "bottom"), (40, "top")])
def test_long_charts_have_their_axis_above(make_record, count, side):
    """Two hundred rows are higher than a window: the reader need not look for the numbers at their end."""
    cells = _cells(make_record, [100.0 + n for n in range(count)])
    (points,) = _layers(charts.energy_chart(cells, cell_labels(cells)), "point")
    assert points["encoding"]["x"]["axis"]["orient"] == side


def test_log_uniform_values_have_a_log_axis(make_record):
    """Values drawn log-uniformly get a logarithmic axis, uniform ones a linear one, below any fixed span too."""
    draw = random.Random(3)
    assert axes.is_logarithmic([10 ** draw.uniform(-4, -2.5) for _ in range(30)])
    assert not axes.is_logarithmic([draw.uniform(0.001, 1.0) for _ in range(30)])
    assert not axes.is_logarithmic([0.0, 0.1, 1.0])
    assert _x(make_record, [1e-4, 3e-4, 1e-3, 3e-3])["scale"]["type"] == "log"


@pytest.mark.parametrize(("low", "high"), [(0.95, 9.5), (1e-12, 1e12), (0.0002, 0.03), (3.0, 24.0), (0.11, 0.9)])
def test_log_ticks_are_few_and_exact(low, high):
    """Each tick stands at the number that it shows, and there are no more than fit."""
    ticks = axes.log_ticks(low, high)
    assert 2 <= len(ticks) <= 8
    assert all(low <= tick <= high for tick in ticks)
    assert all(float(f"{tick:.6g}") == tick for tick in ticks)


@pytest.mark.parametrize("differ", [True, False])
def test_a_front_needs_a_difference(make_record, differ):
    """Cells that do not differ beyond their intervals have no front, and the caption says so."""
    energies = [100.0, 120.0, 140.0] if differ else [100.0, 100.1, 100.2]
    accuracies = [0.5, 0.6, 0.7] if differ else [0.5, 0.5001, 0.5002]
    cells = _cells(make_record, energies, accuracies=accuracies)
    (chart,) = study_charts.pareto_charts(cells, cell_labels(cells))
    rows = _layers(chart, "errorbar")[0].get("data", chart.spec.get("data"))["values"]
    assert any(row["front"] for row in rows) == differ
    assert ("do not differ" in chart.caption) != differ
    assert len(_layers(chart, "errorbar")) == 2


def test_a_step_of_a_front_needs_a_difference(make_record):
    """A cell that costs more than another and is no better beyond the intervals is not on the front."""
    cells = _cells(make_record, [100.0, 120.0, 140.0], accuracies=[0.5, 0.5005, 0.6])
    (chart,) = study_charts.pareto_charts(cells, cell_labels(cells))
    rows = _layers(chart, "errorbar")[0].get("data", chart.spec.get("data"))["values"]
    assert [row["front"] for row in rows] == [True, False, True]


@pytest.mark.parametrize(("count", "ticks"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3])])
def test_epochs_have_whole_ticks(make_record, count, ticks):
    """A short axis of epochs has no tick at 1.5 that would read 2, and whiskers have caps; n is that of attempts."""
    epochs = tuple(EpochEnergy(name=str(n), start_s=n, seconds=1.0, joules=5.0, u95_j=0.1) for n in range(count))
    cells = group_cells([make_record(epochs=epochs, repetition=n) for n in range(2)])
    chart = epoch_chart(cells, ["a"])
    assert _layers(chart, "line")[0]["encoding"]["x"]["axis"]["values"] == ticks
    assert _layers(chart, "errorbar")[0]["mark"]["ticks"]
    assert (
        chart.footnote == "joules: counter · 95 % interval of each epoch, a line per attempt, n = 2 per cell · 1 cell"
    )


def test_what_is_left_out_is_said(make_record):
    """Cells without a known energy are counted in the title; failed attempts and mixed qualities below it."""
    failed = make_record(10.0, cell="f", status="timeout")
    estimated = make_record(cell="e", energy=WindowResult(total_j=5.0, total_u95_j=1.0, quality="estimated"))
    cells = group_cells([make_record(cell="a"), failed, make_record(None, cell="m"), estimated])
    chart = charts.energy_chart(cells, ["a", "f", "m", "e"])
    assert chart.caption.endswith("; 1 cell without a known energy left out")
    assert "n = 0 to 1 per cell (where none passed, of the failed attempts)" in chart.footnote
    assert "joules: counter (2 cells), estimated (1 cell)" in chart.footnote


def test_failed_trainings_have_no_ratio(make_record):
    """A training that was stopped ends at any time: its energy is in no ratio of alone and with a load."""
    records = [make_record(10.0, cell="alone"), make_record(20.0, load=True, cell="beside")]
    assert charts.load_chart(group_cells(records), ["a", "b"])
    stopped = [records[0], make_record(20.0, load=True, cell="beside", status="timeout")]
    assert charts.load_chart(group_cells(stopped), ["a", "b"]) is None


def test_alone_has_the_first_colour(make_record):
    """Also where a legend says in addition how it was measured."""
    colour = axes.load_colour([{"load": name} for name in ("VulBERTa/mlp", "alone, 8 threads")])
    assert colour.to_dict()["scale"]["domain"] == ["alone, 8 threads", "VulBERTa/mlp"]


def test_a_chart_says_what_it_is_of(make_record):
    """Quality, intervals and n stand below the title, so that a saved picture keeps them."""
    cells = _cells(make_record, [100.0, 200.0, 300.0])
    (effect,) = study_charts.hyperparameter_charts(cells)
    for chart in (charts.energy_chart(cells, cell_labels(cells)), effect):
        assert chart.footnote == "joules: counter · mean and 95 % interval of n = 3 per cell · 3 cells"
    uneven = [*_cells(make_record, [100.0]), *_cells(make_record, [100.0], repeats=1)]
    assert "n = 1 to 3" in charts.energy_chart(uneven, ["a", "b"]).footnote


def test_no_whisker_ends_below_0(make_record):
    """An energy is not below 0: the interval of two attempts that differ much is cut there, and so is the axis."""
    energy = [WindowResult(total_j=joules, total_u95_j=1.0, quality="estimated") for joules in (10.0, 90.0)]
    cells = group_cells([make_record(energy=one, repetition=n) for n, one in enumerate(energy)])
    chart = charts.energy_chart(cells, ["a"])
    (whiskers,) = _layers(chart, "errorbar")
    assert whiskers["data"]["values"][0]["low"] == 0.0
    (points,) = _layers(chart, "point")
    assert points["encoding"]["x"]["scale"]["domain"][0] == 0.0


def test_a_single_load_has_no_legend(make_record):
    """A legend stands where there is something to tell apart."""
    cells = _cells(make_record, [100.0, 200.0, 300.0])
    (points,) = _layers(charts.energy_chart(cells, cell_labels(cells)), "point")
    assert points["encoding"]["color"]["legend"] is None
    loaded = group_cells([make_record(), make_record(load=True)])
    (points,) = _layers(charts.energy_chart(loaded, ["a", "b"]), "point")
    assert points["encoding"]["color"]["legend"]["values"] == ["alone", "VulBERTa/mlp"]


def test_many_points_are_pale(make_record):
    """Two hundred whiskers do not hide the points."""
    (few,) = study_charts.hyperparameter_charts(_cells(make_record, [100.0 + n for n in range(10)]))
    (many,) = study_charts.hyperparameter_charts(_cells(make_record, [100.0 + n for n in range(100)]))
    assert [_layers(chart, "errorbar")[0]["mark"]["opacity"] for chart in (few, many)] == [1.0, 0.25]


def test_whiskers_of_an_estimate_are_not_symmetric(make_record):
    """The interval of an estimate ends where its record says, on each side."""
    energy = WindowResult(total_j=40.0, total_u95_j=50.0, total_low_j=20.0, total_high_j=90.0, quality="estimated")
    chart = charts.energy_chart(group_cells([make_record(energy=energy)]), ["a"])
    row = _layers(chart, "errorbar")[0]["data"]["values"][0]
    assert (row["low"], row["high"]) == (20.0, 90.0)
