"""The background loads in the terminal."""

from __future__ import annotations

from pytest_parallel_energy.records.record import Attribution, LoadReport
from pytest_parallel_energy.reports.load_lines import level, render_loads

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


def test_a_load_is_one_line(make_record):
    """All that is known of a load stands in one line; what went well has no colour."""
    (line,) = render_loads([make_record(background=(FULL,))])
    assert line.text.endswith(
        "VulBERTa/mlp: 12 rounds, 3.1 s each, gaps up to 24 ms, 36.1 s of CPU in all, ran >99 % of the window, "
        "intensity 0.5 (reached 0.499), batch 64 → 32, stopped: graceful, isolated by: namespace"
    )
    assert line.severity == "plain"


def test_what_went_wrong_is_marked(make_record):
    """Failed rounds, low or unknown coverage and force are warnings; what is unknown is no number."""
    bad = LoadReport(name="b", rounds_failed=2, exit_codes=(1, 0, 137, 1), stop="forced")
    (line,) = render_loads([make_record(background=(bad,))])
    assert line.text.endswith("b: 2 of 2 rounds failed (exit 1 × 2, 137), ran – of the window, stopped: forced")
    assert line.severity == "warn"
    halted = LoadReport(name="b", stalled_s=2.0, coverage_ratio=0.5)
    (line,) = render_loads([make_record(background=(halted,), attempt=2)])
    assert line.text.endswith(", attempt 2: b: 0 rounds, ran 50 % of the window, stopped by a signal for 2.0 s")
    lost = LoadReport(name="b", rounds_completed=None, rounds_failed=None, stop="lost")
    (line,) = render_loads([make_record(background=(lost,))])
    assert line.text.endswith("b: rounds unknown, ran – of the window, stopped: lost")
    assert line.severity == "warn"


def test_whose_joules_is_a_line(make_record):
    """How the energy of the window was split, with the bounds and the method; nothing where it is not known."""
    shares = Attribution(
        foreground_j=60.0, low_j=50.0, high_j=80.0, background_j=30.0, other_j=0.5, idle_j=10.0, method="shapley"
    )
    *_, line = render_loads([make_record(background=(FULL,), attribution=shares)])
    assert line.text.endswith(
        "energy attribution: foreground 60.0 J (50.0 J to 80.0 J), background 30.0 J, others 500 mJ, idle 10.0 J "
        "(by shapley)"
    )


def test_many_loads_are_counted(make_record):
    """A sweep of a thousand attempts does not fill the terminal."""
    lines = render_loads([make_record(background=(FULL,)) for _ in range(50)])
    assert len(lines) == 41
    assert lines[-1].text == "… and 10 more, in records.jsonl"


def test_no_load_is_no_line(make_record):
    """Experiments without a load say nothing about loads."""
    assert render_loads([make_record()]) == []


def test_a_level_that_was_not_asked_for_is_unknown():
    """A record of another program may name a level without the value that was asked for."""
    assert level(LoadReport(name="x", level="intensity")) == "intensity unknown (reached unknown)"
