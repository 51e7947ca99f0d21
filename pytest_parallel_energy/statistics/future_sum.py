"""The interval of the sum of values to come, from those before, where neighbours in time may be alike.

Epochs are not independent: other programs, temperatures and clock frequencies last longer than one of them. The mean
of a few neighbours is then farther from that of the others than their own spread shows. 120 epochs of a small network
on two busy cores had correlations of 0.63, 0.41 and 0.24 to the next, the second and the third.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from .grouping import t_quantile

__all__ = ["future_sum_u95"]

_CORRELATIONS = tuple(number / 10 for number in range(10))
"""Correlations of neighbours that are possible, 0 to 0.9; a few values tell nothing about larger ones."""


def future_sum_u95(past: Sequence[float], count: float) -> float:
    """Return the half-width of the 95 % interval of the sum of ``count`` more values around ``count`` times the mean.

    The values are taken for a stationary first-order autoregression around an unknown mean. Few values cannot tell
    their correlation, so that each possible one counts by how well the values fit it: by the marginal likelihood with
    flat priors of the correlation, the mean and the logarithm of the variance (Zellner and Tiao 1964, "Bayesian
    Analysis of the Regression Model with Autocorrelated Errors"). With no correlation alone this would be
    ``t * s * count * sqrt(1 / k + 1 / count)`` (NIST/SEMATECH e-Handbook, 7.2.5).

    Args:
        past: two values or more, in the order of their time.
        count: above 0.
    """
    k = len(past)
    logs, variances = [], []
    for correlation in _CORRELATIONS:
        squares = _squares(past, correlation)
        if squares <= 0:  # all are equal
            return 0.0
        information = (k - (k - 2) * correlation) / (1 + correlation)
        logs.append(-0.5 * ((k - 1) * (math.log(1 - correlation**2) + math.log(squares)) + math.log(information)))
        variances.append(squares / (k - 1) * _relative_variance(correlation, k, count))
    likeliest = max(logs)
    weights = [math.exp(each - likeliest) for each in logs]
    variance = math.fsum(map(math.prod, zip(weights, variances, strict=True))) / math.fsum(weights)
    return t_quantile(k - 1) * math.sqrt(variance)


def _squares(values: Sequence[float], correlation: float) -> float:
    """Return the generalised sum of squares around the generalised mean, whose expectation is (k - 1) variances."""
    k = len(values)
    weighted = values[0] + values[-1] + (1 - correlation) * math.fsum(values[1:-1])
    mean = weighted / (k - (k - 2) * correlation)
    errors = [value - mean for value in values]
    steps = math.fsum((after - correlation * before) ** 2 for before, after in itertools.pairwise(errors))
    return errors[0] ** 2 + steps / (1 - correlation**2)


def _relative_variance(correlation: float, k: int, count: float) -> float:
    """Return the variance of the sum of ``count`` values minus ``count`` means of the k before; that of one is 1."""
    between = correlation * (1 - correlation**k) * (1 - math.pow(correlation, count)) / (1 - correlation) ** 2 / k
    return (count / k) ** 2 * _sum_variance(correlation, k) + _sum_variance(correlation, count) - 2 * count * between


def _sum_variance(correlation: float, count: float) -> float:
    ratio = (1 + correlation) / (1 - correlation)
    return count * ratio - 2 * correlation * (1 - math.pow(correlation, count)) / (1 - correlation) ** 2
