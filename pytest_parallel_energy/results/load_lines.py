"""The background loads in the terminal: one line an attempt and load, with what the record knows of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..units import format_seconds
from .layout import Line, format_share
from .record import BackgroundPart, Record

__all__ = ["render_loads"]

_MOST_LINES = 20
_LOW_RATIO = 0.9


def render_loads(records: Sequence[Record]) -> list[Line]:
    """A line for each load of each attempt, 20 at most and then how many more; none where there was no load."""
    lines = [line for record in records for load in record.background for line in _lines(record, load)]
    if len(lines) <= _MOST_LINES:
        return lines
    left_out = len(lines) - _MOST_LINES
    return [*lines[:_MOST_LINES], Line(text=f"… and {left_out} more, in records.jsonl")]


def _lines(record: Record, load: BackgroundPart) -> Iterator[Line]:
    low = load.coverage_ratio is None or load.coverage_ratio < _LOW_RATIO
    bad = load.rounds_failed or low or load.stop in {"forced", "lost"}
    test = record.nodeid.rpartition("::")[2]
    yield Line(text=f"{test}: {load.name}: {', '.join(_facts(load))}", severity="warn" if bad else "plain")


def _facts(load: BackgroundPart) -> Iterator[str]:
    yield _rounds(load)
    if load.round_mean_s is not None:
        yield f"{format_seconds(load.round_mean_s)} each"
    if load.gap_s is not None:
        yield f"gaps up to {format_seconds(load.gap_s)}"
    yield f"ran {format_share(load.coverage_ratio)} of the window"
    if load.cpu_s is not None:
        yield f"{load.cpu_s:.1f} s of CPU"
    if load.gpu_percent is not None:
        yield f"{load.gpu_percent:.0f} % of the GPU"
    if load.level is not None:
        yield _level(load)
    if load.batch_sizes:
        yield f"batch {' → '.join(map(str, load.batch_sizes))}"
    if load.stop is not None:
        yield f"stopped: {load.stop}"
    if load.container is not None:
        yield f"held by: {load.container}"


def _rounds(load: BackgroundPart) -> str:
    if load.rounds_completed is None:
        return "rounds unknown"
    failed = f" ({load.rounds_failed} failed)" if load.rounds_failed else ""
    return f"{load.rounds_completed} {'round' if load.rounds_completed == 1 else 'rounds'}{failed}"


def _level(load: BackgroundPart) -> str:
    reached = "unknown" if load.level_reached is None else f"{load.level_reached:.3g}"
    error = "" if load.level_u95 is None else f" ± {load.level_u95:.2g}"
    return f"{load.level} {load.level_asked:g} (reached {reached}{error})"
