"""The arithmetic of energy attribution, with a meter of fake sensors and a clock that the test advances."""

from __future__ import annotations

import pytest

from pytest_parallel_energy.energy.meter import EnergyMeter
from pytest_parallel_energy.energy.sensor import SensorDescription
from pytest_parallel_energy.records.record import Attribution, Quality
from pytest_parallel_energy.run.legs import BesideLoad, CpuMoment, LegBook
from pytest_parallel_energy.testing import FakeSensor, PowerProfile, VirtualClock

IDLE_W, BACKGROUND_W, FOREGROUND_W, BOTH_W = 20.0, 50.0, 60.0, 100.0


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def make_book(clock):
    """A book whose package draws the powers of the given pieces, one after the other."""
    meters = []

    def make(*pieces, leg_s=2.0, extra=()):
        sensors = [FakeSensor(PowerProfile.steps(pieces), clock=clock), *extra]
        meter = EnergyMeter(sensors, clock_ns=clock, sleep=clock.advance).open()
        meters.append(meter)
        return LegBook(meter=meter, leg_s=leg_s)

    yield make
    for meter in meters:
        meter.close()


class FakeLoad:
    """A load that uses a fixed number of cores."""

    alive = True
    pids = ()

    def __init__(self, clock, cores=1.0):
        self._clock, self._cores = clock, cores

    def report(self):
        from pytest_parallel_energy.records.record import LoadReport

        return LoadReport(name="load", cpu_s=self._clock() / 1e9 * self._cores)


def measure(book, clock, seconds):
    """A window of this length."""
    with book.meter.window() as window:
        clock.advance(seconds)
    return window.result


def beside(*, own_s, loads_s, machine_s, seconds=10.0, **legs):
    """Notes of a test beside loads that used these CPU seconds in its window."""
    return BesideLoad(
        opened=CpuMoment(at_s=100.0, own_s=5.0, machine_s=1000.0),
        closed=CpuMoment(at_s=100.0 + seconds, own_s=5.0 + own_s, machine_s=1000.0 + machine_s),
        loads_opened_s=7.0,
        loads_closed_s=7.0 + loads_s,
        **legs,
    )


def test_alone_everything_above_idle_is_the_foreground(make_book, clock):
    """60 W for 10 s over 20 W of idle power: 400 J are the foreground's, 200 J are idle, none are of a load."""
    book = make_book((6.0, IDLE_W), (99.0, FOREGROUND_W))
    book.meter.measure_idle(5.0)
    clock.advance(2.0)
    found = book.attribute(measure(book, clock, 10.0), "training", None)
    assert (found.foreground_j, found.background_j, found.idle_j) == pytest.approx((400.0, 0.0, 200.0))
    assert found.method == "alone above idle"


def test_alone_without_idle_power_nothing_is_attributed(make_book, clock):
    """Without an idle leg the foreground's share is unknown, not the whole."""
    book = make_book((99.0, FOREGROUND_W))
    assert book.attribute(measure(book, clock, 10.0), "training", None) == Attribution()


def test_a_missing_total_is_not_attributed(clock):
    """Without a sensor every owner's joules are unknown, also beside a load."""
    with EnergyMeter([], clock_ns=clock) as meter:
        book = LegBook(meter=meter, leg_s=2.0)
        noted = beside(own_s=5.0, loads_s=5.0, machine_s=10.0)
        assert book.attribute(measure(book, clock, 10.0), "training", noted) == Attribution()


def test_the_loads_are_measured_alone(make_book, clock):
    """The leg is the machine's mean power while only the loads run, with their CPU seconds per second."""
    book = make_book((6.0, IDLE_W), (99.0, BACKGROUND_W))
    book.meter.measure_idle(5.0)
    clock.advance(2.0)
    noted = book.measure_loads([FakeLoad(clock, cores=1.5), FakeLoad(clock, cores=0.5)])
    assert (noted.solo_w, noted.solo_rate) == pytest.approx((BACKGROUND_W, 2.0))


@pytest.mark.parametrize(("idle", "leg_s", "loads"), [(False, 2.0, 1), (True, 0.0, 1), (True, 2.0, 0)])
def test_no_leg_without_idle_power_length_or_load(make_book, clock, idle, leg_s, loads):
    """The loads alone are not measured where their leg would say nothing; no time passes."""
    book = make_book((99.0, IDLE_W), leg_s=leg_s)
    if idle:
        book.meter.measure_idle(5.0)
    before_ns = clock()
    assert book.measure_loads([FakeLoad(clock)] * loads) == BesideLoad()
    assert clock() == before_ns


def test_with_the_loads_leg_alone_the_foreground_has_the_rest(make_book, clock):
    """100 W together, 20 W idle, 50 W of the load alone at the same rate: 50 W are the foreground's."""
    book = make_book((6.0, IDLE_W), (99.0, BOTH_W))
    book.meter.measure_idle(5.0)
    clock.advance(2.0)
    noted = beside(own_s=10.0, loads_s=10.0, machine_s=20.0, solo_w=BACKGROUND_W, solo_rate=1.0)
    found = book.attribute(measure(book, clock, 10.0), "training", noted)
    assert (found.foreground_j, found.background_j, found.idle_j) == pytest.approx((500.0, 300.0, 200.0))
    assert (found.method, found.interference_j) == ("marginal", None)


def test_a_slowed_load_is_charged_less(make_book, clock):
    """A load that runs at half of its own rate beside the test accounts for half of its own power."""
    book = make_book((6.0, IDLE_W), (99.0, BOTH_W))
    book.meter.measure_idle(5.0)
    clock.advance(2.0)
    noted = beside(own_s=10.0, loads_s=5.0, machine_s=15.0, solo_w=BACKGROUND_W, solo_rate=1.0)
    found = book.attribute(measure(book, clock, 10.0), "training", noted)
    assert (found.foreground_j, found.background_j) == pytest.approx((650.0, 150.0))


def test_a_remembered_leg_gives_shapley_shares_and_interference(make_book, clock):
    """Alone 60 W for 8 s, together 100 W for 10 s: both solo legs are known, so slowdown and interference are too."""
    book = make_book((6.0, IDLE_W), (9.0, FOREGROUND_W), (99.0, BOTH_W))
    book.meter.measure_idle(5.0)
    clock.advance(2.0)
    book.remember(measure(book, clock, 8.0), "training")
    clock.advance(2.0)
    noted = beside(own_s=10.0, loads_s=10.0, machine_s=20.0, solo_w=BACKGROUND_W, solo_rate=1.0)
    found = book.attribute(measure(book, clock, 10.0), "training", noted)
    # alone: 40 W above idle, scaled to 8/10 of the rate; marginal: 80 W above idle without the 30 W of the load
    assert found.method == "shapley"
    assert (found.low_j, found.high_j) == pytest.approx((320.0, 500.0), rel=1e-4)
    assert (found.foreground_j, found.background_j) == pytest.approx((410.0, 390.0), rel=1e-4)
    assert found.interference_j == pytest.approx(180.0, rel=1e-4)
    assert found.slowdown_ratio == pytest.approx(1.25)


def test_the_leg_of_other_work_is_not_used(make_book, clock):
    """Only the same work is compared: another training's leg leaves the method at ``marginal``."""
    book = make_book((6.0, IDLE_W), (99.0, BOTH_W))
    book.meter.measure_idle(5.0)
    clock.advance(2.0)
    book.remember(measure(book, clock, 8.0), "another training")
    noted = beside(own_s=10.0, loads_s=10.0, machine_s=20.0, solo_w=BACKGROUND_W, solo_rate=1.0)
    assert book.attribute(measure(book, clock, 10.0), "training", noted).method == "marginal"


def test_without_legs_cpu_time_decides(make_book, clock):
    """1000 J, of which the test used half of the busy time, its load a quarter and other programs a quarter."""
    book = make_book((99.0, BOTH_W))
    found = book.attribute(measure(book, clock, 10.0), "training", beside(own_s=10.0, loads_s=5.0, machine_s=20.0))
    assert (found.foreground_j, found.background_j, found.other_j) == pytest.approx((500.0, 250.0, 250.0))
    assert found.idle_j is None
    assert found.method == "share of CPU time, idle power included"


def test_shares_are_of_the_energy_above_idle(make_book, clock):
    """With idle power but without a leg of the load, the 800 J above idle are split and 200 J are idle."""
    book = make_book((6.0, IDLE_W), (99.0, BOTH_W))
    book.meter.measure_idle(5.0)
    clock.advance(2.0)
    found = book.attribute(measure(book, clock, 10.0), "training", beside(own_s=10.0, loads_s=10.0, machine_s=20.0))
    assert (found.foreground_j, found.background_j, found.idle_j) == pytest.approx((400.0, 400.0, 200.0))
    assert found.method == "share of CPU time"


@pytest.mark.parametrize("machine_s", [0.0, 3.0])
def test_a_container_that_hides_the_machine_does_not_create_energy(make_book, clock, machine_s):
    """Where /proc/stat shows less than the test and its load used, these two share everything."""
    book = make_book((99.0, BOTH_W))
    found = book.attribute(measure(book, clock, 10.0), "training", beside(own_s=6.0, loads_s=2.0, machine_s=machine_s))
    assert (found.foreground_j, found.background_j, found.other_j) == pytest.approx((750.0, 250.0, 0.0))


def test_unknown_cpu_time_of_a_load_is_not_split(make_book, clock):
    """A load that ended inside the window, so that its CPU time is unknown, leaves every share unknown."""
    book = make_book((99.0, BOTH_W))
    noted = beside(own_s=6.0, loads_s=2.0, machine_s=9.0)
    noted.loads_closed_s = None
    assert book.attribute(measure(book, clock, 10.0), "training", noted) == Attribution()


def test_a_gpu_without_known_users_is_not_split(make_book, clock):
    """The CPU could be split by time, the GPU beside it cannot: the whole is unknown rather than half of it."""
    about = SensorDescription(
        name="gpu-0", kind="gpu", source="fake", quality=Quality.COUNTER, covers="GPU boards", joules_per_count=1e-3
    )
    card = FakeSensor(PowerProfile.constant(200.0), description=about, clock=clock)
    book = make_book((99.0, BOTH_W), extra=[card])
    noted = beside(own_s=5.0, loads_s=5.0, machine_s=10.0)
    assert book.attribute(measure(book, clock, 10.0), "training", noted) == Attribution()


def test_the_window_is_noted_around(make_book, clock):
    """Opening and closing note the CPU time of the loads; a load that has ended by then has none."""
    book, load = make_book((99.0, BOTH_W)), FakeLoad(clock, cores=3.0)
    noted = BesideLoad()
    book.open_window(noted, [load])
    clock.advance(4.0)
    book.note_end(noted, [load])
    assert noted.loads_cpu_s == pytest.approx(12.0)
    load.alive = False
    book.note_end(noted, [load])
    assert noted.loads_cpu_s is None
