"""The background loads in the terminal."""

from __future__ import annotations

import pytest

from pytest_parallel_energy.records.record import Attribution, LoadReport, WindowResult
from pytest_parallel_energy.reports.load_lines import level, load_facts, neighbour, render_loads
from pytest_parallel_energy.statistics.analysis import load_pairs
from pytest_parallel_energy.statistics.grouping import group_cells

FULL = LoadReport(
    name="VulBERTa/mlp",
    rounds_completed=12,
    round_mean_s=3.14,
    gap_s=0.024,
    coverage_ratio=0.996,
    cpu_s=36.13,
    level="intensity",
    level_asked=0.5,
    level_reached=0.4987,
    batch_sizes=(64, 32),
    stop="graceful",
    container="namespace",
)

ON_AVERAGE = (
    "VulBERTa/mlp: 12.5 rounds of 3.1 s per attempt, ran at least 97 % of the window, "
    "intensity 0.5 (reached 0.499), batch 64 → 32"
)


def _facts(make_record, *attempts):
    """What is said of the loads of one cell with so many attempts."""
    (cell,) = group_cells([make_record(background=loads, repetition=n) for n, loads in enumerate(attempts)])
    return list(load_facts(cell))


def _render(records, width=200):
    cells = group_cells(records)
    return [line.text for line in render_loads(cells, {id(cell): cell.name for cell in cells}, width=width)]


def test_a_load_is_one_line_per_cell(make_record):
    """Repetitions are averaged, so that a cell has one line; what went well is not a warning."""
    other = LoadReport(name="VulBERTa/mlp", rounds_completed=13, round_mean_s=3.0, coverage_ratio=0.97)
    assert _facts(make_record, (FULL,), (other,)) == [(ON_AVERAGE, False)]


def test_two_loads_of_one_name_stay_apart(make_record):
    """Each of two equal loads has its own line."""
    assert len(_facts(make_record, (FULL, FULL), (FULL, FULL))) == 2


def test_what_went_wrong_is_marked(make_record):
    """Failed rounds, low or unknown coverage and force are warnings; what is unknown is no number."""
    bad = LoadReport(name="b", rounds_failed=2, exit_codes=(1, 0, 137, 1), stop="forced")
    expected = "b: 2 of 2 rounds failed (exit 1 × 2, 137), ran – of the window, stopped: forced"
    assert _facts(make_record, (bad,)) == [(expected, True)]
    halted = LoadReport(name="b", stalled_s=2.0, coverage_ratio=0.5)
    assert _facts(make_record, (halted,)) == [
        ("b: 0 rounds, ran 50 % of the window, stopped by a signal for 2.0 s", True)
    ]
    lost = LoadReport(name="b", rounds_completed=None, rounds_failed=None, stop="lost")
    assert _facts(make_record, (lost,)) == [("b: rounds unknown, ran – of the window, stopped: lost", True)]
    ((text, _),) = _facts(
        make_record, (FULL,), (bad.__class__(name="VulBERTa/mlp", rounds_failed=1, coverage_ratio=1.0),)
    )
    assert "1 of 1 rounds failed (exit –) (1 of 2 attempts)" in text


def test_long_gaps_are_told(make_record):
    """A gap is worth its words where it is long against a round."""
    gaps = LoadReport(name="b", rounds_completed=3, round_mean_s=1.0, gap_s=0.5, coverage_ratio=0.8)
    ((text, _),) = _facts(make_record, (gaps,))
    assert "gaps up to 500 ms" in text


def _pair(make_record, alone, beside, **fields):
    """One cell with loads and its partner alone, from (seconds, joules) per attempt."""

    def energy(seconds, joules):
        return WindowResult(window_s=seconds, total_j=joules, total_u95_j=0.0, quality="counter", boundary="CPU")

    records = [make_record(energy=energy(*one), repetition=n) for n, one in enumerate(alone)]
    records += [make_record(energy=energy(*one), repetition=n, load=True, **fields) for n, one in enumerate(beside)]
    (pair,) = load_pairs(group_cells(records))
    return pair


ALONE = [(100.0, 1000.0), (101.0, 1010.0), (99.0, 990.0)]
SLOWER = [(109.0, 1770.0), (110.0, 1790.0), (108.0, 1750.0)]


def test_the_neighbour_is_answered(make_record):
    """One sentence says what a load changed: ratios with intervals, the training's share, and the verdicts."""
    shares = Attribution(foreground_j=1000.0, low_j=900.0, high_j=1100.0, method="shapley")
    pair = _pair(make_record, ALONE, SLOWER, attribution=shares)
    assert neighbour(pair.beside, pair) == (
        "alongside VulBERTa/mlp: time × 1.09 (95 % 1.07 to 1.11), machine energy × 1.77 (1.73 to 1.81), "
        "this training's share 56 % (51 % to 62 %), 1.00 kJ: slower, more energy"
    )


def test_an_interval_with_one_shows_nothing(make_record):
    """Where the interval holds 1 the sentence says that nothing was shown, not that nothing changed."""
    pair = _pair(make_record, ALONE, ALONE)
    assert neighbour(pair.beside, pair).endswith(": no slowdown shown, no change of energy shown")
    pair = _pair(make_record, ALONE[:1], SLOWER)
    assert neighbour(pair.beside, pair).endswith("no verdict from 1 and 3 attempts (use --energy-repeats=3 or more)")


def test_an_estimate_shows_no_change_of_energy(make_record):
    """A model that is linear in CPU time gives no verdict on what a neighbour changes."""
    estimated = WindowResult(window_s=100.0, total_j=1000.0, quality="estimated", boundary="server")
    records = [make_record(energy=estimated, repetition=n) for n in range(3)]
    records += [make_record(energy=estimated, repetition=n, load=True) for n in range(3)]
    (pair,) = load_pairs(group_cells(records))
    assert neighbour(pair.beside, pair).endswith("linear in CPU time: it cannot show what a load changes")


def test_without_a_partner_the_way_to_one_is_named(make_record):
    """A study that has nothing alone says how to get it; its shares are still told."""
    lines = _render([make_record(load=True)])
    assert lines[1] == "    alongside VulBERTa/mlp: this training's share unknown"
    assert "parametrize background_load with None and the load" in lines[2]


def test_many_loads_are_counted(make_record):
    """A sweep of a thousand cells does not fill the terminal."""
    lines = _render([make_record(lr=n / 100, background=(FULL,)) for n in range(1, 51)])
    assert len(lines) == 2 * 40 + 2
    assert lines[-1] == "  … and 10 more cells with loads, in the HTML report"


@pytest.mark.parametrize("width", [60, 80, 140])
def test_lines_fit_the_terminal(make_record, width):
    """Long sentences are wrapped with an indent."""
    assert all(len(line) <= width for line in _render([make_record(), make_record(load=True)], width))


def test_no_load_is_no_line(make_record):
    """Experiments without a load say nothing about loads."""
    assert _render([make_record()]) == []


def test_a_level_that_was_not_asked_for_is_unknown():
    """A record of another program may name a level without the value that was asked for."""
    assert level(LoadReport(name="x", level="intensity")) == "intensity unknown (reached unknown)"
