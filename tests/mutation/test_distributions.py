"""What a hyperparameter may become."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_parallel_energy.errors import ConfigError
from pytest_parallel_energy.mutation.distributions import (
    Grid,
    LogUniform,
    as_distribution,
    choice,
    int_uniform,
    log_uniform,
    uniform,
)

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.tuples(FINITE, FINITE).map(sorted), st.integers())
def test_uniform_stays_within_its_bounds(bounds, seed):
    """A uniform draw is a finite float within the bounds, for any bounds a double can hold."""
    lo, hi = bounds
    drawn = uniform(lo, hi).draw(random.Random(seed))
    assert isinstance(drawn, float)
    assert lo <= drawn <= hi


@given(st.tuples(*[st.floats(min_value=5e-324, allow_infinity=False)] * 2).map(sorted), st.integers())
def test_log_uniform_stays_within_its_bounds(bounds, seed):
    """A log-uniform draw is within the bounds, from the smallest to the largest double."""
    lo, hi = bounds
    assert lo <= log_uniform(lo, hi).draw(random.Random(seed)) <= hi


@given(st.tuples(st.integers(), st.integers()).map(sorted), st.integers())
def test_int_uniform_stays_within_its_bounds(bounds, seed):
    """A whole-number draw is within the bounds, however wide they are."""
    lo, hi = bounds
    drawn = int_uniform(lo, hi).draw(random.Random(seed))
    assert type(drawn) is int
    assert lo <= drawn <= hi


def test_int_uniform_reaches_both_ends():
    """Both ends of a whole-number range are drawn."""
    rng = random.Random(0)
    assert {int_uniform(1, 3).draw(rng) for _ in range(100)} == {1, 2, 3}


def test_log_uniform_gives_each_decade_its_share():
    """A third of the draws lies in each of three decades."""
    rng, space = random.Random(1), log_uniform(1e-4, 1e-1)
    decades = [math.floor(math.log10(space.draw(rng))) for _ in range(3000)]
    for decade in (-4, -3, -2):
        assert 900 < decades.count(decade) < 1100


def test_zero_probability_gives_exact_zeros():
    """With zero_probability a share of the draws is exactly 0, and the others are as they would be without."""
    plain, some = random.Random(2), random.Random(2)
    without = [log_uniform(1e-5, 1e-3).draw(plain) for _ in range(1000)]
    drawn = [log_uniform(1e-5, 1e-3, zero_probability=0.25).draw(some) for _ in range(1000)]
    assert 200 < drawn.count(0.0) < 300
    assert all(a in {b, 0.0} for a, b in zip(drawn, without, strict=True))


def test_integer_log_uniform_is_whole():
    """The log-uniform draw of a whole-number hyperparameter is a whole number within the bounds."""
    rng, space = random.Random(3), LogUniform(1000, 20000, integer=True)
    drawn = [space.draw(rng) for _ in range(200)]
    assert all(type(value) is int and 1000 <= value <= 20000 for value in drawn)
    assert len(set(drawn)) > 150


def test_draws_are_the_known_ones():
    """The numbers of a seed are pinned: another Python version or machine that changes one bit fails here."""
    rng = random.Random(1234)
    assert [log_uniform(1e-4, 1e-1).draw(rng) for _ in range(3)] == [
        0.002099896054356871,
        0.05406645405675865,
        0.0055806234434719595,
    ]
    assert [uniform(0.3, 0.6).draw(rng) for _ in range(2)] == [0.5014690444463955, 0.3251814680511252]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: log_uniform(0, 1), "above 0"),
        (lambda: log_uniform(-1, 1), "above 0"),
        (lambda: log_uniform(1, 0.1), "above the upper"),
        (lambda: log_uniform(0.1, math.nan), "finite"),
        (lambda: log_uniform(0.1, 10**400), "finite"),
        (lambda: log_uniform("a", 1), "a number, not 'a'"),
        (lambda: log_uniform(0.1, 1, zero_probability=1.5), "from 0 to 1"),
        (lambda: LogUniform(1.2, 1.8, integer=True), "no whole number"),
        (lambda: uniform(2, 1), "above the upper"),
        (lambda: uniform(0, math.inf), "finite"),
        (lambda: uniform(True, 2), "a number, not True"),
        (lambda: int_uniform(1.5, 2), "whole numbers, not 1.5"),
        (lambda: choice([]), "empty"),
        (lambda: choice("abc"), "must be a list"),
        (lambda: choice([1, 1.0]), "listed twice"),
        (lambda: choice([math.nan]), "finite"),
        (lambda: choice([[1]]), "must be a number, a text"),
        (lambda: as_distribution(0.1), "not a distribution"),
    ],
)
def test_a_bad_range_is_refused_in_words(make, words):
    """Each impossible distribution is refused with the rule and the value."""
    with pytest.raises(ConfigError, match=words):
        make()


def test_a_plain_list_is_a_grid():
    """A list or tuple means every one of its values; true and 1 are two values."""
    assert as_distribution([16, 32]) == Grid((16, 32))
    assert as_distribution((True, 1)).values == (True, 1)


@pytest.mark.parametrize(
    ("distribution", "values"),
    [
        (uniform(1, 1), (1.0,)),
        (uniform(1, 2), None),
        (log_uniform(0.5, 0.5, zero_probability=0.5), (0.0, 0.5)),
        (log_uniform(1, 2, zero_probability=1), (0.0,)),
        (LogUniform(1, 3, 0.5, integer=True), (0, 1, 2, 3)),
        (int_uniform(2, 4), (2, 3, 4)),
        (int_uniform(0, 10**9), None),
    ],
)
def test_a_small_space_can_be_listed(distribution, values):
    """A distribution with few values lists them; an endless one says None."""
    assert distribution.values == values
