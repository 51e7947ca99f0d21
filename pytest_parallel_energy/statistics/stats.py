"""Statistics of repeats, with SciPy and NumPy from the extra ``report``; without it, what the standard library can do.

Random parts (bootstrap, large permutation tests) draw from a generator with a fixed seed: the same records give the
same report.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .grouping import sample_sd, t_quantile
from .significance import cliffs_delta, mann_whitney_p, permutation_p, welch_p

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "ALPHA",
    "INSTALL_HINT",
    "Correlation",
    "Difference",
    "Summary",
    "correlate",
    "describe",
    "difference",
    "effect_label",
    "have_scipy",
    "holm",
    "repeats_for_p",
    "repeats_for_spread",
    "smallest_p",
]

ALPHA = 0.05
"""Level of the tests, after Holm's correction."""
INSTALL_HINT = "tests and intervals need SciPy: pip install 'pytest-parallel-energy[report]'"
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
_LEAST_FOR_SHAPE = 4
"""Values below which neither outliers nor a shape can be told."""


@functools.cache
def have_scipy() -> bool:
    """Whether the extra ``report`` is installed; nothing is imported to know it."""
    return importlib.util.find_spec("scipy") is not None and importlib.util.find_spec("numpy") is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What is known of one sample; ``None`` where it is too small, or the extra ``report`` is not installed."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A second sample against a first; needs the extra ``report``, and two values in each for most fields."""

    ratio: float | None
    """Mean of the second over mean of the first; ``None`` where the first is 0."""
    ratio_low: float | None
    ratio_high: float | None
    """Upper end of the 95 % interval of the ratio: bootstrap, below eight values in one of them Student's of the
    logarithm; from two positive values in each on."""
    welch_p: float | None
    mann_whitney_p: float | None
    """Two-sided; exact without ties, else exact by permutation of ranks or asymptotic with tie correction."""
    permutation_p: float | None
    """Two-sided, of the difference of means: all permutations up to 10 000 of them, else 10 000 random ones; ``None``
    above 200 values, where it equals Welch's."""
    cliffs_delta: float | None
    """-1 to 1: share of pairs in which the second is larger, less the share in which it is smaller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """Spearman's rank correlation over cells."""

    rho: float
    p: float
    n: int


def describe(values: Sequence[float]) -> Summary:
    """The summary of one value or more."""
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
    """Positions of the values whose modified z-score is above 3.5; none in fewer than four values.

    >>> outliers([10.0, 10.1, 9.9, 10.0, 14.0])
    (4,)
    """
    if len(values) < _LEAST_FOR_SHAPE:
        return ()
    median = statistics.median(values)
    mad = statistics.median(abs(value - median) for value in values)
    if mad == 0:
        return ()
    return tuple(i for i, value in enumerate(values) if _MAD_TO_SD * abs(value - median) / mad > _OUTLIER_Z)


def difference(first: Sequence[float], second: Sequence[float]) -> Difference:
    """The second sample against the first, one value or more in each.

    Raises:
        ModuleNotFoundError: the extra ``report`` is not installed (see :func:`have_scipy`).
    """
    mean_first = statistics.fmean(first)
    ratio = statistics.fmean(second) / mean_first if mean_first else None
    few = min(len(first), len(second)) < 2  # noqa: PLR2004 - one value has no spread
    constant = len(set(first)) == 1 and len(set(second)) == 1
    low, high = (None, None) if few or ratio is None else _ratio_interval(first, second)
    return Difference(
        ratio=ratio,
        ratio_low=low,
        ratio_high=high,
        welch_p=None if few or constant else welch_p(first, second),
        mann_whitney_p=None if few else mann_whitney_p(first, second),
        permutation_p=None if few else permutation_p(first, second),
        cliffs_delta=None if few else cliffs_delta(first, second),
    )


def effect_label(delta: float) -> str:
    """Cliff's delta in words (Romano et al. 2006: 0.147, 0.33, 0.474).

    >>> effect_label(-0.2)
    'small'
    """
    for limit, label in ((0.147, "negligible"), (0.33, "small"), (0.474, "medium")):
        if abs(delta) < limit:
            return label
    return "large"


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """P values corrected for their number, in the same order (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return tuple(corrected)


def smallest_p(n_first: int, n_second: int) -> float:
    """The smallest two-sided p that an exact rank or permutation test can give: 2 over the number of arrangements.

    >>> [round(smallest_p(n, n), 3) for n in (3, 4, 5)]
    [0.1, 0.029, 0.008]
    """
    return min(1.0, 2 / math.comb(n_first + n_second, n_first))


def repeats_for_p(family: int, alpha: float = ALPHA) -> int:
    """Repeats in each of two cells from which on a test can fire at all among ``family`` of them.

    >>> repeats_for_p(1), repeats_for_p(100)
    (4, 8)
    """
    return next(n for n in itertools.count(2) if smallest_p(n, n) * family <= alpha)


def repeats_for_spread(cv_ratio: float, threshold_ratio: float) -> int:
    """Repeats in each of two cells that show a change of ``threshold_ratio`` with power 0.8 at level 0.05, 2 or more.

    ``2 (1.96 + 0.84)² (CV / change)²``, the normal approximation for two means (NIST/SEMATECH e-Handbook, 7.2.2.2).

    >>> repeats_for_spread(0.05, 0.05)
    16
    """
    return max(2, math.ceil(2 * (1.96 + 0.84) ** 2 * (cv_ratio / threshold_ratio) ** 2))


def correlate(first: Sequence[float], second: Sequence[float]) -> Correlation | None:
    """Spearman's correlation, one value a cell; ``None`` below four pairs, for a constant, or without SciPy."""
    if not have_scipy() or len(first) < _LEAST_FOR_SHAPE or min(len(set(first)), len(set(second))) == 1:
        return None
    from scipy import stats

    found = stats.spearmanr(first, second)
    return Correlation(rho=float(found.statistic), p=float(found.pvalue), n=len(first))


def _shapiro_p(values: Sequence[float]) -> float | None:
    if not have_scipy() or len(values) < _LEAST_FOR_SHAPE or len(set(values)) == 1:
        return None
    from scipy import stats

    return float(stats.shapiro(values[:5000]).pvalue)  # SciPy warns above 5000 values


@functools.lru_cache(maxsize=8)
def _weights(n: int) -> Any:
    """How often each of ``n`` values is drawn in each bootstrap sample, over ``n``: drawn once for each size.

    A product with the values gives all means at once, which keeps 10 000 cells cheap.
    """
    import numpy as np

    generator = np.random.default_rng(_SEED + n)
    return generator.multinomial(n, [1 / n] * n, size=_RESAMPLES) / n


@functools.lru_cache(maxsize=64)
def _tails(n: int) -> tuple[float, float]:
    """Quantiles whose percentile interval is as wide as Student's for ``n`` values.

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
    """Lower and upper quantile, to the nearest of 2000 values."""
    sample.sort()
    low, high = (round(tail * (len(sample) - 1)) for tail in tails)
    return float(sample[low]), float(sample[high])


def _mean_interval(values: Sequence[float], sd: float) -> tuple[float, float]:
    if not _LEAST_RESAMPLED <= len(values) <= _MOST_RESAMPLED:
        mean = statistics.fmean(values)
        half = t_quantile(len(values) - 1) * sd / math.sqrt(len(values))
        return mean - half, mean + half
    return _quantiles(_bootstrap_means(values), _tails(len(values)))


def _ratio_interval(first: Sequence[float], second: Sequence[float]) -> tuple[float | None, float | None]:
    import numpy as np

    if min(*first, *second) <= 0:
        return None, None
    smaller, larger = sorted((len(first), len(second)))
    if smaller < _LEAST_RESAMPLED or larger > _MOST_RESAMPLED:
        return _log_ratio_interval(first, second)
    below = _bootstrap_means(first)
    ratios = np.roll(_bootstrap_means(second), 1) / below  # rolled: equal sizes share their draws, samples must not
    return _quantiles(ratios, _tails(smaller))


def _log_ratio_interval(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """From the standard error of the logarithm of a ratio of means (delta method), with Welch's degrees of freedom."""
    from scipy import special

    means = [statistics.fmean(values) for values in (first, second)]
    errors = [sample_sd(v) ** 2 / (m * m * len(v)) for v, m in zip((first, second), means, strict=True)]
    if sum(errors) == 0:
        return means[1] / means[0], means[1] / means[0]
    degrees = sum(errors) ** 2 / sum(e * e / (len(v) - 1) for v, e in zip((first, second), errors, strict=True))
    half = float(special.stdtrit(degrees, 0.975)) * math.sqrt(sum(errors))
    return means[1] / means[0] * math.exp(-half), means[1] / means[0] * math.exp(half)
