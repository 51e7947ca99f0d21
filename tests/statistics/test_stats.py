from __future__ import annotations

import math
import random

import pytest
from scipy import stats as reference

from pytest_parallel_energy.statistics import stats
from pytest_parallel_energy.statistics.judgement import change_of
from pytest_parallel_energy.statistics.power import Rule, detectable_change, gate_power, repeats_needed
from pytest_parallel_energy.statistics.quantities import parse_threshold
from pytest_parallel_energy.statistics.session_effects import lag_1
from pytest_parallel_energy.statistics.significance import pooled_t, welch

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


def test_the_interval_of_the_change_covers_the_change():
    """Over 300 pairs of samples the 95 % interval of the ratio holds the true ratio in 92 to 98 % of them."""
    draw = random.Random(1)
    hits = 0
    for _ in range(300):
        samples = [[draw.gauss(mean, 5) for _ in range(8)] for mean in (100, 110)]
        found = change_of(*samples, parse_threshold("total_j:5%"))
        hits += found.low <= 0.1 <= found.high
    assert 0.92 <= hits / 300 <= 0.98


def test_welch_agrees_with_scipy():
    """Difference, degrees of freedom, p value and interval of Welch's test are SciPy's."""
    found, expected = welch(A, B[:4]), reference.ttest_ind(B[:4], A, equal_var=False)
    assert found.p() == pytest.approx(expected.pvalue)
    assert found.degrees == pytest.approx(expected.df)
    assert found.interval() == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_the_interval_and_p_never_disagree():
    """The interval leaves out 0 exactly where p is below 0.05, for relative changes too."""
    draw = random.Random(3)
    for _ in range(200):
        samples = [[draw.gauss(100, 5) for _ in range(4)], [draw.gauss(107, 5) for _ in range(6)]]
        found = change_of(*samples, parse_threshold("total_j:5%"))
        assert (found.p < 0.05) == (found.low > 0 or found.high < 0)


def test_a_single_session_borrows_the_spread_of_the_others():
    """One new session against four is Student's test with the spread of the four; two single ones have no test."""
    old, new = [10.0, 10.4, 9.7, 10.1], [11.5]
    found = pooled_t(old, new)
    assert found.degrees == 3
    assert found.p() == pytest.approx(reference.ttest_ind(old, [11.5], equal_var=True).pvalue)
    assert pooled_t([10.0], new) is None


def test_the_interval_of_many_values_is_the_textbooks():
    """Of three thousand values the interval of the mean is 1.96 standard errors wide on each side."""
    draw = random.Random(2)
    found = stats.describe([draw.gauss(100, 5) for _ in range(3000)])
    assert found.high - found.low == pytest.approx(2 * 1.96 * 5 / math.sqrt(3000), rel=0.1)


def test_the_same_records_give_the_same_numbers():
    """Random parts are seeded: two calls agree to the last digit."""
    long = [float(i % 7) + 1 for i in range(60)]
    assert stats.describe(long) == stats.describe(long)
    assert stats.describe(A) == stats.describe(A)


def test_holm_is_the_published_procedure():
    """The step-down correction of the original example's kind, monotone and at most 1."""
    assert stats.holm([0.01, 0.02, 0.03, 0.005]) == pytest.approx((0.03, 0.04, 0.04, 0.02))
    assert stats.holm([0.9, 0.8]) == (1.0, 1.0)
    assert stats.holm([]) == ()


@pytest.mark.parametrize("values", [[10.0, 10.1, 9.9, 10.0, 14.0], [10.0, 10.0, 10.0, 10.0, 14.0]])
def test_an_outlier_is_flagged_and_kept(values):
    """A far value is named by its position, also among equal ones whose median deviation is 0, and is in the mean."""
    found = stats.describe(values)
    assert found.outliers == (4,)
    assert found.mean == pytest.approx(10.8)


def test_correlation_is_of_ranks():
    """A monotone relation has rho 1; a constant or three points have none."""
    assert stats.correlate([1, 2, 3, 4], [1, 10, 100, 1000]).rho == pytest.approx(1.0)
    assert stats.correlate([1, 1, 1, 1], [1, 2, 3, 4]) is None
    assert stats.correlate([1, 2, 3], [1, 2, 3]) is None


def test_few_points_have_an_exact_correlation():
    """Four cells in order have p 2/24, not 0; five have 2/120; a hundred agree with SciPy's approximation."""
    assert stats.correlate([1, 2, 3, 4], [1, 10, 100, 1000]).p == pytest.approx(2 / 24)
    assert stats.correlate([1, 2, 3, 4, 5], [9, 7, 5, 3, 1]).p == pytest.approx(2 / 120)
    draw = random.Random(5)
    first, second = ([draw.random() for _ in range(100)] for _ in range(2))
    assert stats.correlate(first, second).p == pytest.approx(reference.spearmanr(first, second).pvalue)
    approximate = stats.correlate(first[:20], second[:20]).p
    assert approximate == pytest.approx(reference.spearmanr(first[:20], second[:20]).pvalue, abs=0.03)


@pytest.mark.parametrize(("cv", "family"), [(0.02, 1), (0.05, 1), (0.05, 20)])
def test_the_repeats_asked_for_have_the_power_they_promise(cv, family):
    """With the repeats asked for, simulated runs that differ by two thresholds are found in 80 % or more of cases."""
    limit = math.log1p(0.05)
    k = repeats_needed(cv, Rule(limit=limit, near_end=False, family=family))
    draw = random.Random(k)
    hits = 0
    for _ in range(400):
        found = welch([draw.gauss(0, cv) for _ in range(k)], [draw.gauss(2 * limit, cv) for _ in range(k)])
        hits += found.p() <= 0.05 / family and found.difference >= limit
    assert hits / 400 >= 0.77  # 0.8 less two standard errors of the simulation
    assert gate_power(k - 1, cv, 2 * limit, Rule(limit=limit, near_end=False, family=family)) < 0.8


def test_the_detectable_change_has_power_80_percent():
    """The textbook's example: five repeats in each group show 2.02 standard deviations with power 0.8."""
    assert detectable_change(1.0, 5) == pytest.approx(2.02, abs=0.01)  # G*Power 3.1, two-sided t test, n = 5 + 5
    assert detectable_change(1.0, 5, family=20) > detectable_change(1.0, 5)
    assert detectable_change(1.0, 1) is None


def test_drift_and_steps_are_seen():
    """Values that follow each other have a lag-1 correlation near 1, alternating ones a negative one."""
    assert lag_1([float(i) for i in range(10)]) > 0.6
    assert lag_1([1.0, 2.0] * 5) < -0.6
    assert lag_1([1.0] * 10) is None
    assert lag_1([1.0, 2.0, 3.0]) is None
