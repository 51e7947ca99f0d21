"""The table that ``--energy-plan`` prints: the runs, how long they take, and how much energy they use."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Sequence

from msgspec import Struct

from ..reports.costs import Factor
from ..reports.layout import Column, fit_columns, shorten_apart, wrap
from ..statistics.power import detectable_change, pooled_sd, upper_sd
from ..statistics.quantities import Threshold
from ..statistics.stats import have_scipy
from ..units import JOULES_PER_KWH, count_of, format_joules, format_seconds
from .expectation import PROJECTED, Expectation, Past, PlannedCell

__all__ = ["PlanConditions", "run_table"]

_UNKNOWN = "–"
_LEAST_NAME = 20


class PlanConditions(Struct, frozen=True, kw_only=True):
    """Settings that a plan depends on."""

    now: dt.datetime
    width: int = 100
    """Characters of the terminal."""
    price: Factor | None = None
    idle_s: float = 0.0
    """Length of the idle leg, once per run."""
    cooldown_s: float = 0.0
    """Seconds of cool-down before each measured test."""
    cooldown_limit_s: float = 0.0
    """Most seconds of a cool-down whose length the machine decides (``temp:50``, ``idle``)."""
    thresholds: tuple[Threshold, ...] = ()
    """Thresholds of the gate."""


class _Time(Struct, frozen=True, kw_only=True):
    """Seconds, with the rough limits of the error."""

    least_s: float = 0.0
    seconds: float = 0.0
    most_s: float = 0.0

    def __add__(self, other: _Time) -> _Time:
        return _Time(
            least_s=self.least_s + other.least_s,
            seconds=self.seconds + other.seconds,
            most_s=self.most_s + other.most_s,
        )


def run_table(cells: Sequence[PlannedCell], past: Past, conditions: PlanConditions) -> list[str]:
    """Return lines of text: one per cell, then the sums, the cost, and when the run would be done.

    ``shows from`` is the smallest true change of the joules that a comparison of two such runs shows with a probability
    of 0.8: by the gate's own test, corrected for all cells and thresholds, and above its threshold.
    """
    expected = [(cell, past.expect(cell)) for cell in cells]
    return [*_rows(expected, conditions), "", *_sums(expected, conditions)]


def _rows(expected: Sequence[tuple[PlannedCell, Expectation]], conditions: PlanConditions) -> Iterator[str]:
    def column(head: str, texts: Sequence[str], *, optional: bool = True) -> Column:
        return Column(head=head, texts=tuple(texts), optional=optional)

    found = [expectation for _, expectation in expected]
    runs = [f"{cell.warmups}+{cell.repetitions}" if cell.warmups else f"{cell.repetitions}" for cell, _ in expected]
    columns = [
        column("runs", runs, optional=False),
        column("time each", [format_seconds(each.seconds) for each in found], optional=False),
        column("energy each", [format_joules(each.joules) for each in found], optional=False),
        column("quality", [f"{each.quality or _UNKNOWN}" for each in found]),
        column("shows from", _shown_from(expected, conditions.thresholds)),
        column("known from", [f"{each.n} of {each.source}" if each.n else _UNKNOWN for each in found]),
    ]
    longest = max([len("cell"), *(len(cell.name) for cell, _ in expected)])
    kept, _ = fit_columns(columns, conditions.width - min(longest, _LEAST_NAME))
    room = max(conditions.width - sum(column.width + 2 for column in kept), _LEAST_NAME)
    names = min(longest, room)
    yield "  ".join(["cell".ljust(names), *(column.cell(column.head) for column in kept)]).rstrip()
    shown = shorten_apart([cell.name for cell, _ in expected], names)
    for index in range(len(expected)):
        texts = [shown[index].ljust(names), *(column.cell(column.texts[index]) for column in kept)]
        yield "  ".join(texts).rstrip()


def _shown_from(expected: Sequence[tuple[PlannedCell, Expectation]], thresholds: Sequence[Threshold]) -> list[str]:
    """Return the smallest change that each cell's repetitions show, in percent; a dash where the spread is unknown."""
    family = max(len(expected) * max(len(thresholds), 1), 1)
    gate = next((each for each in thresholds if each.quantity == "total_j" and not each.absolute), None)
    limit, near_end = (0.0, True) if gate is None else (math.log1p(gate.limit), gate.near_end)
    texts = []
    for cell, expectation in expected:
        spread = pooled_sd([expectation.logs_j]) if have_scipy() else None
        change = None
        if spread is not None:
            sd = upper_sd(*spread)
            change = detectable_change(sd, cell.repetitions, family, limit=limit, near_end=near_end)
        texts.append(_UNKNOWN if change is None else f"{math.expm1(change) * 100:.1f} %")
    return texts


def _sums(expected: Sequence[tuple[PlannedCell, Expectation]], conditions: PlanConditions) -> Iterator[str]:
    runs = sum(cell.runs for cell, _ in expected)
    timed = sum(cell.runs for cell, each in expected if each.seconds is not None)
    metered = [(cell.runs, each.joules) for cell, each in expected if each.joules is not None]
    yield f"{count_of(len(expected), 'cell')}, {count_of(runs, 'run')}"
    if not timed:
        unknown = "nothing is known of them: no earlier run in the results folder trained these workloads"
        nothing = (
            "no experiments were collected: name the folder or file of their tests, or write first ones with "
            "'pytest-parallel-energy init my-experiment'"
        )
        yield from wrap(unknown if runs else nothing, conditions.width)
        return
    for sentence in _time_sentences(expected, conditions, runs - timed):
        yield from wrap(sentence, conditions.width, indent="    ")
    projected = sum(cell.runs for cell, each in expected if each.source == PROJECTED)
    if projected:
        sentence = (
            f"{projected} of the runs are projected from the measured epochs of trainings with other numbers of "
            "epochs; none of that length was measured"
        )
        yield from wrap(sentence, conditions.width, indent="    ")
    if metered:
        joules, price = sum(count * each for count, each in metered), conditions.price
        currency = price.unit.partition("/")[0] if price else ""
        cost = f", {joules / JOULES_PER_KWH * price.value:.2f} {currency} at {price}" if price else ""
        left_out = runs - sum(count for count, _ in metered)
        qualities = ", ".join(sorted({f"{each.quality}" for _, each in expected if each.joules is not None}))
        sentence = (
            f"energy in the measurement windows: {format_joules(joules)} ({joules / JOULES_PER_KWH:.3g} kWh{cost}), "
            f"{qualities}{_left_out(left_out)}"
        )
        yield from wrap(sentence, conditions.width, indent="    ")


def _time_sentences(
    expected: Sequence[tuple[PlannedCell, Expectation]], conditions: PlanConditions, unknown: int
) -> Iterator[str]:
    total = _time_of_runs(expected) + (overhead := _overhead(expected, conditions))
    parts = f", of which {format_seconds(overhead.seconds)} are cool-down and the idle leg"
    about = f"time: about {format_seconds(total.seconds)}{parts if overhead.seconds else ''}{_left_out(unknown)}"
    if unknown:
        yield f"{about}; no end is given, because these runs take unknown time"
    else:
        earliest, latest = (conditions.now + dt.timedelta(seconds=end) for end in (total.least_s, total.most_s))
        yield f"{about}; started now, done between {earliest:%Y-%m-%d %H:%M} and {latest:%Y-%m-%d %H:%M}"
    if conditions.cooldown_limit_s:
        limit = format_seconds(conditions.cooldown_limit_s)
        yield f"not counted: the cool-down before each run, which may take up to {limit}"
    yield "not counted: waiting while another session measures on this host"


def _time_of_runs(expected: Sequence[tuple[PlannedCell, Expectation]]) -> _Time:
    total = _Time()
    for cell, each in expected:
        if each.seconds is not None:
            seconds, factor = cell.runs * each.seconds, 1 + each.error_ratio
            total += _Time(least_s=seconds / factor, seconds=seconds, most_s=seconds * factor)
    return total


def _overhead(expected: Sequence[tuple[PlannedCell, Expectation]], conditions: PlanConditions) -> _Time:
    """Return the time outside of the attempts, which the records of earlier runs do not contain.

    The start of a load and its leg are inside the attempts of earlier runs with loads. No leg is measured where all
    earlier energies are estimates.
    """
    known = [each.quality for _, each in expected if each.quality is not None]
    has_legs = not known or any(quality != "estimated" for quality in known)
    runs = sum(cell.runs for cell, _ in expected)
    seconds = conditions.cooldown_s * runs + (conditions.idle_s if has_legs else 0.0)
    return _Time(least_s=seconds, seconds=seconds, most_s=seconds + conditions.cooldown_limit_s * runs)


def _left_out(runs: int) -> str:
    return f", without {runs} runs of which nothing is known" if runs else ""
