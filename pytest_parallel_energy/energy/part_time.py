"""Part-time sensors: they see a part of each update interval, and a load that repeats may hide in the rest.

A100 and H100 boards average 25 ms of every 100 ms. Under a load of the same period they are off by a standard deviation
of 19 to 29 % however often the measurement is repeated; four shifts of the phase leave about 10 %, eight about 4 %
(Yang, Adamek, Armour, SC24, arXiv 2312.02741).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from .assumptions import SLOWEST_UPDATE_S
from .sensor import SensorDescription

__all__ = [
    "HIDDEN_DOWN_RATIO",
    "HIDDEN_UP_RATIO",
    "SPREAD_RATIO",
    "Sight",
    "is_part_time",
    "sight_of",
    "sight_of_spread",
    "step_coverage_ratio",
]

HIDDEN_UP_RATIO, HIDDEN_DOWN_RATIO = 2.0, 0.4
"""Bounds of what a load that repeats in step with the sensor may hide, over what is seen: one that works for half of
the time at five times its idle power is seen at either, and takes 3 or 0.6 times as much."""
SPREAD_RATIO = 0.29
"""The published spread under such a load stands in for one that too few readings show."""
_VISIBLE_RATIO = 0.19
"""A load that varies by more than the least of the published figures, and without a pattern, is seen as it is."""
_LEAST_DRAWS = 12
_MOST_LAG = 8
"""Eight phases leave 4 %: a longer pattern hides less than the gain error of a board."""
_ALIKE_RATIO = 0.1
_PHASE_BINS = 200
_MOSTLY_UNSEEN_RATIO = 0.75
"""The published figures are of boards that see a quarter."""
_LEAST_COVERAGE_RATIO = 0.9
"""Below this share of the step's phases seen, a window counts as aliased."""


class Sight(NamedTuple):
    """The part of a window that a part-time sensor saw."""

    draws: int
    """Updates or readings inside."""
    sigma_ratio: float
    """Standard deviation of their power, over the mean power."""
    hidden_ratio: float = 0.0
    """How much of what a repeating load can hide may be hidden here, 0 to 1."""
    coverage_ratio: float | None = None
    """Share of the phases of the known step that was seen; ``None`` where the time of a step is not known."""


def is_part_time(about: SensorDescription) -> bool:
    """Return whether a sensor is known to see less than its whole update interval."""
    update_s = SLOWEST_UPDATE_S if about.update_interval_s is None else about.update_interval_s
    return about.averaging_s is not None and about.averaging_s < update_s


def sight_of(powers_w: Sequence[float], coverage_ratio: float | None) -> Sight:
    """Return what a part-time sensor saw, from the power at each update, and how much may be hidden.

    With fewer than ten readings, with readings that hardly vary, or with a pattern that repeats after a few of them, a
    load that repeats in step with the sensor cannot be told from a steady one.
    """
    if not powers_w:
        return sight_of_spread(0, 0.0, 0.0, coverage_ratio)
    import statistics  # it loads fractions, decimal and random, for which every process with a meter would pay

    draws, mean_w = len(powers_w), _mean(powers_w)
    sight = sight_of_spread(draws, mean_w, statistics.stdev(powers_w) if draws > 1 else 0.0, coverage_ratio)
    if coverage_ratio is not None or sight.hidden_ratio > 0:
        return sight
    if _visible_w(powers_w) < _VISIBLE_RATIO * mean_w:
        return sight._replace(hidden_ratio=1.0)
    lag = _pattern(powers_w, sight.sigma_ratio * mean_w)
    if lag is not None:
        return sight._replace(hidden_ratio=1 / lag)
    # each is an upper estimate: one where the power changes slowly, the other where neighbours differ on purpose
    batches, batch_ratio = _successive(_batches(powers_w), mean_w)
    _, reading_ratio = _successive(powers_w, mean_w)
    few = batch_ratio / math.sqrt(batches) < reading_ratio / math.sqrt(draws)
    return Sight(batches, batch_ratio) if few else Sight(draws, reading_ratio)


def sight_of_spread(draws: int, mean_w: float, sigma_w: float, coverage_ratio: float | None) -> Sight:
    """Return the same as :func:`sight_of` from mean and spread of the readings: no pattern is sought."""
    sigma_ratio = sigma_w / mean_w if mean_w > 0 else 0.0
    if coverage_ratio is not None:
        unseen_ratio = 1.0 - coverage_ratio if coverage_ratio < _LEAST_COVERAGE_RATIO else 0.0
        return Sight(draws, sigma_ratio, min(1.0, unseen_ratio / _MOSTLY_UNSEEN_RATIO), coverage_ratio)
    visible = draws >= _LEAST_DRAWS and sigma_ratio >= _VISIBLE_RATIO
    return Sight(draws, sigma_ratio, 0.0 if visible else 1.0)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _visible_w(powers_w: Sequence[float]) -> float:
    """Return the standard deviation that belongs to the 5 to 95 % range of the readings, without the outermost."""
    ordered = sorted(powers_w)
    cut = len(ordered) // 20
    return (ordered[-1 - cut] - ordered[cut]) / (2 * 1.645)


def _batches(powers_w: Sequence[float]) -> list[float]:
    """Return the means of consecutive readings: they assume nothing on how the readings depend on each other.

    Schmeiser, Operations Research 30 (1982) 556.
    """
    size = round(math.sqrt(len(powers_w)))
    return [_mean(powers_w[at : at + size]) for at in range(0, len(powers_w) - size + 1, size)]


def _successive(values_w: Sequence[float], mean_w: float) -> tuple[int, float]:
    """Return the number of values, and their spread over the mean power, from the differences of neighbours.

    What changes slowly is no error of a sensor that looks every 100 ms (von Neumann et al., Ann. Math. Stat. 12 (1941)
    153).
    """
    squares_w2 = [(later - earlier) ** 2 for earlier, later in itertools.pairwise(values_w)]
    return len(values_w), math.sqrt(_mean(squares_w2) / 2) / mean_w


def _pattern(powers_w: Sequence[float], sigma_w: float) -> int | None:
    """Return the number of readings after which they repeat; ``None`` where they do not within a few."""
    for lag in range(1, min(_MOST_LAG, len(powers_w) // 2) + 1):
        squares_w2 = [(later - earlier) ** 2 for earlier, later in zip(powers_w, powers_w[lag:], strict=False)]
        if _mean(squares_w2) < _ALIKE_RATIO * 2 * sigma_w**2:
            return lag
    return None


def step_coverage_ratio(*, update_s: float, averaging_s: float, step_s: float, window_s: float) -> float:
    """Return the share of a step's phases that the sensor's averaging windows touch during a window, 0 to 1.

    The averaging windows, one per update, are folded modulo the step time. A sensor that averages 25 ms of every 100 ms
    (A100, H100) under a load that repeats every 100 ms is off by 19 to 29 % however often the window is repeated: the
    error does not average out. Shifting the phase helps: four shifts leave about 10 %, eight about 4 % (Yang, Adamek,
    Armour, SC24, arXiv 2312.02741).

    >>> step_coverage_ratio(update_s=0.1, averaging_s=0.025, step_s=0.1, window_s=60.0)
    0.25
    >>> step_coverage_ratio(update_s=0.1, averaging_s=0.025, step_s=0.130, window_s=60.0)
    1.0
    """
    if averaging_s >= min(update_s, step_s):
        return 1.0
    seen = bytearray(_PHASE_BINS)
    width = max(1, round(averaging_s / step_s * _PHASE_BINS))
    # more windows than this only repeat phases that differ by less than a bin
    for number in range(min(math.ceil(window_s / update_s), _PHASE_BINS * _PHASE_BINS)):
        first = round(number * update_s % step_s / step_s * _PHASE_BINS)
        for place in range(first, first + width):
            seen[place % _PHASE_BINS] = 1
        if all(seen):
            break
    return sum(seen) / _PHASE_BINS
