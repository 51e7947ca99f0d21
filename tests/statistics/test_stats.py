from __future__ import annotations

import math
import random

import pytest
from scipy import stats as reference

from pytest_parallel_energy.statistics import stats

A = [10.1, 9.8, 10.3, 10.0, 9.9, 10.2]
B = [10.9, 11.2, 10.8, 11.1, 11.0, 11.3]


def test_the_summary_is_the_textbooks():
    """Mean, median, standard deviation and coefficient of variation are those of the definition."""
    found = stats.describe([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0])
    assert (found.n, found.mean, found.median) == (8, 5.0, 4.5)
    assert found.sd == pytest.approx(math.sqrt(32 / 7))
    assert found.cv_ratio == pytest.approx(math.sqrt(32 / 7) / 5)


def test_one_value_has_no_spread():
    """With one value the spread is unknown, not 0."""
    found = stats.describe([5.0])
    assert (found.sd, found.cv_ratio, found.low, found.shapiro_p, found.outliers) == (None, None, None, None, ())


@pytest.mark.parametrize("n", [4, 8, 20])
def test_the_bootstrap_interval_covers_the_mean(n):
    """Over 400 normal samples, also of four values, the 95 % interval holds the true mean in 92 to 98 % of them."""
    draw = random.Random(n)
    hits = 0
    for _ in range(400):
        found = stats.describe([draw.gauss(100, 5) for _ in range(n)])
        hits += found.low <= 100 <= found.high
    assert 0.92 <= hits / 400 <= 0.98


def test_the_ratio_interval_covers_the_ratio():
    """Over 300 pairs of samples the 95 % interval of the ratio holds the true ratio in 92 to 99 % of them."""
    draw = random.Random(1)
    hits = 0
    for _ in range(300):
        found = stats.difference([draw.gauss(100, 5) for _ in range(8)], [draw.gauss(110, 5) for _ in range(8)])
        hits += found.ratio_low <= 1.1 <= found.ratio_high
    assert 0.92 <= hits / 300 <= 0.99


def test_p_values_agree_with_scipy():
    """Welch, exact Mann-Whitney and the exact permutation test give SciPy's numbers."""
    second = [value - 0.83 for value in B]
    found = stats.difference(A, second)
    assert found.welch_p == pytest.approx(reference.ttest_ind(A, second, equal_var=False).pvalue)
    assert found.mann_whitney_p == pytest.approx(reference.mannwhitneyu(A, second, method="exact").pvalue)
    ties = [round(value) for value in A], [round(value) for value in B] * 9
    approximate = reference.mannwhitneyu(*ties, method="asymptotic").pvalue
    assert stats.difference(*ties).mann_whitney_p == pytest.approx(approximate)
    exact = reference.permutation_test(
        (A, second), lambda x, y, axis: x.mean(axis) - y.mean(axis), n_resamples=math.inf
    )
    assert found.permutation_p == pytest.approx(exact.pvalue)


def test_ties_are_exact_too():
    """With ties and few values the rank test counts arrangements, and says 1 for samples of one value."""
    found = stats.difference([1.0, 1.0, 2.0], [2.0, 3.0, 3.0])
    assert found.mann_whitney_p == pytest.approx(4 / 20)
    assert stats.difference([1.0, 1.0], [1.0, 1.0]).mann_whitney_p == 1.0
    assert stats.difference([1.0] * 40, [1.0] * 40).mann_whitney_p == 1.0


def test_full_separation_is_cliffs_one():
    """When each value of the second sample is larger, delta is 1; swapped, it is -1; of itself, 0."""
    assert stats.difference(A, B).cliffs_delta == 1.0
    assert stats.difference(B, A).cliffs_delta == -1.0
    assert stats.difference(A, A).cliffs_delta == 0.0


def test_the_smallest_p_is_reached_and_never_passed():
    """With full separation the exact tests give the smallest p there is for that many repeats."""
    for n in (2, 3, 4, 5, 6):
        found = stats.difference(A[:n], B[:n])
        assert found.mann_whitney_p == pytest.approx(stats.smallest_p(n, n))
        assert found.permutation_p == pytest.approx(stats.smallest_p(n, n))


def test_large_samples_stay_cheap_and_right():
    """Above a thousand values the approximations agree with the known answer."""
    draw = random.Random(2)
    first = [draw.gauss(100, 5) for _ in range(3000)]
    found = stats.difference(first, [value * 1.02 for value in first])
    assert found.ratio_low < 1.02 < found.ratio_high
    assert found.ratio_high - found.ratio_low < 0.01
    assert found.permutation_p is None
    assert found.mann_whitney_p < 1e-6
    low, high = stats.describe(first).low, stats.describe(first).high
    assert high - low == pytest.approx(2 * 1.96 * 5 / math.sqrt(3000), rel=0.1)


def test_the_same_records_give_the_same_numbers():
    """Random parts are seeded: two calls agree to the last digit."""
    long = [float(i % 7) + 1 for i in range(60)]
    assert stats.difference(long, long[::-1]) == stats.difference(long, long[::-1])
    assert stats.describe(A) == stats.describe(A)


def test_holm_is_the_published_procedure():
    """The step-down correction of the original example's kind, monotone and at most 1."""
    assert stats.holm([0.01, 0.02, 0.03, 0.005]) == pytest.approx((0.03, 0.04, 0.04, 0.02))
    assert stats.holm([0.9, 0.8]) == (1.0, 1.0)
    assert stats.holm([]) == ()


def test_an_outlier_is_flagged_and_kept():
    """A far value is named by its position, and is in the mean."""
    found = stats.describe([10.0, 10.1, 9.9, 10.0, 14.0])
    assert found.outliers == (4,)
    assert found.mean == pytest.approx(10.8)


def test_correlation_is_of_ranks():
    """A monotone relation has rho 1; a constant or three points have none."""
    assert stats.correlate([1, 2, 3, 4], [1, 10, 100, 1000]).rho == pytest.approx(1.0)
    assert stats.correlate([1, 1, 1, 1], [1, 2, 3, 4]) is None
    assert stats.correlate([1, 2, 3], [1, 2, 3]) is None


def test_repeats_that_would_do():
    """Repeats needed grow with the spread and shrink with the threshold; the formula's own example holds."""
    assert stats.repeats_for_spread(0.02, 0.05) == 3
    assert stats.repeats_for_spread(0.10, 0.05) == 63
    assert stats.repeats_for_spread(0.0, 0.05) == 2
    assert stats.repeats_for_p(1) == 4
