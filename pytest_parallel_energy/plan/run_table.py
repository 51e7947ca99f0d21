"""The table that ``--energy-plan`` prints: what would run, how long, and what it would use."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from ..reports.costs import Factor
from ..units import JOULES_PER_KWH, format_joules, format_seconds
from .expectation import Expectation, Past, PlannedCell, detectable_ratio

__all__ = ["run_table"]

_UNKNOWN = "–"
_HEAD = ("cell", "runs", "time each", "energy each", "from", "time", "energy", "shows from")


def run_table(cells: Sequence[PlannedCell], past: Past, *, now: dt.datetime, price: Factor | None = None) -> list[str]:
    """Lines of text: one a cell, then the sums, the cost, and when it would be done.

    ``shows from`` is the smallest difference in joules between two such cells that the repetitions will show.
    Sums say how many runs they leave out because nothing is known of them.
    """
    expected = [(cell, past.expect(cell)) for cell in cells]
    rows = [_HEAD, *(_row(cell, one) for cell, one in expected)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = [
        "  ".join(
            text.ljust(width) if column == 0 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return [*lines, "", *_sums(expected, now, price)]


def _row(cell: PlannedCell, expected: Expectation) -> tuple[str, ...]:
    difference = detectable_ratio(expected.spread_ratio, cell.repetitions)
    runs = f"{cell.warmups}+{cell.repetitions}" if cell.warmups else f"{cell.repetitions}"
    return (
        cell.name,
        runs,
        format_seconds(expected.seconds),
        format_joules(expected.joules),
        f"{expected.n} of this {expected.source}" if expected.n else _UNKNOWN,
        format_seconds(None if expected.seconds is None else expected.seconds * cell.runs),
        format_joules(None if expected.joules is None else expected.joules * cell.runs),
        _UNKNOWN if difference is None else f"{difference:.1%}",
    )


def _sums(expected: Sequence[tuple[PlannedCell, Expectation]], now: dt.datetime, price: Factor | None) -> list[str]:
    runs = sum(cell.runs for cell, _ in expected)
    timed = [(cell.runs, one.seconds) for cell, one in expected if one.seconds is not None]
    metered = [(cell.runs, one.joules) for cell, one in expected if one.joules is not None]
    lines = [f"{len(expected)} cells, {runs} runs"]
    if timed:
        seconds = sum(count * each for count, each in timed)
        left_out = _left_out(runs - sum(count for count, _ in timed))
        done = now + dt.timedelta(seconds=seconds)
        lines.append(f"time: {format_seconds(seconds)}{left_out}; started now, done at {done:%Y-%m-%d %H:%M}")
    if metered:
        joules = sum(count * each for count, each in metered)
        left_out = _left_out(runs - sum(count for count, _ in metered))
        currency = price.unit.partition("/")[0] if price else ""
        cost = f", {joules / JOULES_PER_KWH * price.value:.2f} {currency} at {price}" if price else ""
        lines.append(f"energy: {format_joules(joules)} ({joules / JOULES_PER_KWH:.3g} kWh{cost}){left_out}")
    if not timed:
        lines.append("nothing is known of them: no earlier run in the results folder trained these workloads")
    return lines


def _left_out(runs: int) -> str:
    return f", without {runs} runs of which nothing is known" if runs else ""
