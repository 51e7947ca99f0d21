"""Energy of spans inside a window that no reading of the sensors marks: the power trace is cut at their ends.

Between two samples only the energy as a whole is known. A cut divides it in proportion to time. Because no power is
negative, the error is at most the larger of the two parts: a shorter sampling period makes it smaller.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .assemble import Measurement

__all__ = ["CutEnergy", "cut_trace"]


class CutEnergy(NamedTuple):
    """The energy of one span; ``None`` where the energy of the window is unknown."""

    joules: float | None
    u95_j: float | None
    """Half-width of the 95 % interval: the window's own in proportion, and the bounds of both cuts."""


class _Cut(NamedTuple):
    joules: float
    """From the window's opening to the cut."""
    bound_j: float


def cut_trace(measured: Measurement, spans_s: Iterable[tuple[float, float]]) -> tuple[CutEnergy, ...]:
    """Return the energy of spans, each from one end to the other in seconds since the window opened.

    Ends outside of the window count as the window's ends. The parts of an interval are independent and add in
    quadrature (JCGM 100:2008, 5.1.2): the window's half-width in proportion to the energy, and at each end that is not
    the window's, the larger part of its sampling period and what the counters show late (their update interval times
    the mean power).
    """
    energy = measured.energy
    spans = list(spans_s)
    if energy.total_j is None or not energy.window_s:
        return tuple(CutEnergy(None, None) for _ in spans)
    ends_s, joules = _steps(measured, energy.total_j, energy.window_s)
    late_j = sum(
        (domain.update_interval_s or 0.0) * (domain.mean_w or 0.0) for domain in energy.domains if domain.counted
    )
    ratio = (energy.total_u95_j or 0.0) / energy.total_j if energy.total_j > 0 else 0.0
    found = []
    for start_s, end_s in spans:
        first, last = (_cut(ends_s, joules, at_s, late_j) for at_s in (start_s, end_s))
        span_j = max(0.0, last.joules - first.joules)
        found.append(CutEnergy(span_j, math.hypot(ratio * span_j, first.bound_j, last.bound_j)))
    return tuple(found)


def _steps(measured: Measurement, total_j: float, window_s: float) -> tuple[list[float], list[float]]:
    """Return the ends of the sampling periods of a window, and the joules from its opening up to each.

    The last period ends with the window, and has what the trace leaves of the total. A period without a reading of a
    counted domain is joined to the next one.
    """
    counted = [number for number, domain in enumerate(measured.energy.domains) if domain.counted]
    ends_s, joules = [0.0], [0.0]
    before_s = 0.0
    pending = False
    for point in measured.trace:
        watts = [point.watts[number] for number in counted]
        known = [value for value in watts if value is not None]
        length_s, before_s = point.offset_s - before_s, point.offset_s
        if len(known) < len(watts) or point.offset_s > window_s:
            pending = True
            continue
        if pending:
            continue  # the energy of a gap is not in the trace: what follows is known as a whole only
        ends_s.append(point.offset_s)
        joules.append(min(total_j, joules[-1] + max(0.0, sum(known)) * length_s))
    return [*ends_s, max(window_s, ends_s[-1])], [*joules, total_j]


def _cut(ends_s: Sequence[float], joules: Sequence[float], at_s: float, late_j: float) -> _Cut:
    if at_s <= 0:
        return _Cut(0.0, 0.0)
    if at_s >= ends_s[-1]:
        return _Cut(joules[-1], 0.0)
    place = bisect.bisect_left(ends_s, at_s)
    (from_s, to_s), (from_j, to_j) = ends_s[place - 1 : place + 1], joules[place - 1 : place + 1]
    share = (at_s - from_s) / (to_s - from_s)
    inside_j = to_j - from_j
    unknown = max(share, 1 - share) if 0 < share < 1 else 0.0
    return _Cut(from_j + share * inside_j, unknown * inside_j + late_j)
