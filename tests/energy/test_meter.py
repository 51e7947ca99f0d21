"""The meter and its windows."""

from __future__ import annotations

import threading
import time

import pytest

from pytest_parallel_energy.energy.meter import EnergyMeter
from pytest_parallel_energy.energy.sensor import Reading, SensorDescription
from pytest_parallel_energy.errors import ConfigError, ParallelEnergyError, SensorError
from pytest_parallel_energy.records.energy_values import Quality
from pytest_parallel_energy.testing import (
    FakeSensor,
    Fault,
    FaultKind,
    PowercapTree,
    PowerProfile,
    Traits,
    VirtualClock,
)


def gpu(**changes):
    settings = {"name": "gpu-0", "kind": "gpu", "source": "fake", "quality": Quality.COUNTER, "covers": "GPU boards",
                "joules_per_count": 1e-3, "update_interval_s": 0.1}  # fmt: skip
    return SensorDescription(**(settings | changes))


@pytest.fixture
def clock():
    return VirtualClock()


def meter_of(clock, *sensors):
    return EnergyMeter(sensors, clock_ns=clock)


def test_window_has_the_true_energy(clock):
    """A counter at 100 W for 2 s gives 200 J, with its interval and boundary."""
    with meter_of(clock, FakeSensor(PowerProfile.constant(100.0), clock=clock)) as meter:
        with meter.window("epoch") as window:
            clock.advance(2.0)
        result = window.result
    assert result.total_j == pytest.approx(200.0)
    assert (result.name, result.window_s, result.mean_w) == ("epoch", 2.0, pytest.approx(100.0))
    assert result.quality is Quality.COUNTER
    assert result.boundary == "CPU packages; without DRAM, board, power supply"


def test_parts_add_up_and_the_worst_label_wins(clock):
    """CPU by counter and GPU by integrated power: the total is 'integrated'."""
    cpu = FakeSensor(PowerProfile.constant(100.0), clock=clock)
    card = FakeSensor(
        PowerProfile.constant(300.0), clock=clock, description=gpu(joules_per_count=None, quality=Quality.INTEGRATED)
    )
    with meter_of(clock, cpu, card) as meter, meter.window() as window:
        clock.advance(1.0)
    result = window.result
    assert (result.cpu_j, result.gpu_j) == (pytest.approx(100.0), pytest.approx(300.0))
    assert result.total_j == pytest.approx(400.0)
    assert result.quality is Quality.INTEGRATED
    assert result.boundary == "CPU packages + GPU boards; without DRAM, board, power supply"


def test_windows_nest(clock):
    """An inner window lands in the outer one's windows, in order of closing."""
    sensor = FakeSensor(PowerProfile.constant(10.0), clock=clock)
    with meter_of(clock, sensor) as meter, meter.window("outer") as outer:
        for name in ("a", "b"):
            with meter.window(name), meter.window(f"{name}-inner"):
                clock.advance(1.0)
    result = outer.result
    assert [inner.name for inner in result.windows] == ["a", "b"]
    assert result.windows[0].windows[0].name == "a-inner"
    assert [inner.start_s for inner in result.windows] == [0.0, 1.0]
    assert sum(inner.total_j for inner in result.windows) == pytest.approx(result.total_j)


def test_window_of_another_thread_nests_too(clock):
    """A window opened in a worker thread belongs to the one that is open."""
    sensor = FakeSensor(PowerProfile.constant(10.0), clock=clock)
    with meter_of(clock, sensor) as meter, meter.window("outer") as outer:
        thread = threading.Thread(target=lambda: meter.begin("worker").end())
        thread.start()
        thread.join()
    assert [inner.name for inner in outer.result.windows] == ["worker"]


def test_windows_of_threads_belong_to_their_own_context(clock):
    """Threads that nest windows at the same time: each step lands in its own epoch, and none is lost."""
    sensor = FakeSensor(PowerProfile.constant(10.0), clock=clock)
    both_open, both_closed = threading.Barrier(3), threading.Barrier(3)

    def train(number):
        with meter.window(f"epoch-{number}"):
            both_open.wait(10)
            for step in range(20):
                with meter.window(f"{number}/step-{step}"):
                    clock.advance(0.001)
            both_closed.wait(10)

    with meter_of(clock, sensor) as meter, meter.window("outer") as outer:
        threads = [threading.Thread(target=train, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    epochs = outer.result.windows
    assert sorted(epoch.name for epoch in epochs) == ["epoch-0", "epoch-1", "epoch-2"]
    for epoch in epochs:
        number = epoch.name.removeprefix("epoch-")
        assert [step.name for step in epoch.windows] == [f"{number}/step-{step}" for step in range(20)]


def test_windows_of_a_task_belong_to_the_window_of_the_task(clock):
    """Interleaved tasks nest their windows each by itself; a window that outlives its own lands in the next one out."""
    import asyncio

    sensor = FakeSensor(PowerProfile.constant(10.0), clock=clock)

    async def train(number):
        with meter.window(f"task-{number}"):
            await asyncio.sleep(0)
            with meter.window(f"{number}-inner"):
                await asyncio.sleep(0)

    async def both():
        await asyncio.gather(train(0), train(1))

    with meter_of(clock, sensor) as meter, meter.window("outer") as outer:
        asyncio.run(both())
        epoch = meter.begin("epoch")
        late = meter.begin("late")
        epoch.end()
        late.end()
    assert [(each.name, [inner.name for inner in each.windows]) for each in outer.result.windows] == [
        ("task-0", ["0-inner"]), ("task-1", ["1-inner"]), ("epoch", []), ("late", []),
    ]  # fmt: skip


def test_snapshot_while_open(clock):
    """An open window tells the energy so far, and goes on."""
    with meter_of(clock, FakeSensor(PowerProfile.constant(100.0), clock=clock)) as meter:
        window = meter.begin()
        clock.advance(1.0)
        assert window.total_j == pytest.approx(100.0)
        clock.advance(1.0)
        assert window.end().total_j == pytest.approx(200.0)
        clock.advance(1.0)
        assert window.total_j == pytest.approx(200.0)


def test_time_between_windows_is_nobodys(clock):
    """An hour without a window disturbs neither neighbour."""
    with meter_of(clock, FakeSensor(PowerProfile.constant(100.0), clock=clock)) as meter:
        for _ in range(2):
            window = meter.begin()
            clock.advance(1.0)
            assert window.end().total_j == pytest.approx(100.0)
            clock.advance(3600.0)


def test_no_sensor_is_missing_not_zero(tmp_path):
    """Without any sensor the total is None, and a flag has the reasons."""
    with EnergyMeter("powercap", sysfs_root=tmp_path) as meter:
        window = meter.begin()
        result = window.end()
    assert result.total_j is None
    assert result.quality is Quality.MISSING
    assert window.flags[0] == "no energy sensor was found"
    assert "does not exist" in window.flags[1]


def test_a_sensor_that_fails_at_the_end_hides_nothing(clock):
    """The broken domain is missing with its reason, the total is None, the other domain keeps its joules."""
    fault = Fault(kind=FaultKind.RAISES, at_s=1.5)
    cpu = FakeSensor(PowerProfile.constant(100.0), clock=clock)
    card = FakeSensor(PowerProfile.constant(1.0), clock=clock, description=gpu(), traits=Traits(faults=(fault,)))
    with meter_of(clock, cpu, card) as meter, meter.window() as window:
        clock.advance(2.0)
    result = window.result
    assert (result.total_j, result.gpu_j, result.cpu_j) == (None, None, pytest.approx(200.0))
    assert "told to fail" in result.domains[1].reason
    assert any("gpu-0 (fake) is missing" in flag for flag in window.flags)


def test_a_sensor_that_recovers_keeps_its_counter(clock):
    """Readings that fail in between are flagged; the counter's difference stands."""
    fault = Fault(kind=FaultKind.RAISES, at_s=0.5, until_s=1.5)
    sensor = FakeSensor(PowerProfile.constant(100.0), clock=clock, traits=Traits(faults=(fault,)))
    with meter_of(clock, sensor) as meter, meter.window() as window:
        for _ in range(4):
            clock.advance(0.5)
            meter.sample()
    assert window.result.total_j == pytest.approx(200.0)
    assert "2 of 5 readings of package-0 failed" in " ".join(window.flags)


class _Odd:
    description = SensorDescription(
        name="odd", kind="wall", source="mine", quality=Quality.COUNTER, covers="all", joules_per_count=1.0
    )

    def __init__(self, answer):
        self._answer = answer

    def read(self):
        return self._answer()

    def close(self):
        pass


@pytest.mark.parametrize(
    "answer",
    [lambda: 1 / 0, lambda: "text", lambda: Reading(counter="12"), Reading, lambda: None],
    ids=["raises", "string", "text-counter", "empty", "none"],
)
def test_a_plug_in_that_misbehaves_is_missing(clock, answer):
    """Whatever a third party's sensor does, the window says missing and why, and nothing breaks."""
    with meter_of(clock, _Odd(answer)) as meter, meter.window() as window:
        clock.advance(1.0)
        meter.sample()
    assert window.result.quality is Quality.MISSING
    assert window.result.domains[0].reason


def test_trace_and_peak_come_from_the_sampler(clock):
    """Each tick is a point; the peak is the highest of them."""
    profile = PowerProfile.steps([(1.0, 50.0), (1.0, 200.0), (1.0, 100.0)])
    with meter_of(clock, FakeSensor(profile, clock=clock)) as meter, meter.window() as window:
        for _ in range(3):
            clock.advance(1.0)
            meter.sample()
    result = window.result
    assert [point.watts[0] for point in window.trace] == pytest.approx([50.0, 200.0, 100.0])
    assert result.peak_w == pytest.approx(200.0)
    assert window.measurement().max_gap_s == pytest.approx(1.0)
    assert window.measurement().sampler_cpu_s > 0


def test_peak_is_unknown_in_a_short_window(clock):
    """Without a tick inside, the peak is None."""
    with meter_of(clock, FakeSensor(PowerProfile.constant(5.0), clock=clock)) as meter, meter.window() as window:
        clock.advance(0.2)
    assert window.result.peak_w is None


def test_opening_is_lazy(clock):
    """A meter that is made and never used opens nothing."""
    meter = EnergyMeter("no-such-sensor")
    assert meter.sensors == ()
    meter.close()


def test_unknown_sensor_names_the_known_ones():
    """The message has the nearest name."""
    with pytest.raises(ConfigError, match="did you mean 'powercap'"):
        EnergyMeter("powercab").open()


def test_result_of_an_open_window_is_refused(clock):
    """The message says what to do instead."""
    with meter_of(clock, FakeSensor(PowerProfile.constant(5.0), clock=clock)) as meter:
        window = meter.begin("mine")
        with pytest.raises(ParallelEnergyError, match=r"'mine' is still open.*snapshot"):
            window.result  # noqa: B018 - the access is the test
        window.end()
        with pytest.raises(ParallelEnergyError, match="already opened"):
            window.open()


def test_meter_closed_before_its_window(clock):
    """The window is missing, with the reason."""
    meter = meter_of(clock, FakeSensor(PowerProfile.constant(5.0), clock=clock)).open()
    window = meter.begin()
    meter.close()
    assert window.end().quality is Quality.MISSING


def test_two_sensors_of_one_name_are_refused(clock):
    """Names tell domains apart."""
    twins = [FakeSensor(PowerProfile.constant(5.0), clock=clock) for _ in range(2)]
    with pytest.raises(ParallelEnergyError, match="package-0"):
        meter_of(clock, *twins).open()


def test_closing_reports_a_sensor_that_cannot(clock):
    """The others are closed all the same."""

    class Stubborn(FakeSensor):
        def close(self):
            raise SensorError("no")

    good = FakeSensor(PowerProfile.constant(5.0), clock=clock, description=gpu())
    meter = meter_of(clock, Stubborn(PowerProfile.constant(5.0), clock=clock), good).open()
    with pytest.raises(ParallelEnergyError, match="package-0: no"):
        meter.close()
    assert good.closed


@pytest.mark.parametrize("interval_s", [0, -1, 31])
def test_sampling_period_outside_its_range(interval_s):
    """Above 30 s a RAPL counter may wrap twice unseen."""
    with pytest.raises(ParallelEnergyError, match="outside"):
        EnergyMeter(interval_s=interval_s)


def test_a_foreground_that_hogs_the_gil():
    """No sample for over three seconds: the counter's joules are right all the same, the integral is flagged."""
    import ctypes

    power = gpu(joules_per_count=None, quality=Quality.INTEGRATED)
    sensors = [
        FakeSensor(PowerProfile.constant(100.0)),
        FakeSensor(PowerProfile.constant(300.0), description=power),
    ]
    with EnergyMeter(sensors, interval_s=0.1) as meter, meter.window() as window:
        ctypes.PyDLL(None).usleep(3_200_000)  # PyDLL keeps the lock during the call
    result = window.result
    assert result.cpu_j == pytest.approx(100 * result.window_s, rel=1e-3)
    assert window.measurement().max_gap_s > 3
    assert any("gpu-0" in flag and "bridged" in flag for flag in window.flags)
    assert not any("package-0" in flag and "bridged" in flag for flag in window.flags)


def test_powercap_tree_end_to_end(tmp_path):
    """A real tree on disk, with a writer at 128 W and the real sampler thread: the energy of the window is right."""
    meter = EnergyMeter("powercap", sysfs_root=tmp_path, interval_s=0.05)
    with PowercapTree(tmp_path), meter, meter.window() as window:
        deadline_s = time.monotonic() + 0.5
        while time.monotonic() < deadline_s:
            time.sleep(0.01)
    result = window.result
    assert result.total_j == pytest.approx(128.0 * result.window_s, rel=0.2)
    assert result.cpu_j + result.dram_j == pytest.approx(result.total_j)
    assert window.trace
    assert not [thread for thread in threading.enumerate() if thread.name == "energy-sampler"]


def steps_of(clock, profile, length_s, count=20, update_s=0.1):
    """A test window that closes on edges, with steps of one length in it; and the true joules of each step."""
    sensor = FakeSensor(
        profile, clock=clock, description=gpu(update_interval_s=update_s), traits=Traits(update_interval_s=update_s)
    )
    start_ns = clock()
    meter = EnergyMeter([sensor], clock_ns=clock, sleep=clock.advance).open()
    clock.advance(2.0)
    truths_j = []
    with meter.window("test", edges=True) as test:
        for _ in range(count):
            step = meter.begin("step")
            opened_s = (clock() - start_ns) / 1e9
            clock.advance(length_s)
            truths_j.append(sensor.truth_j(opened_s, (clock() - start_ns) / 1e9))
            step.close()
    return test, truths_j


def test_steps_shorter_than_the_update_interval(clock):
    """Steps of 20 ms on a counter of 100 ms: none is 0 J, each interval holds the truth, and each record says so."""
    test, truths_j = steps_of(clock, PowerProfile.constant(210.0), 0.02)
    for step, truth_j in zip(test.result.windows, truths_j, strict=True):
        assert step.total_j == pytest.approx(truth_j, rel=0.2)
        assert abs(step.total_j - truth_j) <= step.total_u95_j
        assert any("did not change inside this window of 20 ms" in flag or "is short" in flag for flag in step.flags)
    assert sum(step.total_j for step in test.result.windows) == pytest.approx(sum(truths_j), rel=0.05)


def test_a_window_without_any_change_is_missing_with_the_reason(clock):
    """A first window that ends before its counter changed has no number; 0 J would be wrong."""
    sensor = FakeSensor(
        PowerProfile.constant(210.0), clock=clock, description=gpu(), traits=Traits(update_interval_s=0.1, seed=3)
    )
    with meter_of(clock, sensor) as meter:
        clock.advance(2.0)
        window = meter.begin()
        clock.advance(0.002)
        result = window.end()
    assert (result.total_j, result.quality) == (None, Quality.MISSING)
    assert "is too short for a counter that changes every 100 ms" in result.domains[0].reason


def test_a_step_is_known_better_once_the_counter_has_changed(clock):
    """Right after a step its power is extrapolated; the next change of the counter narrows the interval."""
    sensor = FakeSensor(
        PowerProfile.constant(210.0), clock=clock, description=gpu(), traits=Traits(update_interval_s=0.1)
    )
    with EnergyMeter([sensor], clock_ns=clock, sleep=clock.advance) as meter, meter.window(edges=True):
        clock.advance(0.25)
        step = meter.begin("step")
        clock.advance(0.12)
        first = step.end()
        clock.advance(0.06)
        meter.sample()
        later = step.result
        clock.advance(0.3)
        meter.sample()
        assert step.result is later
    assert later.total_u95_j < first.total_u95_j
    assert abs(later.total_j - 0.12 * 210) <= later.total_u95_j
