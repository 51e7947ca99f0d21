"""The arithmetic of energy attribution, with a meter of fake sensors and a clock that the test advances."""

from __future__ import annotations

import pytest
from copied import replace

from pytest_parallel_energy.energy.meter import EnergyMeter
from pytest_parallel_energy.energy.sensor import SensorDescription
from pytest_parallel_energy.host.cpu_use import CpuUse
from pytest_parallel_energy.records.record import Attribution, Quality
from pytest_parallel_energy.run.legs import LegBook, WindowNotes
from pytest_parallel_energy.run.load_leg import LoadLeg
from pytest_parallel_energy.run.window_watch import CpuMoment
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
        return LegBook(meter=meter, leg_s=leg_s, new_watch=lambda *_: FakeWatch(clock))

    yield make
    for meter in meters:
        meter.close()


class FakeWatch:
    """Processes that use a fixed number of cores each, on the clock of the test."""

    def __init__(self, clock, *, own=0.0, loads=2.0, others=0.0, gpus=None):
        self._clock, self._own, self._loads, self._others = clock, own, loads, others
        self._gpus = gpus or {}

    def poll(self):
        """There is nothing to read."""

    @property
    def began(self):
        """The moment at which it began: now."""
        return self.moment()

    def moment(self):
        at_s = self._clock() / 1e9
        return CpuMoment(
            at_s=at_s,
            foreground_s=at_s * self._own,
            loads_s={"load 1": at_s * self._loads},
            machine_s=at_s * (self._own + self._loads + self._others),
        )

    def gpu_shares(self, name):
        return self._gpus.get(name)


def measure(book, clock, seconds):
    """A window of this length."""
    with book.meter.window() as window:
        clock.advance(seconds)
    return window.result


def noted(*, own_s, loads_s, machine_s, seconds=10.0, leg=None):
    """Notes of a test whose processes, loads and machine used these CPU seconds in its window."""
    return WindowNotes(
        leg=leg,
        watch=FakeWatch(lambda: 0),
        opened=CpuMoment(at_s=100.0, foreground_s=5.0, loads_s={"load 1": 7.0}, machine_s=1000.0),
        closed=CpuMoment(
            at_s=100.0 + seconds,
            foreground_s=5.0 + own_s,
            loads_s={"load 1": 7.0 + loads_s},
            machine_s=None if machine_s is None else 1000.0 + machine_s,
        ),
    )


def load_leg(mean_w=BACKGROUND_W, *, cores=1.0, own=0.0, others=0.0):
    """The loads alone for 2 s."""
    return LoadLeg(
        mean_w=mean_w,
        use=CpuUse(seconds=2.0, foreground_s=2 * own, background_s=2 * cores, machine_s=2 * (cores + own + others)),
    )


def quiet_idle(book, clock):
    """The idle leg of a machine on which nothing else runs."""
    leg = book.meter.measure_idle(5.0, busy_s=lambda: 0.0)
    assert leg.busy_ratio == 0.0
    clock.advance(2.0)


def test_alone_everything_above_idle_is_the_foreground(make_book, clock):
    """60 W for 10 s over 20 W of idle power: 400 J are the foreground's, 200 J are idle, none are of a load."""
    book = make_book((6.0, IDLE_W), (99.0, FOREGROUND_W))
    quiet_idle(book, clock)
    notes = noted(own_s=10.0, loads_s=0.0, machine_s=10.0)
    found = book.attribute(measure(book, clock, 10.0), "training", notes, loaded=False)
    assert (found.foreground_j, found.background_j, found.idle_j) == pytest.approx((400.0, 0.0, 200.0), rel=1e-4)
    assert (found.other_j, found.method) == (0.0, "alone above idle")
    assert found.low_j <= 400.0 <= found.high_j


def test_alone_strangers_have_their_part(make_book, clock):
    """Other processes used three quarters of the CPU time: three quarters of what is above idle are theirs."""
    book = make_book((6.0, IDLE_W), (99.0, FOREGROUND_W))
    quiet_idle(book, clock)
    notes = noted(own_s=5.0, loads_s=0.0, machine_s=20.0)
    found = book.attribute(measure(book, clock, 10.0), "training", notes, loaded=False)
    assert (found.foreground_j, found.other_j) == pytest.approx((100.0, 300.0), rel=1e-4)
    assert (found.other_cpu_s, found.other_cpu_ratio) == pytest.approx((15.0, 0.75))
    assert found.low_j <= 400 * 0.25 / (0.25 + 2 * 0.75)
    assert found.high_j >= 150.0


def test_the_usual_use_of_others_is_part_of_the_idle_power(make_book, clock):
    """What other processes used in the idle leg too is in the idle power, and in nobody's share."""
    book = make_book((6.0, IDLE_W), (99.0, FOREGROUND_W))
    quiet_idle(book, clock)
    book.meter.idle = replace(book.meter.idle, busy_ratio=1.0)
    notes = noted(own_s=5.0, loads_s=0.0, machine_s=5.0 + 10.0)
    found = book.attribute(measure(book, clock, 10.0), "training", notes, loaded=False)
    assert found.foreground_j == pytest.approx(400.0, rel=1e-4)
    assert found.other_cpu_ratio == pytest.approx(2 / 3)


def test_alone_without_idle_power_the_whole_is_split_by_use(make_book, clock):
    """Without an idle leg the share is one of the whole energy; the interval of the test's own joules begins at 0."""
    book = make_book((99.0, FOREGROUND_W))
    notes = noted(own_s=5.0, loads_s=0.0, machine_s=10.0)
    found = book.attribute(measure(book, clock, 10.0), "training", notes, loaded=False)
    assert found.foreground_j == pytest.approx(300.0)
    assert found.method == "share of CPU time, idle power included"
    assert found.low_j == 0.0


def test_a_missing_total_is_not_attributed(clock):
    """Without a sensor every owner's joules are unknown, also beside a load."""
    with EnergyMeter([], clock_ns=clock) as meter:
        book = LegBook(meter=meter, leg_s=2.0)
        notes = noted(own_s=5.0, loads_s=5.0, machine_s=10.0)
        assert book.attribute(measure(book, clock, 10.0), "training", notes, loaded=True) == Attribution()


def test_the_loads_are_measured_alone(make_book, clock):
    """The leg is the machine's mean power while only the loads run, with their CPU seconds per second."""
    book = make_book((6.0, IDLE_W), (99.0, BACKGROUND_W))
    quiet_idle(book, clock)
    leg = book.measure_loads([object()])
    assert (leg.mean_w, leg.rate) == pytest.approx((BACKGROUND_W, 2.0), rel=1e-4)
    assert leg.flags() == ()


@pytest.mark.parametrize(("idle", "leg_s", "loads"), [(False, 2.0, 1), (True, 0.0, 1), (True, 2.0, 0)])
def test_no_leg_without_idle_power_length_or_load(make_book, clock, idle, leg_s, loads):
    """The loads alone are not measured where their leg would say nothing; no time passes."""
    book = make_book((99.0, IDLE_W), leg_s=leg_s)
    if idle:
        book.meter.measure_idle(5.0)
    before_ns = clock()
    assert book.measure_loads([object()] * loads) is None
    assert clock() == before_ns


def test_work_of_the_test_in_the_leg_of_the_load_is_told_and_taken_out(make_book, clock):
    """A pool of the test that works while the load is measured alone is flagged, and its power is not the load's."""
    book = make_book((6.0, IDLE_W), (99.0, BOTH_W))
    quiet_idle(book, clock)
    leg = load_leg(BACKGROUND_W + 30.0, cores=1.0, own=1.0)
    notes = noted(own_s=10.0, loads_s=10.0, machine_s=20.0, leg=leg)
    found = book.attribute(measure(book, clock, 10.0), "training", notes, loaded=True)
    assert any("processes of the test used 2.0 s of CPU time in 2.0 s" in flag for flag in found.flags)
    assert found.background_j == pytest.approx(300.0, rel=1e-4)


def test_with_the_loads_leg_alone_the_foreground_has_the_rest(make_book, clock):
    """100 W together, 20 W idle, 50 W of the load alone at the same rate: 50 W are the foreground's."""
    book = make_book((6.0, IDLE_W), (99.0, BOTH_W))
    quiet_idle(book, clock)
    notes = noted(own_s=10.0, loads_s=10.0, machine_s=20.0, leg=load_leg())
    found = book.attribute(measure(book, clock, 10.0), "training", notes, loaded=True)
    shares_j = (found.foreground_j, found.background_j, found.idle_j)
    assert shares_j == pytest.approx((500.0, 300.0, 200.0), rel=1e-4)
    assert (found.method, found.interference_j) == ("marginal", None)


def test_a_slowed_load_is_charged_less(make_book, clock):
    """A load that runs at half of its own rate beside the test accounts for half of its own power."""
    book = make_book((6.0, IDLE_W), (99.0, BOTH_W))
    quiet_idle(book, clock)
    notes = noted(own_s=10.0, loads_s=5.0, machine_s=15.0, leg=load_leg())
    found = book.attribute(measure(book, clock, 10.0), "training", notes, loaded=True)
    assert (found.foreground_j, found.background_j) == pytest.approx((650.0, 150.0), rel=1e-4)


def test_a_remembered_leg_gives_shapley_shares_and_interference(make_book, clock):
    """Alone 60 W for 8 s, together 100 W for 10 s: both solo legs are known, so slowdown and interference are too."""
    book = make_book((6.0, IDLE_W), (9.0, FOREGROUND_W), (99.0, BOTH_W))
    quiet_idle(book, clock)
    alone = noted(own_s=8.0, loads_s=0.0, machine_s=8.0, seconds=8.0)
    book.remember(measure(book, clock, 8.0), "training", alone)
    clock.advance(2.0)
    notes = noted(own_s=10.0, loads_s=10.0, machine_s=20.0, leg=load_leg())
    found = book.attribute(measure(book, clock, 10.0), "training", notes, loaded=True)
    # alone: 40 W above idle, scaled to 8/10 of the rate; marginal: 80 W above idle without the 30 W of the load
    assert found.method == "shapley"
    assert (found.low_j, found.high_j) == pytest.approx((320.0, 500.0), rel=1e-3)
    assert (found.foreground_j, found.background_j) == pytest.approx((410.0, 390.0), rel=1e-4)
    assert found.interference_j == pytest.approx(180.0, rel=1e-4)
    assert found.slowdown_ratio == pytest.approx(1.25)


def test_a_test_that_works_for_a_fixed_time_is_told(make_book, clock):
    """As long as alone with half of the CPU time: less work was done, so that no slowdown can be known."""
    book = make_book((6.0, IDLE_W), (11.0, FOREGROUND_W), (99.0, BOTH_W))
    quiet_idle(book, clock)
    alone = noted(own_s=10.0, loads_s=0.0, machine_s=10.0)
    book.remember(measure(book, clock, 10.0), "training", alone)
    clock.advance(2.0)
    notes = noted(own_s=5.0, loads_s=5.0, machine_s=10.0, leg=load_leg())
    found = book.attribute(measure(book, clock, 10.0), "training", notes, loaded=True)
    assert found.slowdown_ratio is None
    assert found.low_j == pytest.approx(200.0, rel=1e-3)  # 40 W above idle alone, at half of the rate, for 10 s
    assert any("so it did less work" in flag for flag in found.flags)


def test_the_leg_of_other_work_is_not_used(make_book, clock):
    """Only the same work is compared: another training's leg leaves the method at ``marginal``."""
    book = make_book((6.0, IDLE_W), (99.0, BOTH_W))
    quiet_idle(book, clock)
    notes = noted(own_s=10.0, loads_s=10.0, machine_s=20.0, leg=load_leg())
    book.remember(measure(book, clock, 8.0), "another training", notes)
    assert book.attribute(measure(book, clock, 10.0), "training", notes, loaded=True).method == "marginal"


def test_without_legs_cpu_time_decides(make_book, clock):
    """1000 J, of which the test used half of the busy time, its load a quarter and other programs a quarter."""
    book = make_book((99.0, BOTH_W))
    notes = noted(own_s=10.0, loads_s=5.0, machine_s=20.0)
    found = book.attribute(measure(book, clock, 10.0), "training", notes, loaded=True)
    assert (found.foreground_j, found.background_j, found.other_j) == pytest.approx((500.0, 250.0, 250.0))
    assert (found.idle_j, found.method) == (None, "share of CPU time, idle power included")


def test_shares_are_of_the_energy_above_idle(make_book, clock):
    """With idle power but without a leg of the load, the 800 J above idle are split and 200 J are idle."""
    book = make_book((6.0, IDLE_W), (99.0, BOTH_W))
    quiet_idle(book, clock)
    notes = noted(own_s=10.0, loads_s=10.0, machine_s=20.0)
    found = book.attribute(measure(book, clock, 10.0), "training", notes, loaded=True)
    shares_j = (found.foreground_j, found.background_j, found.idle_j)
    assert shares_j == pytest.approx((400.0, 400.0, 200.0), rel=1e-4)
    assert found.method == "share of CPU time"


@pytest.mark.parametrize("machine_s", [None, 0.0, 3.0])
def test_a_container_that_hides_the_machine_does_not_create_energy(make_book, clock, machine_s):
    """Where /proc/stat shows less than the test and its load used, these two share everything; others are unknown."""
    book = make_book((99.0, BOTH_W))
    notes = noted(own_s=6.0, loads_s=2.0, machine_s=machine_s)
    found = book.attribute(measure(book, clock, 10.0), "training", notes, loaded=True)
    assert (found.foreground_j, found.background_j, found.other_j) == pytest.approx((750.0, 250.0, 0.0))
    assert (found.other_cpu_s, found.other_cpu_ratio) == (None, None)


def test_a_gpu_without_known_users_is_not_split(make_book, clock):
    """The CPU could be split by time, the GPU beside it cannot: the whole is unknown rather than half of it."""
    about = SensorDescription(
        name="gpu-0", kind="gpu", source="fake", quality=Quality.COUNTER, covers="GPU boards", joules_per_count=1e-3
    )
    card = FakeSensor(PowerProfile.constant(200.0), description=about, clock=clock)
    book = make_book((99.0, BOTH_W), extra=[card])
    notes = noted(own_s=5.0, loads_s=5.0, machine_s=10.0)
    found = book.attribute(measure(book, clock, 10.0), "training", notes, loaded=True)
    assert (found.foreground_j, found.method, found.other_cpu_s) == (None, "none", 0.0)


def test_the_window_is_noted_around(make_book, clock):
    """The loads and others work while the meter waits for its sensors too, the test in its window alone."""
    book = make_book((99.0, BOTH_W))
    notes = WindowNotes()
    book.open_window(notes, list)
    clock.advance(4.0)
    book.note_end(notes)
    assert notes.use(4.0).background_s == pytest.approx(8.0)
    assert notes.use(2.0).background_s == pytest.approx(4.0)
    assert notes.use(2.0).seconds == 2.0
