"""The background loads in the terminal: a line for each load of an attempt, and one for the energy attribution."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ..records.record import Attribution, LoadReport, Record
from ..units import format_joules, format_seconds
from .layout import Line, format_share

__all__ = ["exit_codes", "failed_rounds", "level", "render_loads"]

_MOST_LINES = 40
_LOW_RATIO = 0.9


def render_loads(records: Sequence[Record]) -> list[Line]:
    """Return the lines of all attempts, 40 at most and then how many more; none where there was no load."""
    lines = [line for record in records if record.background for line in _lines(record)]
    if len(lines) <= _MOST_LINES:
        return lines
    left_out = len(lines) - _MOST_LINES
    return [*lines[:_MOST_LINES], Line(text=f"… and {left_out} more, in records.jsonl")]


def _lines(record: Record) -> Iterator[Line]:
    test = record.nodeid.rpartition("::")[2] + (f", attempt {record.attempt}" if record.attempt > 1 else "")
    for load in record.background:
        low = load.coverage_ratio is None or load.coverage_ratio < _LOW_RATIO
        bad = load.rounds_failed or low or load.stop in {"forced", "lost"}
        yield Line(text=f"{test}: {load.name}: {', '.join(_facts(load))}", severity="warn" if bad else "plain")
    if owners := ", ".join(_owners(record.attribution)):
        yield Line(text=f"{test}: energy attribution: {owners} (by {record.attribution.method})")


def _owners(shares: Attribution) -> Iterator[str]:
    if shares.foreground_j is None:
        return
    bounds = ""
    if shares.low_j is not None and shares.high_j is not None:
        bounds = f" ({format_joules(shares.low_j)} to {format_joules(shares.high_j)})"
    yield f"foreground {format_joules(shares.foreground_j)}{bounds}"
    yield f"background {format_joules(shares.background_j)}"
    if shares.other_j:
        yield f"others {format_joules(shares.other_j)}"
    if shares.idle_j is not None:
        yield f"idle {format_joules(shares.idle_j)}"


def _facts(load: LoadReport) -> Iterator[str]:
    yield _rounds(load)
    if load.round_mean_s is not None:
        yield f"{format_seconds(load.round_mean_s)} each"
    if load.gap_s is not None:
        yield f"gaps up to {format_seconds(load.gap_s)}"
    if load.cpu_s is not None:
        yield f"{load.cpu_s:.1f} s of CPU in all"
    yield f"ran {format_share(load.coverage_ratio)} of the window"
    if load.stalled_s:
        yield f"stopped by a signal for {format_seconds(load.stalled_s)}"
    if load.gpu_percent is not None:
        yield f"{load.gpu_percent:.0f} % of the GPU"
    if load.level is not None:
        yield level(load)
    if load.batch_sizes:
        yield f"batch {' → '.join(map(str, load.batch_sizes))}"
    if load.stop is not None:
        yield f"stopped: {load.stop}"
    if load.container is not None:
        yield f"isolated by: {load.container}"


def _rounds(load: LoadReport) -> str:
    if load.rounds_completed is None:
        return "rounds unknown"
    if load.rounds_failed:
        return failed_rounds(load)
    return f"{load.rounds_completed} {'round' if load.rounds_completed == 1 else 'rounds'}"


def failed_rounds(load: LoadReport) -> str:
    """Return how many of the load's rounds failed, and with which exit codes."""
    ended = "" if load.rounds_completed is None else f" of {load.rounds_completed + (load.rounds_failed or 0)}"
    return f"{load.rounds_failed}{ended} rounds failed (exit {exit_codes(load, failed=True)})"


def exit_codes(load: LoadReport, *, failed: bool = False) -> str:
    """Return the exit codes of its rounds, the most frequent first with its count; a dash before the first.

    Args:
        load: the load, from its record.
        failed: leave out those that passed.
    """
    counts = Counter(code for code in load.exit_codes if code or not failed)
    words = (f"{code} × {count}" if count > 1 else f"{code}" for code, count in counts.most_common())
    return ", ".join(words) or "–"


def level(load: LoadReport) -> str:
    """Return the level that a load was held at and the level that it reached; empty for a load that ran freely."""
    if load.level is None:
        return ""
    reached = "unknown" if load.level_reached is None else f"{load.level_reached:.3g}"
    error = "" if load.level_u95 is None else f" ± {load.level_u95:.2g}"
    asked = "unknown" if load.level_asked is None else f"{load.level_asked:g}"
    return f"{load.level} {asked} (reached {reached}{error})"
