"""Tests of two samples, and the size of an effect: exact for few values, and quick for ten thousand cells."""

from __future__ import annotations

import functools
import itertools
import math
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

from .grouping import sample_sd

__all__ = ["cliffs_delta", "mann_whitney_p", "permutation_p", "welch_p"]

_MOST_PERMUTATIONS = 10_000
_MOST_PERMUTED = 200
"""Values above which a permutation test of means is Welch's test to two digits, and is left out."""
_SEED = 20_240_229
"""Random permutations are the same in each report of the same records."""


def welch_p(first: Sequence[float], second: Sequence[float]) -> float:
    """Welch's test, two-sided, with Welch-Satterthwaite degrees of freedom; not for two constants."""
    from scipy import special

    errors = [sample_sd(values) ** 2 / len(values) for values in (first, second)]
    degrees = sum(errors) ** 2 / sum(e * e / (len(v) - 1) for v, e in zip((first, second), errors, strict=True))
    t = (statistics.fmean(first) - statistics.fmean(second)) / math.sqrt(sum(errors))
    return float(2 * special.stdtr(degrees, -abs(t)))


def mann_whitney_p(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Two-sided: exact for up to 30 values a side without ties, and for up to 10 000 arrangements with them."""
    pooled = (*first, *second)
    if len(set(pooled)) == 1:
        return 1.0
    ranks = _ranks(pooled)
    ties = len(set(pooled)) < len(pooled)
    if ties and math.comb(len(pooled), len(first)) <= _MOST_PERMUTATIONS:
        return permutation_p(ranks[: len(first)], ranks[len(first) :])
    u = sum(ranks[: len(first)]) - len(first) * (len(first) + 1) / 2
    if ties or max(len(first), len(second)) > 30:  # noqa: PLR2004 - the same to 3 digits by then
        return _asymptotic_p(u, ranks, (len(first), len(second)))
    counts = _u_counts(len(first), len(second))
    below = round(min(u, len(first) * len(second) - u))
    return min(1.0, 2 * sum(counts[: below + 1]) / sum(counts))


def _asymptotic_p(u: float, ranks: Sequence[float], sizes: tuple[int, int]) -> float:
    """The normal approximation with correction for ties and continuity (Lehmann 1975, Nonparametrics, 1.4)."""
    n, m = sizes
    total = n + m
    tied = sum(count**3 - count for count in Counter(ranks).values())
    sd = math.sqrt(n * m / 12 * ((total + 1) - tied / (total * (total - 1))))
    z = max(abs(u - n * m / 2) - 0.5, 0.0) / sd
    return math.erfc(z / math.sqrt(2))


@functools.lru_cache(maxsize=256)
def _u_counts(n: int, m: int) -> tuple[int, ...]:
    """In how many arrangements of ``n`` and ``m`` different values U is 0, 1, … n * m (Mann and Whitney 1947)."""
    counts = [1] + [0] * (n * m)
    for i in range(1, n + 1):  # times (1 - q**(m + i)) / (1 - q**i): the Gaussian binomial coefficient
        for k in range(n * m, m + i - 1, -1):
            counts[k] -= counts[k - m - i]
        for k in range(i, n * m + 1):
            counts[k] += counts[k - i]
    return tuple(counts)


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; equal values share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    for _, group in itertools.groupby(order, key=values.__getitem__):
        members = list(group)
        for index in members:
            ranks[index] = start + (len(members) + 1) / 2
        start += len(members)
    return ranks


def permutation_p(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Of the difference of means: the sum of the first sample tells arrangements apart just as well."""
    import numpy as np

    size, total = len(first), len(first) + len(second)
    if total > _MOST_PERMUTED:
        return None
    pooled = np.asarray([*first, *second], dtype=float)
    exact = math.comb(total, size) <= _MOST_PERMUTATIONS
    sums = _arrangements(total, size, exact=exact) @ pooled
    centre = pooled.sum() * size / total
    # a hair of tolerance: arrangements that are equal but for rounding count as equal
    observed = abs(pooled[:size].sum() - centre) - 1e-10 * abs(pooled).sum()
    extreme = int((abs(sums - centre) >= observed).sum())
    return extreme / len(sums) if exact else (extreme + 1) / (len(sums) + 1)


@functools.lru_cache(maxsize=4)
def _arrangements(total: int, size: int, *, exact: bool) -> Any:
    """One row an arrangement: 1 where a value belongs to the first sample. A product with the values gives all sums."""
    import numpy as np

    if exact:
        chosen = np.array(list(itertools.combinations(range(total), size)))
    else:
        chosen = np.random.default_rng(_SEED).random((_MOST_PERMUTATIONS - 1, total)).argsort(axis=1)[:, :size]
    rows = np.zeros((len(chosen), total))
    np.put_along_axis(rows, chosen, 1.0, axis=1)
    return rows


def cliffs_delta(first: Sequence[float], second: Sequence[float]) -> float:
    """From the sum of ranks, so that the cost does not grow with the product of the sizes."""
    ranks = _ranks((*first, *second))
    larger = sum(ranks[len(first) :]) - len(second) * (len(second) + 1) / 2  # Mann-Whitney's U
    return 2 * larger / (len(first) * len(second)) - 1
