"""The repeats that the gate needs: power of its own test, for its family and its threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from .grouping import sample_sd
from .stats import ALPHA

__all__ = ["Rule", "detectable_change", "gate_power", "pooled_sd", "repeats_needed", "upper_sd"]

POWER = 0.8
"""Probability with which the repeats that are asked for show the alternative."""
ALTERNATIVE = 2.0
"""The alternative of which the repeats are counted, in thresholds. A true change of exactly the threshold passes a rule
on the estimate in half of all runs at best, however many repeats there are."""
_MOST_REPEATS = 10_000
_SPREAD_BOUND = 0.8
"""One-sided confidence of the spread that the repeats are counted for: an estimate of the spread from few values is too
small in more than half of all cases, and so would be the number of repeats."""


class Rule(Struct, frozen=True, kw_only=True):
    """The rule whose power is asked for."""

    limit: float = 0.0
    """The threshold, in the unit of the change: of logarithms for relative changes."""
    near_end: bool = True
    """Whether the threshold is of the interval's near end, not of the point estimate."""
    family: int = 1
    """Number of tests that are corrected together."""


def gate_power(n: int, sd: float, change: float, rule: Rule) -> float:
    """Return a lower bound of the probability that the gate shows a true ``change`` with ``n`` repeats in each run.

    The test alone has the power of a noncentral t with ``2 n - 2`` degrees of freedom (Cohen 1988, Statistical Power
    Analysis, 2.5) at the level of Holm's first step, 0.05 over the family. Where the threshold is of the point
    estimate, the estimate must also pass it; both together by Bonferroni's inequality.

    Args:
        n: repeats in each of the two runs.
        sd: standard deviation of one repeat, in the unit of ``change``.
        change: true difference of the means, above the rule's limit.
        rule: the threshold and the family.
    """
    from scipy import special

    if n < 2:  # noqa: PLR2004 - one value has no spread
        return 0.0
    if sd <= 0:
        return 1.0
    error, degrees = sd * math.sqrt(2 / n), 2 * n - 2
    critical = float(special.stdtrit(degrees, 1 - ALPHA / (2 * rule.family)))
    shifted = (change - rule.limit if rule.near_end else change) / error
    missed = float(special.nctdtr(degrees, shifted, critical))
    missed = missed if math.isfinite(missed) else float(special.ndtr(critical - shifted))
    if not rule.near_end:
        missed += float(special.ndtr((rule.limit - change) / error))
    return max(0.0, 1 - missed)


def repeats_needed(sd: float, rule: Rule) -> int | None:
    """Return the repeats in each run that show a change of twice the limit with a probability of 0.8 or more.

    ``None`` where 10 000 repeats are too few. Arguments as for :func:`gate_power`.
    """

    def enough(n: int) -> bool:
        return gate_power(n, sd, ALTERNATIVE * rule.limit, rule) >= POWER

    high = 2
    while not enough(high):
        high *= 2
        if high > _MOST_REPEATS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def detectable_change(sd: float, n: int, family: int = 1, *, limit: float = 0.0, near_end: bool = True) -> float | None:
    """Return the smallest true change that the test shows with probability 0.8; ``None`` below two repeats.

    In the unit of ``sd``.

    Args:
        sd: standard deviation of one repeat.
        n: repeats in each of the two runs.
        family: number of tests that are corrected together.
        limit: threshold of the gate, which the change must pass as well; 0 for the test alone.
        near_end: whether the near end of the interval must pass it, not the estimate.
    """
    if n < 2:  # noqa: PLR2004 - one value has no spread
        return None
    if sd <= 0:
        return limit
    low, high, rule = limit, limit + sd, Rule(limit=limit, near_end=near_end, family=family)
    while gate_power(n, sd, high, rule) < POWER:
        low, high = high, 2 * high
        if high > limit + 1e6 * sd:
            return None
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if gate_power(n, sd, middle, rule) < POWER else (low, middle)
    return high


def pooled_sd(samples: Sequence[Sequence[float]]) -> tuple[float, int] | None:
    """Return the standard deviation inside the samples and its degrees of freedom; ``None`` without two values."""
    known = [values for values in samples if len(values) > 1]
    degrees = sum(len(values) - 1 for values in known)
    if not degrees:
        return None
    return math.sqrt(sum(sample_sd(values) ** 2 * (len(values) - 1) for values in known) / degrees), degrees


def upper_sd(sd: float, degrees: int) -> float:
    """Return the upper 80 % bound of a standard deviation (NIST/SEMATECH e-Handbook, 7.2.3.1: chi-squared)."""
    from scipy import special

    return sd * math.sqrt(degrees / float(special.chdtri(degrees, _SPREAD_BOUND)))
