"""What a plan expects, and what progress says."""

from __future__ import annotations

import datetime as dt
import random
import re

import pytest
from copied import replace

from pytest_parallel_energy.plan.expectation import Past, PlannedCell
from pytest_parallel_energy.plan.run_table import PlanConditions, run_table
from pytest_parallel_energy.records.record import DomainEnergy, Record, Status, WindowResult, WorkloadPart
from pytest_parallel_energy.reports.costs import price_factor
from pytest_parallel_energy.run.progress import LiveFigures, Progress
from pytest_parallel_energy.statistics.compare import compare_runs
from pytest_parallel_energy.statistics.judgement import Verdict
from pytest_parallel_energy.statistics.quantities import parse_threshold

NOW = dt.datetime(2026, 1, 1, 12, 0, tzinfo=dt.UTC)
CELL = PlannedCell(name="test_a", cell="aaa", workload="toy/net", repetitions=3, warmups=1)


def record(cell, joules, seconds=10.0, **changes):
    base = Record(
        record_id=cell, run_id="r", nodeid="t", cell=cell, status=Status.PASSED, started_at="", duration_s=seconds,
        energy=WindowResult(total_j=joules, quality="counter"),
        workload=WorkloadPart(repository="toy", model="net", hyperparameters={}),
    )  # fmt: skip
    return replace(base, **changes)


def past_of(*records):
    return Past.of(records)


def conditions(**changes):
    return replace(PlanConditions(now=NOW, width=120), **changes)


def trained(epochs, joules, seconds, **changes):
    """A record of another cell of the workload, which trained for so many epochs."""
    work = WorkloadPart(repository="toy", model="net", hyperparameters={"epochs": epochs})
    return record(f"epochs-{epochs}", joules, seconds, workload=work, **changes)


def test_a_cell_is_expected_to_take_what_it_took():
    """Mean time and joules of its own passed runs; failed ones do not count."""
    expected = past_of(
        record("aaa", 100.0), record("aaa", 110.0, 12.0), record("aaa", 9.0, status=Status.FAILED)
    ).expect(CELL)
    assert (expected.seconds, expected.joules, expected.n, expected.source) == (11.0, 105.0, 2, "this cell")


def test_a_cell_that_its_test_changes_is_found_again():
    """A test that overrides values or starts a load itself is recorded under another cell than its plan has."""
    expected = past_of(record("changed", 100.0, 40.0, planned_cell="aaa", workload=None)).expect(CELL)
    assert (expected.seconds, expected.source) == (40.0, "this cell")


def test_other_code_is_said():
    """Runs of the newest other code stand in, with a wider error; the cell's own code comes first."""
    ours = replace(CELL, code="now")
    others = (record("aaa", 100.0, 10.0, code="oldest"), record("aaa", 200.0, 20.0, code="older"))
    expected = past_of(*others).expect(ours)
    assert (expected.seconds, expected.joules, expected.source, expected.logs_j) == (20.0, 200.0, "other code", ())
    assert expected.error_ratio == pytest.approx(0.3)
    own = past_of(record("aaa", 50.0, 5.0, code="now"), *others).expect(ours)
    assert (own.seconds, own.source) == (5.0, "this cell")


def test_joules_that_were_measured_differently_are_not_averaged():
    """An estimate and a counter of one cell: the time of all, the energy of the newest way."""
    estimate = WindowResult(total_j=300.0, quality="estimated")
    past = past_of(record("aaa", 0.0, 8.0, energy=estimate), record("aaa", 100.0), record("aaa", 110.0, 12.0))
    expected = past.expect(CELL)
    assert (expected.seconds, expected.joules, expected.quality, expected.n) == (10.0, 105.0, "counter", 3)
    assert len(expected.logs_j) == 2


def test_another_cell_of_the_workload_stands_in():
    """A new mutation is expected to take what others of its workload took, with its loads and its profile."""
    past = past_of(record("bbb", 100.0), record("bbb", None))
    expected = past.expect(CELL)
    assert (expected.seconds, expected.joules, expected.n, expected.source) == (10.0, None, 2, "this workload")
    assert past.expect(replace(CELL, loads=("a/load",))).seconds is None
    assert past.expect(replace(CELL, profile="quick")).seconds is None


def test_a_longer_training_takes_longer():
    """After ten epochs in 10 s, 100 000 epochs are 100 000 s and as much more energy, with a wide error."""
    expected = past_of(trained(10, 500.0, 10.0)).expect(replace(CELL, values={"epochs": 100_000}))
    assert (expected.seconds, expected.joules, expected.source) == (100_000.0, 5_000_000.0, "other epochs")
    assert expected.error_ratio >= 0.5


def test_two_lengths_show_the_start_of_the_training():
    """5 s and 1 s per epoch: the line through 10 and 20 epochs, not a multiple of either."""
    past = past_of(trained(10, 15.0, 15.0), trained(20, 25.0, 25.0))
    assert past.expect(replace(CELL, values={"epochs": 100})).seconds == pytest.approx(105.0)


def test_one_repetition_shows_nothing():
    """Without repetitions, or without a known spread, no difference can be promised."""
    past = past_of(*(record("aaa", joules) for joules in (99.0, 100.0, 101.0)))
    for cell, known in ((CELL, True), (replace(CELL, repetitions=1), False)):
        line = run_table([cell], past, conditions())[1]
        assert ("%" in line) is known


def test_shows_from_is_the_power_of_the_gate_itself():
    """Runs that truly differ by so much are worse in at least 75 of 100 simulated comparisons, with the same family."""
    pytest.importorskip("scipy", reason="the extra report is not installed")
    draw, spread, cells, n = random.Random(7), 0.03, 4, 6
    threshold = parse_threshold("total_j:5%")
    planned = [replace(CELL, name=f"{i}", cell=f"{i}", repetitions=n) for i in range(cells)]

    def run(factor):
        return [
            record(f"{i}", 100 * factor * (1 + draw.gauss(0, spread)), nodeid=f"t.py::t[{i}]")
            for i in range(cells)
            for _ in range(n)
        ]

    def energies(records):
        domain = DomainEnergy(
            name="p", kind="cpu", joules=1.0, u95_j=0.001, quality="counter", mean_w=0.001, update_interval_s=0.001
        )
        return [replace(each, energy=replace(each.energy, quality="counter", domains=(domain,))) for each in records]

    pilot = energies(run(1.0))
    lines = run_table(planned, Past.of(pilot), conditions(thresholds=(threshold,)))
    shown = max(float(re.search(r"([0-9.]+) %", line)[1]) / 100 for line in lines[1 : cells + 1])
    worse = 0
    for _ in range(100):
        found = compare_runs(("old", energies(run(1.0))), ("new", energies(run(1 + shown))), [threshold])
        worse += sum(row.verdict is Verdict.WORSE for row in found.rows)
    assert 0.05 < shown < 0.5
    assert worse / (100 * cells) >= 0.75


def test_the_table():
    """Runs with their warm-ups, the quality, the sums, what they leave out, and the cost."""
    past = past_of(*(record("aaa", joules, 600.0) for joules in (99_000.0, 100_000.0, 101_000.0)))
    unknown = PlannedCell(name="test_b", cell="bbb", workload="other/net", repetitions=2)
    lines = run_table([CELL, unknown], past, conditions(price=price_factor("0.5 EUR/kWh; test")))
    assert re.split(r"  +", lines[1])[:5] == ["test_a", "1+3", "10 min 0 s", "100 kJ", "counter"]
    assert lines[1].endswith("3 of this cell")
    assert lines[2].split()[1:4] == ["2", "–", "–"]
    text = " ".join(" ".join(lines[4:]).split())
    assert "2 cells, 6 runs time: about 40 min 0 s, without 2 runs of which nothing is known; no end is given" in text
    assert "400 kJ (0.111 kWh, 0.06 EUR at 0.5 EUR/kWh (test)), counter, without 2 runs" in text
    assert "done" not in text
    assert "nothing is known of them" in run_table([unknown], Past(), conditions())[-1]
    assert "no experiments were collected" in " ".join(run_table([], Past(), conditions()))


@pytest.mark.parametrize("width", [60, 80])
def test_cells_that_differ_in_the_middle_of_their_names_have_different_rows(width):
    """On a narrow terminal too, each row names its cell, and no line is wider than the terminal."""
    names = [f"test_training_of_a_network[learning_rate={rate}-batch_size=32-bg=VulBERTa/mlp]" for rate in (0.1, 0.25)]
    names += [f"test_{'x' * 60}[{letter}{'y' * 60}]" for letter in "abc"]
    cells = [replace(CELL, name=name, cell=name) for name in names]
    past = past_of(*(record(name, 100.0) for name in names))
    rows = run_table(cells, past, conditions(width=width))[1 : len(names) + 1]
    assert len({row.split("  ")[0] for row in rows}) == len(names)
    assert "0.25" in rows[1]
    assert max(map(len, rows)) <= width


def test_an_end_is_printed_with_its_uncertainty():
    """Where all runs are known, two times; the cool-down and the idle leg are part of them."""
    past = past_of(*(record("aaa", 100.0, 600.0) for _ in range(3)))
    (line,) = (line for line in run_table([CELL], past, conditions(width=300)) if line.startswith("time"))
    assert line.endswith("started now, done between 2026-01-01 12:38 and 2026-01-01 12:42")
    cooled = run_table([CELL], past, conditions(width=300, cooldown_s=60.0, idle_s=5.0))
    (line,) = (line for line in cooled if line.startswith("time"))
    assert line.startswith("time: about 44 min 5 s, of which 4 min 5 s are cool-down and the idle leg;")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_table_fits_the_terminal(width):
    """No line is wider than the terminal, whatever the names are."""
    name = "test_resnet20_beside_vulberta[learning_rate=0.1424-weight_decay=0.000123-bg=VulBERTa/mlp]"
    past = past_of(*(record("aaa", 100.0 + i, 600.0) for i in range(3)))
    lines = run_table([replace(CELL, name=name)], past, conditions(width=width, cooldown_limit_s=300.0))
    assert max(map(len, lines)) <= width


def test_progress_counts_and_expects():
    """Which of how many, and the time left from what the finished ones took."""
    progress = Progress.begin(4, now_s=0.0)
    assert progress.left_s(5.0) is None
    progress = progress.starts("t.py::a", 0.0).ends(100.0, 10.0).starts("t.py::b", 12.0)
    assert progress.left_s(16.0) == pytest.approx(26.0)
    assert progress.line(LiveFigures(), 16.0) == "experiment 2 of 4: b, 4.0 s; about 26.0 s left"
    status = progress.status(LiveFigures(watts=50.0), 16.0, "running")
    assert (status["finished"], status["current_elapsed_s"], status["finished_j"]) == (1, 4.0, 100.0)
    assert progress.ends(None, 20.0).joules is None
