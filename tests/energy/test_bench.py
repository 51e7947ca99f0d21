"""The simulated bench: meters with known imperfections on exact power profiles. The cases of docs/accuracy.md."""

from __future__ import annotations

import random
import statistics

import pytest

from pytest_parallel_energy.energy.meter import EnergyMeter
from pytest_parallel_energy.energy.sensor import SensorDescription
from pytest_parallel_energy.records.energy_values import Quality
from pytest_parallel_energy.testing import FakeSensor, Fault, FaultKind, PowerProfile, Traits, VirtualClock

POLL_S = 0.005


def card(**changes):
    """A GPU with a counter in millijoules, updated every 100 ms, without systematic error."""
    settings = {"name": "gpu-0", "kind": "gpu", "source": "fake", "quality": Quality.COUNTER, "covers": "GPU boards",
                "joules_per_count": 1e-3, "update_interval_s": 0.1}  # fmt: skip
    return SensorDescription(**(settings | changes))


def package(**changes):
    settings = {"name": "package-0", "kind": "cpu", "source": "fake", "quality": Quality.COUNTER,
                "covers": "CPU packages", "joules_per_count": 1e-6, "update_interval_s": 0.001}  # fmt: skip
    return SensorDescription(**(settings | changes))


class Bench:
    """One sensor, one meter, a clock of our own."""

    def __init__(self, profile, description, traits=None, phase_s=0.0):
        self.clock = VirtualClock()
        self.sensor = FakeSensor(profile, description=description, traits=traits, clock=self.clock)
        self.meter = EnergyMeter([self.sensor], clock_ns=self.clock, sleep=self.clock.advance).open()
        self._start_ns = self.clock()
        self.clock.advance(5.0 + phase_s)

    def measure(self, window_s, *, sample_s=1.0, edges=False, step_s=None):
        """The result of a window, and the true energy between its two ends."""
        window = self.window = self.meter.begin(edges=edges)
        window.step_s = step_s
        opened_s = self.now_s()
        left_s = window_s
        while left_s > 1e-9:
            self.clock.advance(min(sample_s, left_s))
            left_s -= sample_s
            if left_s > 1e-9:
                self.meter.sample()
        closed_s = self.now_s()
        return window.end(), self.sensor.truth_j(opened_s, closed_s)

    def now_s(self):
        return (self.clock() - self._start_ns) / 1e9


def relative_error(result, truth_j):
    return abs(result.total_j - truth_j) / truth_j


@pytest.mark.parametrize("update_s", [0.001, 0.02, 0.1, 0.5])
@pytest.mark.parametrize("window_s", [1.3, 10.0])
def test_v1_naive_windows(update_s, window_s):
    """Constant power, 5 % jitter: a naive window is off by no more than U/T, and the interval says as much."""
    for phase in range(20):
        traits = Traits(update_interval_s=update_s, jitter_ratio=0.05, seed=phase)
        bench = Bench(PowerProfile.constant(300.0), card(update_interval_s=update_s), traits, phase * update_s / 20)
        result, truth_j = bench.measure(window_s)
        assert relative_error(result, truth_j) <= 1.05 * update_s / window_s + 1e-6
        assert abs(result.total_j - truth_j) <= result.total_u95_j + 0.06 * update_s * 300


@pytest.mark.parametrize("update_s", [0.001, 0.02, 0.1, 0.5])
@pytest.mark.parametrize("window_s", [1.3, 10.0])
def test_v2_edge_closed_windows(update_s, window_s):
    """Closed on edges, the error is at most the polling interval over the length, however lazy the sensor is."""
    for phase in range(20):
        traits = Traits(update_interval_s=update_s, jitter_ratio=0.05, seed=phase)
        bench = Bench(PowerProfile.constant(300.0), card(update_interval_s=update_s), traits, phase * update_s / 20)
        result, truth_j = bench.measure(window_s, edges=True)
        assert relative_error(result, truth_j) <= POLL_S / window_s
        assert abs(result.total_j - truth_j) <= result.total_u95_j
        assert result.total_u95_j <= 0.02 * truth_j + update_s * 300, "the last update"


@pytest.mark.parametrize("update_s", [0.02, 0.1, 0.5])
def test_v2_a_load_that_begins_and_ends_with_the_window(update_s):
    """Idle before and after: the error stays a small part of the naive one, because the power outside is measured."""
    for phase in range(10):
        clock = VirtualClock()
        traits = Traits(update_interval_s=update_s, seed=phase)
        begins_s, ends_s = 5.0 + 3 * update_s + phase * update_s / 10, 15.0
        load = PowerProfile.steps([(begins_s, 60.0), (ends_s, 300.0), (99.0, 60.0)])
        sensor = FakeSensor(load, description=card(update_interval_s=update_s), traits=traits, clock=clock)
        start_ns = clock()
        with EnergyMeter([sensor], clock_ns=clock, sleep=clock.advance) as meter:
            clock.advance(5.0 - 2 * update_s)
            window = meter.begin(edges=True)
            clock.advance(begins_s + ends_s - (clock() - start_ns) / 1e9)
            result = window.end()
        truth_j = sensor.truth_j(begins_s + ends_s - result.window_s, begins_s + ends_s)
        assert abs(result.total_j - truth_j) < 0.1 * update_s * 300 + 1e-3
        assert abs(result.total_j - truth_j) <= result.total_u95_j


@pytest.mark.parametrize("period_s", [0.025, 0.1, 0.13, 0.8])
@pytest.mark.parametrize(("averaging_s", "update_s"), [(0.01, 0.02), (0.025, 0.1), (0.1, 0.1), (1.0, 0.1)])
def test_v3_square_waves_on_part_time_sensors(period_s, averaging_s, update_s):
    """Integrated power of square waves: the error is within the printed interval, or the window is called aliased."""
    about = card(joules_per_count=None, quality=Quality.INTEGRATED, update_interval_s=update_s, averaging_s=averaging_s)
    inside = 0
    for phase in range(20):
        bench = Bench(
            PowerProfile.square(80.0, 320.0, period_s),
            about,
            Traits(update_interval_s=update_s, averaging_s=averaging_s, seed=phase),
            phase * period_s / 20,
        )
        result, truth_j = bench.measure(10.0, sample_s=update_s, step_s=period_s)
        aliased = any(flag.startswith("aliased") for flag in bench.window.flags)
        inside += aliased or abs(result.total_j - truth_j) <= result.total_u95_j
    assert inside >= 19


def test_v3_spread_of_a_quarter_time_sensor():
    """25 ms of every 100 ms, a wave of 130 ms, 10 s: the errors' standard deviation is below 0.67 % of the energy."""
    about = card(joules_per_count=None, quality=Quality.INTEGRATED, update_interval_s=0.1, averaging_s=0.025)
    errors = []
    for phase in range(60):
        traits = Traits(update_interval_s=0.1, averaging_s=0.025, seed=phase)
        bench = Bench(PowerProfile.square(80.0, 320.0, 0.13), about, traits, phase * 0.13 / 60)
        result, truth_j = bench.measure(10.0, sample_s=0.1, step_s=0.13)
        errors.append(result.total_j / truth_j - 1)
        assert not any(flag.startswith("aliased") for flag in bench.window.flags)
    assert statistics.stdev(errors) <= 0.0067


def test_v4_aliasing_is_found_and_phase_shifts_cure_it():
    """A wave of 100 ms on 25 of 100 ms: flagged; the mean over eight phase shifts is within 1 %."""
    about = card(update_interval_s=0.1, averaging_s=0.025)
    traits = Traits(update_interval_s=0.1, averaging_s=0.025, part_time=True, seed=3)
    ratios = []
    for shift in range(8):
        bench = Bench(_shifted_wave(80.0, 320.0, 0.1, shift / 8), about, traits)
        result, truth_j = bench.measure(10.0, step_s=0.1)
        assert any(flag.startswith("aliased: gpu-0 sees 25%") for flag in bench.window.flags)
        ratios.append(result.total_j / truth_j)
    assert max(abs(ratio - 1) for ratio in ratios) > 0.1, "each run alone is far off"
    assert abs(statistics.mean(ratios) - 1) <= 0.01


def _shifted_wave(low_w, high_w, period_s, share):
    """A square wave whose high half begins at a share of the period."""
    if share == 0:
        return PowerProfile.square(low_w, high_w, period_s)
    first, second = share * period_s, (share + 0.5) * period_s
    if second < period_s:
        return PowerProfile(starts_s=(0.0, first, second), watts=(low_w, high_w, low_w), period_s=period_s)
    if second == period_s:
        return PowerProfile(starts_s=(0.0, first), watts=(low_w, high_w), period_s=period_s)
    return PowerProfile(starts_s=(0.0, second - period_s, first), watts=(high_w, low_w, high_w), period_s=period_s)


def test_v4_inner_windows_reveal_the_step():
    """Ten inner windows of equal length are the steps: aliasing is found without being told the step time."""
    about = card(update_interval_s=0.1, averaging_s=0.025)
    clock = VirtualClock()
    sensor = FakeSensor(PowerProfile.constant(100.0), description=about, clock=clock)
    with EnergyMeter([sensor], clock_ns=clock) as meter, meter.window() as window:
        for number in range(20):
            with meter.window(f"step-{number}"):
                clock.advance(0.2)
    assert any(flag.startswith("aliased") for flag in window.flags)


RANGE = 1_000_000_000


@pytest.mark.parametrize("wraps", [0, 1, 2, 5])
@pytest.mark.parametrize("start", [0, 1, RANGE // 2, RANGE - 1])
def test_v5_wraps_cost_nothing(wraps, start):
    """Whatever the number of wraps and their instant, the energy is exact."""
    about = package(wraps_at_counts=RANGE, max_w=450.0)
    bench = Bench(PowerProfile.constant(400.0), about, Traits(start_count=start))
    window_s = (wraps * RANGE * 1e-6 + 100.0) / 400.0
    result, truth_j = bench.measure(window_s)
    assert result.total_j == pytest.approx(truth_j, abs=3e-6)


def test_v5_two_sockets_out_of_phase_and_dram():
    """Each zone wraps on its own: no sum is taken before the difference."""
    clock = VirtualClock()
    zones = [("package-0", "cpu", RANGE - 10), ("package-1", "cpu", RANGE // 3), ("dram-0", "dram", RANGE - 1)]
    sensors = [
        FakeSensor(PowerProfile.constant(200.0), clock=clock, traits=Traits(start_count=start),
                   description=package(name=name, kind=kind, wraps_at_counts=RANGE, max_w=450.0))
        for name, kind, start in zones
    ]  # fmt: skip
    with EnergyMeter(sensors, clock_ns=clock) as meter, meter.window() as window:
        for _ in range(6):
            clock.advance(1.0)
            meter.sample()
    assert window.result.total_j == pytest.approx(3600.0, abs=1e-5)
    assert [domain.wraps for domain in window.result.domains] == [2, 1, 2]


def test_v5_too_long_a_gap_is_refused():
    """If more than half a range may have gone by between two readings, there is no number."""
    bench = Bench(PowerProfile.constant(400.0), package(wraps_at_counts=RANGE, max_w=450.0))
    result, _ = bench.measure(10.0, sample_s=2.0)
    assert result.total_j is None
    assert "wrapped unseen" in result.domains[0].reason


def test_v6_a_sign_extended_counter_is_never_negative():
    """280 W at 2⁻¹⁶ J: 163.84 s between kernel reads step beyond 31 bits; the value that comes back is refused."""
    clock = VirtualClock()
    about = package(joules_per_count=2.0**-16, source="perf")
    step = round(280 * 163.84 * 2**16)
    signed = step - 2**32 if step >= 2**31 else step

    class Kernel:
        description = about
        value = 5 * 2**31

        def read(self):
            from pytest_parallel_energy.energy.sensor import Reading

            return Reading(counter=self.value)

        def close(self):
            pass

    sensor = Kernel()
    with EnergyMeter([sensor], clock_ns=clock) as meter, meter.window() as window:
        clock.advance(163.84)
        sensor.value += signed
    assert signed < 0
    assert window.result.total_j is None
    assert "backwards" in window.result.domains[0].reason


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(kind=FaultKind.RESET, at_s=9.0), "reset"),
        (Fault(kind=FaultKind.STUCK, at_s=9.0), "not moved"),
        (Fault(kind=FaultKind.STUCK, at_s=0.0), "not moved"),
        (Fault(kind=FaultKind.ZERO, at_s=0.0), "not moved"),
        (Fault(kind=FaultKind.ZERO, at_s=9.0, until_s=9.5), "backwards|reset|jumped"),
        (Fault(kind=FaultKind.NEGATIVE, at_s=9.0, until_s=9.5), "negative"),
        (Fault(kind=FaultKind.OFFSET, at_s=9.0, until_s=9.5, amount=2_000_000), "jumped|backwards"),
        (Fault(kind=FaultKind.OFFSET, at_s=9.0, amount=2_000_000), "jumped"),
    ],
    ids=["reset", "stuck", "stuck-always", "always-0", "drop-and-return", "negative", "spike", "jump"],
)
def test_v7_faulty_counters_give_no_number(fault, words):
    """Whatever a counter does wrong: flagged, and no number."""
    bench = Bench(PowerProfile.constant(300.0), card(max_w=400.0), Traits(faults=(fault,)))
    result, _ = bench.measure(10.0, sample_s=0.2)
    assert result.total_j is None
    assert result.quality is Quality.MISSING
    assert any(word in result.domains[0].reason for word in words.split("|"))
    assert bench.window.flags


def test_v8_lost_samples_and_wall_clock_steps(monkeypatch):
    """A tenth of the readings lost, the wall clock an hour off and back: below 0.5 %."""
    import time

    monkeypatch.setattr(time, "time", lambda: random.Random().choice([0.0, 3600.0]))
    losses = tuple(Fault(kind=FaultKind.RAISES, at_s=5.45 + n, until_s=5.55 + n) for n in range(50))
    about = card(joules_per_count=None, quality=Quality.INTEGRATED)
    for description in (about, card()):
        bench = Bench(PowerProfile.square(250.0, 300.0, 7.0), description, Traits(faults=losses))
        result, truth_j = bench.measure(35.0, sample_s=0.1)
        assert relative_error(result, truth_j) < 0.005
        assert any("readings of gpu-0 failed" in flag for flag in bench.window.flags)


def test_v9_a_starved_sampler():
    """Five seconds without a sample change nothing in a counter, and flag an integral."""
    about = card(joules_per_count=None, quality=Quality.INTEGRATED)
    flags = {}
    for name, description in (("counter", card()), ("integral", about)):
        bench = Bench(PowerProfile.constant(300.0), description)
        window = bench.meter.begin()
        for pause_s in (1.0, 1.0, 5.0, 1.0):
            bench.clock.advance(pause_s)
            bench.meter.sample()
        result = window.end()
        assert result.total_j == pytest.approx(2400.0, rel=1e-3)
        assert window.measurement().max_gap_s == pytest.approx(5.0)
        flags[name] = any("bridged" in flag for flag in window.flags)
    assert flags == {"counter": False, "integral": True}


@pytest.mark.parametrize("shape", ["normal", "uniform"])
def test_v10_the_interval_covers_the_truth(shape):
    """Gain ± 4 %, offset ± 6 W, 1000 seeds: at least 95 % inside, and no wider than 1.5 times what is needed."""
    about = (
        card(gain_ratio=0.04, offset_w=6.0)
        if shape == "normal"
        else card(gain_ratio=0.04 / 3**0.5, offset_w=6 / 3**0.5)
    )
    inside, errors_j, u95_j = 0, [], 0.0
    for seed in range(1000):
        chance = random.Random(seed)
        draw = (
            chance.gauss if shape == "normal" else lambda _middle, bound, chance=chance: chance.uniform(-bound, bound)
        )
        traits = Traits(
            update_interval_s=0.1, seed=seed, gain_error_ratio=draw(0.0, 0.04), offset_error_w=draw(0.0, 6.0)
        )
        bench = Bench(PowerProfile.constant(chance.uniform(250.0, 350.0)), about, traits)
        result, truth_j = bench.measure(30.0, sample_s=10.0, edges=True)
        inside += abs(result.total_j - truth_j) <= result.total_u95_j
        errors_j.append(abs(result.total_j - truth_j))
        u95_j = max(u95_j, result.total_u95_j)
    needed_j = sorted(errors_j)[949]
    assert inside >= 950
    assert u95_j <= 1.5 * needed_j


def test_v10_ratios_on_one_device_cancel_the_gain():
    """The same card with 4 % too much: the ratio of two windows is right within 0.1 %."""
    bench = Bench(
        PowerProfile.steps([(40.0, 200.0), (99.0, 300.0)]), card(), Traits(gain_error_ratio=0.04, update_interval_s=0.1)
    )
    first, first_j = bench.measure(20.0, edges=True)
    bench.clock.advance(20.0)
    second, second_j = bench.measure(20.0, edges=True)
    assert second.total_j / first.total_j == pytest.approx(second_j / first_j, rel=1e-3)


def test_v15_a_quantum_of_a_joule():
    """The interval of psys in whole joules holds the quantum, at any phase."""
    about = SensorDescription(name="psys", kind="psys", source="fake", quality=Quality.COUNTER, covers="psys",
                              contains=frozenset({"cpu"}), joules_per_count=1e-6, resolution_counts=1_000_000,
                              update_interval_s=0.001)  # fmt: skip
    for phase in range(20):
        bench = Bench(PowerProfile.constant(7.3), about, Traits(update_interval_s=0.001, seed=phase), phase / 20)
        result, truth_j = bench.measure(3.21)
        assert result.total_u95_j >= 1.0
        assert abs(result.total_j - truth_j) <= result.total_u95_j


def noisy_idle(noise_w):
    """A RAPL package at 40 W with noise from sample to sample, seen by an idle leg of five seconds."""
    chance = random.Random(4)
    pieces = [(0.2, max(1.0, chance.gauss(40.0, noise_w))) for _ in range(200)]
    clock = VirtualClock()
    sensor = FakeSensor(PowerProfile.steps(pieces), description=package(), clock=clock)
    meter = EnergyMeter([sensor], clock_ns=clock, sleep=clock.advance).open()
    leg = meter.measure_idle(5.0, busy_s=lambda: 0.0)
    with meter.window() as window:
        clock.advance(1.0)
    return leg, window


def test_v12_filtered_noise_costs_the_label():
    """An idle CV of 18 % on a quiet host is energy filtering: no longer 'counter', and flagged; 5 % is nothing."""
    leg, window = noisy_idle(0.18 * 40)
    assert leg.cv_ratio["package-0"] > 0.10
    assert window.quality is Quality.INTEGRATED
    assert any("energy filtering" in flag for flag in window.flags)
    leg, window = noisy_idle(0.05 * 40)
    assert window.quality is Quality.COUNTER
    assert not any("filtering" in flag for flag in window.flags)


def test_idle_leg_gives_what_is_above_idle():
    """After an idle leg a window tells the idle part and what is above it."""
    clock = VirtualClock()
    sensor = FakeSensor(PowerProfile.steps([(6.0, 40.0), (99.0, 140.0)]), description=package(), clock=clock)
    meter = EnergyMeter([sensor], clock_ns=clock, sleep=clock.advance).open()
    assert meter.measure_idle(5.0).mean_w == pytest.approx(40.0)
    clock.advance(5.0)
    with meter.window() as window:
        clock.advance(10.0)
    assert window.result.idle_j == pytest.approx(400.0)
    assert window.result.above_idle_j == pytest.approx(1000.0)


def test_v14_the_samplers_own_cost(tmp_path):
    """Sampling a tree on disk takes less than 0.5 % of a core at the default rate, and the record says so."""
    from pytest_parallel_energy.testing import PowercapTree

    tree = PowercapTree(tmp_path)
    clock = VirtualClock()
    with EnergyMeter("powercap", sysfs_root=tree.root, clock_ns=clock) as meter, meter.window() as window:
        for _ in range(50):
            clock.advance(1.0)
            meter.sample()
    result = window.result
    assert 0 < window.measurement().sampler_cpu_s < 0.005 * result.window_s
