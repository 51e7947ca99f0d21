"""Limits that a test sets on its own energy and power."""

from __future__ import annotations

import pytest

from pytest_parallel_energy.errors import ConfigError
from pytest_parallel_energy.plan.limits import Limit, broken_limits, limit_from_mark
from pytest_parallel_energy.records.record import WindowResult


@pytest.mark.parametrize(
    ("marker", "quantity", "keywords", "limit"),
    [
        ("limit_energy", "500 J", {}, Limit(quantity="total_j", most=500.0)),
        ("limit_energy", "2 kJ", {"kind": "gpu"}, Limit(quantity="gpu_j", most=2000.0)),
        ("limit_energy", "1 Wh", {"kind": "dram"}, Limit(quantity="dram_j", most=3600.0)),
        ("limit_power", "250 W", {}, Limit(quantity="mean_w", most=250.0)),
        ("limit_power", "0.3 kW", {"peak": True}, Limit(quantity="peak_w", most=300.0)),
    ],
)
def test_a_marker_gives_a_limit(marker, quantity, keywords, limit):
    """Units are converted to joules and watts; kind and peak select the quantity."""
    assert limit_from_mark(marker, (quantity,), keywords) == limit


@pytest.mark.parametrize(
    ("marker", "args", "keywords", "words"),
    [
        ("limit_energy", (), {}, "the marker 'limit_energy' takes one quantity, such as '500 J'; it has ()"),
        ("limit_energy", (500,), {}, "takes one quantity, such as '500 J'; it has (500,)"),
        ("limit_energy", ("500 W",), {}, "'500 W' is not an energy"),
        ("limit_energy", ("500 J",), {"knd": "gpu"}, "has no argument 'knd'; did you mean 'kind'?"),
        ("limit_energy", ("500 J",), {"kind": "gpus"}, "has no kind 'gpus'; did you mean 'gpu'? known: cpu, dram"),
        ("limit_power", ("250 W", "300 W"), {}, "takes one quantity, such as '250 W'; it has ('250 W', '300 W')"),
        ("limit_power", ("250 J",), {}, "'250 J' is not a power"),
        ("limit_power", ("250 W",), {"kind": "gpu"}, "the marker 'limit_power' has no argument 'kind'"),
    ],
)
def test_a_marker_that_is_wrong_is_refused(marker, args, keywords, words):
    """The message has the marker, the value, and what would be right."""
    with pytest.raises(ConfigError) as refused:
        limit_from_mark(marker, args, keywords)
    assert words in str(refused.value)


USED = WindowResult(total_j=120.0, total_u95_j=6.0, gpu_j=40.0, mean_w=60.0, quality="counter")


def test_a_limit_holds_up_to_its_own_value():
    """A value equal to the limit is within it."""
    assert broken_limits(USED, (Limit(quantity="total_j", most=120.0), Limit(quantity="mean_w", most=60.0))) == ()


def test_each_broken_limit_is_a_sentence():
    """It has the measured value with its interval, where that is known, the quality, and the limit."""
    limits = (
        Limit(quantity="total_j", most=100.0),
        Limit(quantity="gpu_j", most=39.0),
        Limit(quantity="mean_w", most=50.0),
    )
    assert broken_limits(USED, limits) == (
        "total energy 120 J ± 6.00 J (counter) is above the limit of 100 J",
        "gpu energy 40.0 J (counter) is above the limit of 39.0 J",
        "mean power 60.0 W (counter) is above the limit of 50.0 W",
    )


def test_an_unknown_value_breaks_its_limit():
    """A limit that cannot be checked is not kept: the test fails and the message says why."""
    assert broken_limits(USED, (Limit(quantity="dram_j", most=10.0),)) == (
        "dram energy is unknown (counter), so the limit of 10.0 J cannot be checked",
    )
