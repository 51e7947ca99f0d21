"""Statistics of repeats, with SciPy and NumPy from the extra ``report``; without it, what the standard library can do.

Random parts (bootstrap, large permutation tests) draw from a generator with a fixed seed: the same records give the
same report.
"""

from __future__ import annotations

import functools
import importlib.util
import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from .grouping import sample_sd, t_quantile
from .significance import spearman_p

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "ALPHA",
    "INSTALL_HINT",
    "Correlation",
    "Summary",
    "correlate",
    "describe",
    "have_scipy",
    "holm",
]

ALPHA = 0.05
"""Level of the tests, after Holm's correction."""
INSTALL_HINT = "tests and intervals need SciPy: pip install scipy"
_RESAMPLES = 2000
_MOST_RESAMPLED = 200
"""Values above which the normal approximation stands in for resampling: the same to two digits, at linear cost."""
_LEAST_RESAMPLED = 8
"""Values below which Student's interval stands in: a bootstrap mean never leaves the sample's own range, which holds
the true mean of four values only in 1 - 2 * 0.5**4 = 87.5 % of samples."""
_SEED = 20_240_229
_OUTLIER_Z = 3.5
"""Modified z-score above which a value is flagged (Iglewicz and Hoaglin 1993, How to Detect and Handle Outliers)."""
_MAD_TO_SD = 0.6745
"""Median absolute deviation of a normal distribution, in standard deviations (same source)."""
_MEAN_DEVIATION_TO_SD = 1.253314
"""Standard deviation of a normal distribution in mean absolute deviations: the square root of pi / 2 (same source)."""
_LEAST_FOR_SHAPE = 4
"""Values below which neither outliers nor a shape can be told."""


@functools.cache
def have_scipy() -> bool:
    """Return whether the extra ``report`` is installed; nothing is imported to know it."""
    return importlib.util.find_spec("scipy") is not None and importlib.util.find_spec("numpy") is not None


class Summary(Struct, frozen=True, kw_only=True):
    """Summary of one sample; a field is ``None`` where it is too small, or the extra ``report`` is not installed."""

    n: int
    mean: float
    median: float
    sd: float | None
    """Standard deviation of the sample (n - 1), from two values on."""
    cv_ratio: float | None
    """``sd / mean``; ``None`` for a mean of 0."""
    low: float | None
    """Lower end of the 95 % interval of the mean: bootstrap, below eight values Student's; from two values on."""
    high: float | None
    shapiro_p: float | None
    """Shapiro-Wilk; small means not normal. A hint: with few values it sees little, with many everything."""
    outliers: tuple[int, ...]
    """Positions of values far from the median; they are in all other numbers."""


class Correlation(Struct, frozen=True, kw_only=True):
    """Spearman's rank correlation over cells."""

    rho: float
    p: float
    n: int


def describe(values: Sequence[float]) -> Summary:
    """Return the summary of one value or more."""
    mean = statistics.fmean(values)
    sd = sample_sd(values) if len(values) > 1 else None
    low, high = _mean_interval(values, sd) if have_scipy() and sd is not None else (None, None)
    return Summary(
        n=len(values),
        mean=mean,
        median=statistics.median(values),
        sd=sd,
        cv_ratio=None if sd is None or mean == 0 else sd / abs(mean),
        low=low,
        high=high,
        shapiro_p=_shapiro_p(values),
        outliers=outliers(values),
    )


def outliers(values: Sequence[float]) -> tuple[int, ...]:
    """Return the positions of the values whose modified z-score is above 3.5; none in fewer than four values.

    Where more than half of the values are equal, the mean absolute deviation stands in for the median one, which is 0.

    >>> outliers([10.0, 10.1, 9.9, 10.0, 14.0])
    (4,)
    """
    if len(values) < _LEAST_FOR_SHAPE:
        return ()
    median = statistics.median(values)
    distances = [abs(value - median) for value in values]
    sd = statistics.median(distances) / _MAD_TO_SD or statistics.fmean(distances) * _MEAN_DEVIATION_TO_SD
    return tuple(i for i, distance in enumerate(distances) if distance > _OUTLIER_Z * sd) if sd else ()


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return the p values corrected for their number, in the same order (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return tuple(corrected)


def correlate(first: Sequence[float], second: Sequence[float]) -> Correlation | None:
    """Return Spearman's correlation; ``None`` below four pairs, for a constant, or without SciPy."""
    if not have_scipy() or len(first) < _LEAST_FOR_SHAPE or min(len(set(first)), len(set(second))) == 1:
        return None
    from scipy import stats

    rho = float(stats.spearmanr(first, second).statistic)
    return Correlation(rho=rho, p=spearman_p(first, second, rho), n=len(first))


def _shapiro_p(values: Sequence[float]) -> float | None:
    if not have_scipy() or len(values) < _LEAST_FOR_SHAPE or len(set(values)) == 1:
        return None
    from scipy import stats

    return float(stats.shapiro(values[:5000]).pvalue)  # SciPy warns above 5000 values


@functools.lru_cache(maxsize=8)
def _weights(n: int) -> Any:
    """Return the share of the draws that each of ``n`` values has in each bootstrap sample; cached by size.

    A product with the values gives all means at once, which keeps 10 000 cells cheap.
    """
    import numpy as np

    generator = np.random.default_rng(_SEED + n)
    return generator.multinomial(n, [1 / n] * n, size=_RESAMPLES) / n


@functools.lru_cache(maxsize=64)
def _tails(n: int) -> tuple[float, float]:
    """Return the quantiles whose percentile interval is as wide as Student's for ``n`` values.

    The plain percentile interval is too narrow for few values; Hesterberg 2015 (The American Statistician 69:371,
    "expanded percentile interval").
    """
    from scipy import stats

    tail = float(stats.norm.cdf(-math.sqrt(n / (n - 1)) * stats.t.ppf(0.975, n - 1)))
    return tail, 1 - tail


def _bootstrap_means(values: Sequence[float]) -> np.ndarray[Any, Any]:
    import numpy as np

    means: np.ndarray[Any, Any] = _weights(len(values)) @ np.asarray(values)
    return means


def _quantiles(sample: np.ndarray[Any, Any], tails: tuple[float, float]) -> tuple[float, float]:
    """Return the lower and the upper quantile, to the nearest of 2000 values."""
    sample.sort()
    low, high = (round(tail * (len(sample) - 1)) for tail in tails)
    return float(sample[low]), float(sample[high])


def _mean_interval(values: Sequence[float], sd: float) -> tuple[float, float]:
    if not _LEAST_RESAMPLED <= len(values) <= _MOST_RESAMPLED:
        mean = statistics.fmean(values)
        half = t_quantile(len(values) - 1) * sd / math.sqrt(len(values))
        return mean - half, mean + half
    return _quantiles(_bootstrap_means(values), _tails(len(values)))
