"""The gate: when a comparison closes it, and whether it could close at all."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence

from ..records.record import Record
from .compare import Comparison, Row
from .grouping import Cell, group_cells
from .judgement import Verdict
from .power import Rule, detectable_change, pooled_sd, repeats_needed, upper_sd
from .quantities import Threshold, value_of
from .session_effects import WITHIN_ONE_SESSION

__all__ = ["announce_weak_gate", "closing_reasons"]


def closing_reasons(comparison: Comparison, *, inconclusive: str = "warn") -> tuple[str, ...]:
    """Return why the gate closes, one sentence per reason; none where it stays open.

    Args:
        comparison: of the run with what it is compared with.
        inconclusive: ``fail`` closes the gate for verdicts that say nothing; ``warn`` leaves it open.
    """
    return tuple(_reasons(comparison, inconclusive))


def _reasons(comparison: Comparison, inconclusive: str) -> Iterator[str]:
    if worse := comparison.regressions:
        names = ", ".join(dict.fromkeys(row.name for row in worse[:3]))
        single = WITHIN_ONE_SESSION if all(row.sessions == (1, 1) for row in worse) else ""
        yield f"{_count(len(worse), 'regression')} ({names}{', …' if len(worse) > 3 else ''}){single}"  # noqa: PLR2004
    if missing := comparison.only_old:
        names = f"{', '.join(missing[:3])}{', …' if len(missing) > 3 else ''}"  # noqa: PLR2004
        yield f"{_count(len(missing), 'cell')} of {comparison.old_name} not measured in {comparison.new_name} ({names})"
    compared = {row.quantity for row in comparison.rows if _was_compared(row)}
    if not compared:
        yield f"nothing to compare between {comparison.old_name} and {comparison.new_name}"
    elif lacking := [name for name in dict.fromkeys(row.quantity for row in comparison.rows) if name not in compared]:
        yield f"no cell has a comparable value of {', '.join(lacking)} in both runs"
    elif inconclusive == "fail" and comparison.inconclusive:
        yield _count(len(comparison.inconclusive), "inconclusive verdict")


def _was_compared(row: Row) -> bool:
    return row.verdict is not Verdict.NOT_COMPARABLE and bool(row.old_values) and bool(row.new_values)


def announce_weak_gate(old: Sequence[Record], thresholds: Sequence[Threshold], repeats: int) -> tuple[str, ...]:
    """Return what the gate cannot show with so many repeats, one sentence per threshold, before the run starts.

    A gate cannot close for an energy with one repeat. With more it can, for changes above a size that follows from the
    spread of the older run and from the number of tests; the sentence says which, where that is above twice the
    threshold.

    Args:
        old: the records of the run or baseline that the coming run is compared with.
        thresholds: of the gate.
        repeats: that each cell of the coming run will have.
    """
    cells = [cell for cell in group_cells(old) if cell.n]
    family = max(len(cells) * len(thresholds), 1)
    return tuple(
        sentence
        for threshold in thresholds
        for sentence in _weakness(_values(cells, threshold), threshold, repeats, family)
    )


def _values(cells: Sequence[Cell], threshold: Threshold) -> list[list[float]]:
    """Return the known values of each cell."""
    found = []
    for cell in cells:
        values = [value_of(record, threshold.quantity) for record in cell.passed]
        found.append([value for value in values if value is not None])
    return found


def _weakness(values: Sequence[Sequence[float]], threshold: Threshold, repeats: int, family: int) -> Iterator[str]:
    fewest = min([repeats, *(len(found) for found in values if found)])
    scaled = values
    if not threshold.absolute:
        scaled = [[math.log(abs(value)) for value in found if value] for found in values]
    spreads = [spread for found in scaled if (spread := pooled_sd([found])) is not None]
    limit = threshold.limit if threshold.absolute else math.log1p(threshold.limit)
    sd = statistics.median(upper_sd(*spread) for spread in spreads) if spreads else None
    need = None if sd is None else repeats_needed(sd, Rule(limit=limit, family=family, near_end=threshold.near_end))
    advice = f"--energy-repeats={need}" if need else "--energy-repeats=5 or more"
    if fewest < 2:  # noqa: PLR2004 - one value has no spread
        yield (
            f"the gate {threshold} cannot fail: a verdict needs two repeats or more in both runs, and one has "
            f"{fewest} ({advice} in both would do)"
        )
        return
    shown = None if sd is None else detectable_change(sd, fewest, family)
    if shown is not None and need is not None and shown > 2 * limit:
        size = f"{shown:.3g}" if threshold.absolute else f"{math.expm1(shown) * 100:.3g} %"
        yield (
            f"the gate {threshold} is weak: with {fewest} repeats and {_count(family, 'test')} it shows changes "
            f"from about {size} on ({advice} in both runs would show twice the threshold)"
        )


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
