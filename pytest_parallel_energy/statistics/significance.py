"""The test of the gate: Welch's t test, on logarithms for relative changes and on the values for absolute ones."""

from __future__ import annotations

import functools
import itertools
import math
import statistics
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from .grouping import sample_sd

__all__ = ["Welch", "pooled_t", "smallest_p", "spearman_p", "welch"]

_MOST_EXACT = 8
"""Pairs up to which all orders are counted: 8! = 40 320."""
_MOST_PERMUTED = 30
_PERMUTATIONS = 10_000
_SEED = 20_240_229
"""Random permutations are the same in each report of the same records."""


class Welch(Struct, frozen=True, kw_only=True):
    """The difference of two means, with what is needed to test it against any value."""

    difference: float
    """Mean of the second sample minus mean of the first."""
    error: float
    """Standard error of the difference, above 0."""
    degrees: float
    """Degrees of freedom (Welch-Satterthwaite)."""

    def p(self, shift: float = 0.0) -> float:
        """Return the two-sided p value of the hypothesis that the true difference is ``shift``."""
        from scipy import special

        return float(2 * special.stdtr(self.degrees, -abs(self.difference - shift) / self.error))

    def interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """Return the interval of the difference: it holds 0 exactly where ``p()`` is above ``alpha``."""
        from scipy import special

        half = float(special.stdtrit(self.degrees, 1 - alpha / 2)) * self.error
        return self.difference - half, self.difference + half


def welch(first: Sequence[float], second: Sequence[float]) -> Welch | None:
    """Return Welch's comparison of two samples; ``None`` below two values in one, or without any spread.

    Source: Welch 1947 (Biometrika 34:28); degrees of freedom by Satterthwaite 1946 (Biometrics Bulletin 2:110).
    """
    if min(len(first), len(second)) < 2:  # noqa: PLR2004 - one value has no spread
        return None
    errors = [sample_sd(values) ** 2 / len(values) for values in (first, second)]
    # below rounding: equal values whose mean is not exactly their value
    scale = max(abs(value) for value in (*first, *second))
    if math.sqrt(sum(errors)) <= 1e-12 * max(scale, 1e-300):
        return None
    degrees = sum(errors) ** 2 / sum(e * e / (len(v) - 1) for v, e in zip((first, second), errors, strict=True))
    difference = statistics.fmean(second) - statistics.fmean(first)
    return Welch(difference=difference, error=math.sqrt(sum(errors)), degrees=degrees)


def pooled_t(first: Sequence[float], second: Sequence[float]) -> Welch | None:
    """Return Student's comparison with one variance for both samples, one of which may have a single value.

    For the means of sessions: a single new session is as uncertain as each session of the baseline is.
    ``None`` without any spread. Source: NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.5.3.
    """
    samples = [values for values in (first, second) if len(values) > 1]
    degrees = len(first) + len(second) - 2
    squares = sum(sample_sd(values) ** 2 * (len(values) - 1) for values in samples)
    if degrees < 1 or squares <= 0:
        return None
    error = math.sqrt(squares / degrees * (1 / len(first) + 1 / len(second)))
    return Welch(difference=statistics.fmean(second) - statistics.fmean(first), error=error, degrees=degrees)


def smallest_p(n_first: int, n_second: int) -> float:
    """Return the two-sided p value of two constants that differ: 2 over the number of arrangements of their values.

    It is the exact permutation test at full separation, for samples without a spread of their own.

    >>> [round(smallest_p(n, n), 3) for n in (3, 4, 5)]
    [0.1, 0.029, 0.008]
    """
    return min(1.0, 2 / math.comb(n_first + n_second, n_first))


def spearman_p(first: Sequence[float], second: Sequence[float], rho: float) -> float:
    """Return the two-sided p value of Spearman's ``rho`` for four pairs or more.

    Exact over all orders up to 8 pairs, over 10 000 seeded random orders up to 30, by Student's t above
    (Kendall and Gibbons 1990, Rank Correlation Methods, chapter 4): t is far too small for few pairs.
    """
    import numpy as np
    from scipy import stats

    n = len(first)
    if n > _MOST_PERMUTED:
        return float(stats.spearmanr(first, second).pvalue)
    ranks = [stats.rankdata(values) - (n + 1) / 2 for values in (first, second)]
    norm = math.sqrt(float(ranks[0] @ ranks[0]) * float(ranks[1] @ ranks[1]))
    found = np.abs(ranks[1][_orders(n)] @ ranks[0]) / norm
    extreme = int((found >= abs(rho) - 1e-9).sum())
    return extreme / len(found) if n <= _MOST_EXACT else (extreme + 1) / (len(found) + 1)


@functools.lru_cache(maxsize=32)
def _orders(n: int) -> Any:
    """Return orders of ``n`` places as rows: all of them, or random ones where there are too many."""
    import numpy as np

    if n <= _MOST_EXACT:
        return np.array(list(itertools.permutations(range(n))))
    return np.random.default_rng(_SEED + n).random((_PERMUTATIONS, n)).argsort(axis=1)
