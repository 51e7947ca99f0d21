from __future__ import annotations

import textwrap
import unicodedata
from typing import Any

import pytest

from pytest_parallel_energy.records.record import DomainEnergy, LoadReport, MeterPart, Phase, Status, WindowResult
from pytest_parallel_energy.reports.layout import format_interval, shorten
from pytest_parallel_energy.reports.terminal_table import render_table


def _text(records: Any, width: int) -> str:
    return "\n".join(line.text for line in render_table(records, width=width))


@pytest.fixture
def study(make_record):
    """A cell repeated three times alone, and one beside a load."""
    flags = MeterPart(flags=("the idle leg was not measured",))
    alone = [make_record(joules, repetition=i) for i, joules in enumerate((1234.5, 1250.0, 1240.0))]
    return [*alone, make_record(2234.5, load=True, meter=flags)]


def test_the_table_at_80_columns(study):
    """At 80 columns the ratio and the load stay in the row, below its name; the rest stands in a line of its own."""
    assert _text(study, 80) == textwrap.dedent("""\
              n       time     energy ± 95 %  quality  × alone  load ran  notes
        test_resnet20
          lr=0.0123
              3  1 min 2 s  1.242 ± 0.053 kJ  counter
              cpu 1.24 kJ; test_accuracy 0.4321
          lr=0.0123-bg=VulBERTa/mlp
              1  1 min 2 s  2.235 ± 0.089 kJ  counter   × 1.80      98 %  [1]
              cpu 2.23 kJ; test_accuracy 0.4321

        [1] the idle leg was not measured
        quality: counter | boundary: CPU packages; without DRAM, GPU, board, power
            supply
        ± is the 95 % interval; where n is 1 it holds the meter's error alone, not the
            spread of repeats

        background loads:
          lr=0.0123-bg=VulBERTa/mlp: VulBERTa/mlp: 12 rounds, ran 98 % of the window
            alongside VulBERTa/mlp: time × 1.00, machine energy × 1.80, this
              training's share unknown: no verdict from 3 and 1 attempts (use
              --energy-repeats=3 or more)""")


def test_the_table_at_130_columns(study):
    """With room, each value has its column."""
    head, _, alone, beside, *_ = _text(study, 130).splitlines()
    assert head.split("  ")[0] == "experiment"
    assert head.split()[1:] == [
        "n",
        "time",
        "energy",
        "±",
        "95",
        "%",
        "quality",
        "×",
        "alone",
        "load",
        "ran",
        "cpu",
        "test_accuracy",
        "notes",
    ]
    assert " ".join(alone.split()) == "lr=0.0123 3 1 min 2 s 1.242 ± 0.053 kJ counter 1.24 kJ 0.4321"
    assert " ".join(beside.split()).endswith("2.235 ± 0.089 kJ counter × 1.80 98 % 2.23 kJ 0.4321 [1]")
    assert alone.index("0.4321") == beside.index("0.4321")


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal(study, make_record, width):
    """No width, name or number of metrics makes a line too long, and each character is one column wide."""
    long = make_record(
        nodeid=f"t.py::test_{'x' * 300}[{'y' * 300}]", cell="long", metrics={f"m{i}": 0.1 for i in range(30)}
    )
    for line in render_table([*study, long], width=width):
        assert len(line.text) <= width, line.text
        assert all(unicodedata.east_asian_width(char) not in "WF" for char in line.text)


def test_unknown_is_a_dash_with_its_reason(make_record):
    """A missing sensor prints a dash, the word missing and why; never a 0."""
    (_, _, row, *_), text = (records := _text([make_record(None)], 100)).splitlines(), records
    assert row.split()[-5:] == ["–", "missing", "–", "0.4321", "[1]"]
    assert "[1] package-0 is missing: permission denied" in text
    assert " 0 J" not in text


def test_an_unknown_interval_is_a_dash(make_record):
    """Joules without an interval say so."""
    assert "500 J ± –" in _text([make_record(energy=WindowResult(total_j=500.0, quality="counter"))], 80)


def test_a_failed_cell_is_red_and_says_why(make_record):
    """A cell without a passed attempt has n = 0, the severity "bad", its status and its reason."""
    lines = render_table([make_record(50.0, status=Status.TIMEOUT, reason="stopped after 60 s")], width=100)
    (row,) = [line for line in lines if line.text.startswith("  lr=")]
    assert row.severity == "bad"
    assert row.text.split()[1] == "0"
    assert any("timeout: stopped after 60 s" in line.text for line in lines)


def test_a_retried_cell_warns(make_record):
    """A cell that passed at the second attempt is counted once, in yellow."""
    lines = render_table([make_record(status=Status.FAILED, reason="exit code 1"), make_record(attempt=2)], width=100)
    (row,) = [line for line in lines if line.text.startswith("  lr=")]
    assert row.severity == "warn"
    assert row.text.split()[1] == "1"


def test_warm_ups_are_named(make_record):
    """A reader sees that a warm-up was kept apart."""
    text = _text([make_record(phase=Phase.WARMUP), make_record()], 100)
    assert "1 warm-up left out of the means" in text


def test_notes_are_numbered_once(make_record):
    """Cells that share a flag share its number."""
    flags = MeterPart(flags=("a", "b"))
    text = _text([make_record(lr=0.1, meter=flags), make_record(lr=0.2, meter=MeterPart(flags=("b",)))], 100)
    assert "[1 2]" in text
    assert "[2]" in text
    assert text.count("[1] a") == 1


def test_a_mixed_run_shows_which_qualities(make_record):
    """One line tells all qualities and boundaries, with counts."""
    other = WindowResult(total_j=9.0, quality="estimated", boundary="server at the wall")
    text = " ".join(_text([make_record(lr=0.1), make_record(lr=0.2, energy=other)], 200).split())
    assert "quality: counter (1 cell); estimated (1 cell) | boundary: not the same everywhere:" in text


def test_two_loads_show_the_weaker_one(make_record):
    """With several loads the rounds add up and the lowest coverage is shown; failed rounds are a note."""
    loads = (
        LoadReport(name="a", rounds_completed=3, coverage_ratio=1.0),
        LoadReport(name="b", rounds_completed=4, rounds_failed=1, coverage_ratio=0.5, flags=("restarted",)),
    )
    text = _text([make_record(background=loads)], 140)
    assert "a: 3 rounds, ran 100 % of the window" in text
    assert " 50 %  1.23 kJ " in text
    assert "b: 1 of 5 rounds failed (exit –)" in text
    assert "b: restarted" in text


def test_parts_appear_where_they_exist(make_record):
    """A GPU column stands where a cell has a GPU; a cell without one leaves it empty, and a missing GPU is a dash."""
    gpu = WindowResult(total_j=9.0, gpu_j=5.0, quality="integrated")
    lost = WindowResult(domains=(DomainEnergy(name="gpu-0", kind="gpu", reason="lost"),))
    text = _text([make_record(lr=0.1), make_record(lr=0.2, energy=gpu), make_record(lr=0.3, energy=lost)], 140)
    rows = text.splitlines()
    start = rows[0].index("gpu") - 3
    assert [row[start : start + 6].strip() for row in rows[2:5]] == ["", "5.00 J", "–"]


def test_same_names_on_two_hosts_stay_apart(make_record):
    """Two cells of one test have their hash in their name."""
    text = _text([make_record(cell="aaa"), make_record(cell="bbb")], 120)
    assert "lr=0.0123-aaa" in text
    assert "lr=0.0123-bbb" in text


@pytest.mark.parametrize("width", [80, 200])
def test_windows_stand_below_their_cell(make_record, width):
    """Named windows have a line of their own at each width, with their energy and share."""
    inner = [WindowResult(name=f"epoch {n}", window_s=2.0, total_j=50.0) for n in range(10)]
    inner.append(WindowResult(name="load data", window_s=5.0, total_j=None))
    energy = WindowResult(window_s=60.0, total_j=1000.0, total_u95_j=20.0, quality="missing", windows=tuple(inner))
    (line,) = [line for line in _text([make_record(energy=energy)], width).splitlines() if "windows" in line]
    assert line.endswith("windows epoch × 10 50.0 J each (50 %); load data – (–)")


def test_the_ratio_to_the_best_is_of_like_cells(make_record):
    """The cheapest cell has 1, another its multiple; a cell that was measured in another way has none."""
    other = WindowResult(total_j=1.0, quality="estimated", boundary="server at the wall")
    records = [make_record(100.0, lr=0.1), make_record(150.0, lr=0.2), make_record(lr=0.3, energy=other)]
    rows = _text(records, 140).splitlines()
    assert "× best" in rows[0]
    assert ["× 1.00" in rows[2], "× 1.50" in rows[3], "×" in rows[4]] == [True, True, False]


def test_notes_that_differ_in_amounts_are_one(make_record):
    """Equal notes merge into one with the range; numbers that are no amounts stay apart."""
    flags = [("others used 3.5 % of the CPU",), ("others used 12 % of the CPU",), ("exit code 3",), ("exit code 4",)]
    records = [make_record(lr=n / 10, meter=MeterPart(flags=flag)) for n, flag in enumerate(flags)]
    text = _text(records, 140)
    assert "[1] others used 3.5 to 12 % of the CPU" in text
    assert "[2] exit code 3" in text
    assert "[3] exit code 4" in text


def test_notes_with_ranges_are_one_range(make_record):
    """The range of some cells' ranges goes from the least end to the greatest, not "78 to 82 to 86 %"."""
    flags = [
        ("others used 78 to 82 % of the CPU",),
        ("others used 80 to 86 % of the CPU",),
        ("others used 90 % of the CPU",),
    ]
    records = [make_record(lr=n / 10, meter=MeterPart(flags=flag)) for n, flag in enumerate(flags)]
    assert "[1] others used 78 to 90 % of the CPU" in _text(records, 140)


def test_nothing_recorded_prints_nothing():
    """A run without experiments has no table."""
    assert render_table([], width=80) == []


@pytest.mark.parametrize(
    ("value", "u95", "text"),
    [
        (0.0, 0.0, "0.000 ± 0.000 J"),
        (0.0, 0.02, "0 ± 20 mJ"),
        (999.96, 1.0, "1.0000 ± 0.0010 kJ"),
        (1234.5, 0.0, "1.234 ± 0.000 kJ"),
        (3.0, 5000.0, "0.003 ± 5.0 kJ"),
        (-12.0, 3.0, "-12.0 ± 3.0 J"),
        (1e-9, 1e-10, "0.00100 ± 0.00010 µJ"),
        (5e12, 5e10, "5000 ± 50 GJ"),
    ],
)
def test_intervals_keep_two_digits(value, u95, text):
    """The half-width has two significant digits, the value the same decimals, both one prefix."""
    assert format_interval(value, u95, "J") == text


def test_shortening_keeps_both_ends():
    """A long name keeps its start and its end."""
    assert shorten("a" * 50 + "z" * 50, 11) == "aaaa...zzzz"
