"""Whose joules: legs, shares, CPU time, GPU use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_parallel_energy.energy.attribution import Leg, Legs, attribute_legs, interaction
from pytest_parallel_energy.energy.gpu_share import GpuShareCounter
from pytest_parallel_energy.energy.shares import Resource, Shares, attribute_shares, share_range, share_u95_ratio
from pytest_parallel_energy.errors import ProcessError, SensorError
from pytest_parallel_energy.processes.guard.ring import RingSample

CURVES = {
    "linear": lambda load: 50 + 100 * load,
    "concave": lambda load: 50 + 100 * load**0.6,
    "smt": lambda load: 50 + 100 * min(load, 0.5) + 30 * max(0.0, load - 0.5),
}


def legs_of(curve, foreground, background, slowdown=1.0):
    rate = 1 / slowdown
    return Legs(
        idle_w=curve(0.0),
        both=Leg(mean_w=curve((foreground + background) * rate), foreground_rate=rate, background_rate=rate),
        foreground=Leg(mean_w=curve(foreground), foreground_rate=1.0),
        background=Leg(mean_w=curve(background), background_rate=1.0),
    )


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
@given(st.floats(0.05, 0.5), st.floats(0.05, 0.5))
def test_v11_shapley_is_exact(curve, foreground, background):
    """Shares add up to the active energy; the foreground's is the mean of its two marginal contributions."""
    legs = legs_of(curve, foreground, background)
    shares = attribute_legs(legs, 100.0)
    active_j = (legs.both.mean_w - legs.idle_w) * 100
    assert shares.foreground_j + shares.background_j == pytest.approx(active_j)
    first = curve(foreground) - curve(0)
    last = curve(foreground + background) - curve(background)
    assert shares.foreground_j == pytest.approx((first + last) / 2 * 100)
    assert shares.low_j - 1e-6 <= first * 100 <= shares.high_j + 1e-6
    assert shares.low_j - 1e-6 <= last * 100 <= shares.high_j + 1e-6
    assert (shares.method, shares.idle_j) == ("shapley", pytest.approx(5000.0))


def test_linear_power_has_no_interference():
    """Where power adds up, nobody disturbs anybody."""
    seen = interaction(legs_of(CURVES["linear"], 0.3, 0.4))
    assert seen.interference_w == pytest.approx(0.0)
    assert seen.slowdown_ratio == pytest.approx(1.0)


def test_slowdown_matches_the_work():
    """Both at half speed: solo shares count for half of the work, and the slowdown is two."""
    legs = legs_of(CURVES["linear"], 0.5, 0.5, slowdown=2.0)
    shares = attribute_legs(legs, 10.0)
    assert shares.foreground_j == pytest.approx(shares.background_j) == pytest.approx(250.0)
    assert interaction(legs).slowdown_ratio == 2.0


@pytest.mark.parametrize(
    ("missing", "method"),
    [
        ((), "shapley"),
        (("foreground",), "marginal"),
        (("background",), "solo"),
        (("foreground", "background"), "idle only"),
    ],
)
def test_method_follows_the_legs(missing, method):
    """Which legs are there decides the method, and it is said."""
    whole = legs_of(CURVES["concave"], 0.3, 0.3)
    legs = Legs(
        idle_w=whole.idle_w,
        both=whole.both,
        foreground=None if "foreground" in missing else whole.foreground,
        background=None if "background" in missing else whole.background,
    )
    shares = attribute_legs(legs, 10.0)
    assert shares.method == method
    assert (shares.foreground_j is None) == (method == "idle only")
    assert (interaction(legs) is None) == bool(missing)


def test_apportioned_split_adds_up_and_says_how_sure():
    """CPU-time shares sum to the active energy; in the interval a second costs up to twice as much in one program."""
    resource = Resource(total_j=1000.0, idle_j=200.0)
    shares = attribute_shares(resource, Shares(foreground_ratio=0.5, background_ratio=0.25))
    assert (shares.foreground_j, shares.background_j, shares.other_j) == (400.0, 200.0, 200.0)
    assert (shares.low_j, shares.high_j) == pytest.approx((800 / 3, 1600 / 3))
    assert shares.method == "share of CPU time"


@pytest.mark.parametrize("cost", [0.5, 0.8, 1.0, 1.3, 2.0])
@given(st.floats(0.02, 1.0))
def test_unequal_costs_lie_in_the_interval(cost, mine):
    """Whatever a second of the foreground costs, from half to twice of another's, its joules are inside."""
    truth_ratio = cost * mine / (cost * mine + 1 - mine)
    low_ratio, high_ratio = share_range(Shares(foreground_ratio=mine, background_ratio=1 - mine))
    assert low_ratio - 1e-9 <= truth_ratio <= high_ratio + 1e-9


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
@given(st.floats(0.1, 0.9), st.floats(0.2, 1.0))
def test_the_shapley_share_lies_in_the_interval_of_shares(curve, mine, load):
    """On concave curves too, with the foreground's part of the use from a tenth to nine tenths."""
    foreground, background = mine * load, (1 - mine) * load
    truth_w = (curve(foreground) - curve(0) + curve(load) - curve(background)) / 2
    shares = Shares(foreground_ratio=mine, background_ratio=1 - mine)
    found = attribute_shares(Resource(total_j=curve(load), idle_j=curve(0)), shares)
    assert found.low_j - 1e-9 <= truth_w <= found.high_j + 1e-9


def test_split_without_idle_leg_says_so():
    """Without an idle leg the idle power is in the shares: the method tells, and the interval begins at 0."""
    found = attribute_shares(Resource(total_j=10.0), Shares(foreground_ratio=1, background_ratio=0))
    assert "idle power included" in found.method
    assert (found.foreground_j, found.low_j) == (10.0, 0.0)


def test_an_unused_resource_belongs_to_nobody():
    """The energy of a GPU that no process used is not that of other processes."""
    found = attribute_shares(Resource(total_j=10.0), Shares(foreground_ratio=0, background_ratio=0, used=False))
    assert (found.foreground_j, found.background_j, found.other_j) == (0.0, 0.0, 0.0)


def test_the_interval_has_the_scatter_of_the_legs_and_the_gain():
    """Linear power: solo and marginal agree, and the interval is as wide as the legs are unsure."""
    sure = legs_of(CURVES["linear"], 0.3, 0.4)
    assert attribute_legs(sure, 10.0).split_u95_j == pytest.approx(0.0, abs=1e-9)
    unsure = sure._replace(both=sure.both._replace(u95_w=3.0), background=sure.background._replace(u95_w=4.0))
    found = attribute_legs(unsure, 10.0)
    assert (found.low_j, found.high_j) == pytest.approx((250.0, 350.0))
    gained = attribute_legs(sure._replace(gain_u95_ratio=0.08), 10.0)
    assert (gained.low_j, gained.high_j) == pytest.approx((276.0, 324.0))
    assert gained.split_u95_j == pytest.approx(0.0, abs=1e-9)


def test_others_in_a_leg_are_not_charged_to_the_foreground():
    """What other programs used beyond their usual use is theirs, and as unsure as it is large."""
    quiet = legs_of(CURVES["linear"], 0.3, 0.4)
    noisy = quiet._replace(both=quiet.both._replace(mean_w=quiet.both.mean_w + 20, other_w=20.0, other_u95_w=20.0))
    found = attribute_legs(noisy, 10.0)
    assert (found.foreground_j, found.background_j, found.other_j) == pytest.approx((300.0, 400.0, 200.0))
    assert found.high_j - found.low_j >= 200.0


@pytest.mark.parametrize("other_w", [-30.0, 0.0, 30.0])
def test_all_parts_add_up_to_the_total(other_w):
    """Foreground, background, others and idle are the whole, also where others used more in the idle leg."""
    legs = legs_of(CURVES["concave"], 0.3, 0.4)
    found = attribute_legs(legs._replace(both=legs.both._replace(other_w=other_w)), 10.0)
    parts_j = (found.foreground_j, found.background_j, found.other_j, found.idle_j)
    assert sum(parts_j) == pytest.approx(legs.both.mean_w * 10)


def test_without_the_leg_of_the_foreground_the_use_bounds_its_share():
    """On a concave curve the marginal share is too low: the interval reaches to what the use allows."""
    legs = legs_of(CURVES["concave"], 0.5, 0.5)
    truth_j = attribute_legs(legs, 10.0).foreground_j
    active_w = legs.both.mean_w - legs.idle_w
    found = attribute_legs(legs._replace(foreground=None, by_use_w=(active_w / 3, active_w * 2 / 3)), 10.0)
    assert found.method == "marginal"
    assert found.foreground_j < truth_j <= found.high_j


def test_odd_shares_are_flagged():
    """A negative share, less energy than alone and an odd Shapley share are remarked; usual values are not."""
    usual = legs_of(CURVES["concave"], 0.3, 0.3)
    assert attribute_legs(usual, 10.0).flags == ()
    negative = attribute_legs(usual._replace(both=usual.both._replace(mean_w=usual.idle_w - 20)), 10.0)
    assert any("foreground is negative" in flag for flag in negative.flags)
    assert any("times the energy of the test alone" in flag for flag in negative.flags)
    odd = attribute_legs(usual._replace(both=usual.both._replace(mean_w=usual.both.mean_w * 2)), 10.0)
    assert any("times its energy alone" in flag for flag in odd.flags)


def owner_of(pid):
    return {1: "foreground", 2: "background"}.get(pid, "other")


class Ring:
    """A GPU whose ring holds 72 samples, one every 139 ms, of two processes in turn by share."""

    def __init__(self, share):
        self.share = share

    def until(self, now_us):
        numbers = range(max(0, now_us // 139_000 - 71), now_us // 139_000 + 1)
        return [
            RingSample(pid=1 if (number * 0.618034) % 1 < self.share else 2, sm_percent=100, at_us=number * 139_000)
            for number in numbers
        ]


def polled(ring, every_s, for_s):
    now_us = 0
    counter = GpuShareCounter(lambda last_us: [one for one in ring.until(now_us) if one.at_us > last_us], owner_of)
    while now_us <= for_s * 1e6:
        counter.poll(now_us)
        now_us += round(every_s * 1e6)
    return counter


@pytest.mark.parametrize(("every_s", "lost"), [(1.0, False), (9.0, False), (11.0, True)])
def test_v13_the_ring_is_read_in_time(every_s, lost):
    """Polled every 9 s nothing is lost; at 11 s the loss is noticed, and there is no share."""
    counter = polled(Ring(0.3), every_s, 99.0)
    assert counter.lost is lost
    shares = counter.shares()
    if lost:
        assert shares is None
    else:
        assert shares.foreground_ratio == pytest.approx(0.3, abs=0.02)
        assert shares.foreground_ratio + shares.background_ratio == pytest.approx(1.0)


def test_v13_the_standard_error():
    """± 4.7 points at 60 s, ± 2.1 at 300 s (95 %, p = 0.5 and little less)."""
    assert share_u95_ratio(0.5, 60.0) == pytest.approx(0.048, abs=0.002)
    assert share_u95_ratio(0.5, 300.0) == pytest.approx(0.0215, abs=0.001)
    assert share_u95_ratio(0.5, 0.0) == 1.0


def test_odd_samples_are_dropped():
    """Above 100 %, and not newer than the last: dropped; a GPU that refuses is idle."""
    answers = [
        [],
        [RingSample(pid=1, sm_percent=250, at_us=5), RingSample(pid=1, sm_percent=50, at_us=6)],
        None,
    ]

    def fetch(_last_us):
        answer = answers.pop(0)
        if answer is None:
            raise SensorError("not found")
        return answer

    counter = GpuShareCounter(fetch, owner_of)
    for now_us in (1, 10, 20):
        counter.poll(now_us)
    assert counter.shares().foreground_ratio == 1.0
    assert not counter.lost


def test_an_owner_that_nobody_can_tell_is_a_loss():
    """A load that does not answer ends neither the sampling nor the test; there is no share then."""

    def nobody_knows(_pid):
        raise ProcessError("the guard has not answered")

    counter = GpuShareCounter(lambda last_us: [RingSample(pid=7, sm_percent=50, at_us=last_us + 5)], nobody_knows)
    for now_us in (10, 20):
        counter.poll(now_us)
    assert counter.lost
    assert counter.shares() is None
