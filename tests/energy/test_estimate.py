"""The estimate: which CPU, which watts, which interval."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pytest_parallel_energy.energy.meter import EnergyMeter
from pytest_parallel_energy.energy.sensors.coefficients import FAMILIES, coefficients_of
from pytest_parallel_energy.energy.sensors.estimate import EstimateSensor, open_estimate
from pytest_parallel_energy.errors import SensorError, SensorUnavailableError
from pytest_parallel_energy.host.cpu_info import CpuInfo, family_of, read_cpu_info
from pytest_parallel_energy.records.energy_values import Quality
from pytest_parallel_energy.testing import VirtualClock

SPR = CpuInfo(threads=4, vendor="GenuineIntel", family=6, model=143)


@pytest.mark.parametrize(
    ("cpu", "family"),
    [
        (SPR, "Sapphire Rapids"),
        (CpuInfo(threads=1, vendor="GenuineIntel", family=6, model=85, stepping=4), "Skylake-SP"),
        (CpuInfo(threads=1, vendor="GenuineIntel", family=6, model=85, stepping=7), "Cascade Lake"),
        (CpuInfo(threads=1, vendor="GenuineIntel", family=6, model=85, stepping=11), None),
        (CpuInfo(threads=1, vendor="AuthenticAMD", family=0x17, model=0x31, name="AMD EPYC 7742"), "EPYC 2"),
        (CpuInfo(threads=1, vendor="AuthenticAMD", family=0x19, model=0x11, name="AMD EPYC 9654"), "EPYC 4"),
        (CpuInfo(threads=1, vendor="AuthenticAMD", family=0x19, model=0x21, name="AMD Ryzen 9 5950X"), None),
        (CpuInfo(threads=1, vendor="0x41", model=0xD0C), "Neoverse N1"),
        (CpuInfo(threads=1), None),
    ],
)
def test_family(cpu, family):
    """Vendor, family, model and stepping decide; desktop parts are not taken for servers."""
    assert family_of(cpu) == family


def test_table_is_ordered():
    """In each row p10 ≤ p50 ≤ p90, and idle is below full load."""
    for row in FAMILIES.values():
        for spread in (row.idle, row.full):
            assert spread.p10_w <= spread.p50_w <= spread.p90_w
        assert row.idle.p50_w < row.full.p50_w


def test_unknown_family_has_the_widest_interval():
    """Relative to its median, no known family is wider."""
    unknown = coefficients_of(None)
    assert unknown.servers == 593
    for known, widest in ("idle_factors",) * 2, ("full_factors",) * 2:
        low, high = getattr(unknown, widest)
        assert all(high / low >= getattr(row, known)[1] / getattr(row, known)[0] for row in FAMILIES.values())


def estimated(tmp_path, busy_ticks, seconds=100.0, cpu=SPR, family="Sapphire Rapids"):
    clock = VirtualClock()
    stat = tmp_path / "stat"
    stat.write_text("cpu  1000 0 0 9000 0 0 0 500 0 0\n")
    sensor = EstimateSensor(cpu, coefficients_of(family), stat=stat, clock_ns=clock)
    with EnergyMeter([sensor], clock_ns=clock) as meter, meter.window() as window:
        clock.advance(seconds)
        stat.write_text(f"cpu  {1000 + busy_ticks} 0 0 {9000 + 40000 - busy_ticks} 0 0 0 900 0 0\n")
    return window


def test_idle_and_full_load(tmp_path):
    """Four threads of Sapphire Rapids: 4 × 0.90 W idle, 4 × 3.99 W when all are busy; steal is not ours."""
    assert estimated(tmp_path, 0).mean_w == pytest.approx(3.60)
    assert estimated(tmp_path, 40_000).mean_w == pytest.approx(15.96)


def test_label_boundary_and_interval(tmp_path):
    """It is labelled, says what it covers, and the interval is as wide as the errors of the table."""
    window = estimated(tmp_path, 40_000)
    result = window.result
    assert result.quality is Quality.ESTIMATED
    assert "whole server at the wall" in result.boundary
    assert result.total_low_j / result.total_j == pytest.approx(0.67, abs=0.05)
    assert result.total_high_j / result.total_j == pytest.approx(1.36, abs=0.05)
    assert result.total_u95_j == pytest.approx(result.total_high_j - result.total_j)
    assert (result.cpu_j, result.gpu_j) == (None, None)
    assert any("estimated" in flag for flag in window.flags)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("busy_ticks", "load"), [(0, "idle"), (40_000, "full")])
def test_the_interval_holds_the_familys_own_percentiles(tmp_path, family, busy_ticks, load):
    """80 % of the servers of a family lie between its 10th and 90th percentile: the 95 % interval holds both."""
    result = estimated(tmp_path, busy_ticks, family=family).result
    spread = getattr(FAMILIES[family], load)
    assert result.total_low_j < 4 * 100 * spread.p10_w * 1.01
    assert result.total_high_j > 4 * 100 * spread.p90_w * 0.99
    assert result.total_low_j > 0


def test_work_on_one_thread_per_core_is_flagged(tmp_path):
    """Half of the hyper-threads at work: a core whose second thread idles takes more than half of the power."""
    cpu = CpuInfo(threads=4, vendor="GenuineIntel", family=6, model=143, threads_per_core=2)
    flags = estimated(tmp_path, 20_000, cpu=cpu).flags
    assert any("50% of the hardware threads were at work, and a core has 2 of them" in flag for flag in flags)
    assert not any("a core has" in flag for flag in estimated(tmp_path, 40_000, cpu=cpu).flags)
    assert not any("a core has" in flag for flag in estimated(tmp_path, 20_000).flags)


def test_a_quota_is_flagged(tmp_path):
    """A container that may use two of four threads gets an estimate of all four, and is told."""
    (tmp_path / "stat").write_text("cpu  1000 0 0 9000 0 0 0 500 0 0\n")
    sensor = EstimateSensor(SPR, coefficients_of("Sapphire Rapids"), stat=tmp_path / "stat", usable=2.0)
    assert any("may use 2 of the machine's 4 hardware threads" in note for note in sensor.description.notes)
    sensor.close()


def test_unknown_cpu_says_so(tmp_path):
    """The flag names the CPU, and the interval is wider than the value."""
    window = estimated(tmp_path, 40_000, cpu=CpuInfo(threads=4, name="Mystery 9000"), family=None)
    assert any("Mystery 9000" in flag for flag in window.flags)
    assert window.u95_j > window.total_j


def test_malformed_stat_is_an_error(tmp_path):
    """No CPU times, no number."""
    (tmp_path / "stat").write_text("nonsense\n")
    with pytest.raises(SensorError, match="does not begin with CPU times"):
        EstimateSensor(SPR, coefficients_of(None), stat=tmp_path / "stat")


def test_no_proc_is_a_reason(tmp_path):
    """Without /proc the estimate is refused."""
    with pytest.raises(SensorUnavailableError):
        open_estimate(tmp_path)


def test_this_machine():
    """The real files of this machine give a sensor."""
    assert read_cpu_info(Path("/proc")).threads >= 1
    (sensor,) = open_estimate()
    first = sensor.read().counter
    own_s = time.process_time()
    while time.process_time() - own_s < 0.05:
        pass
    assert sensor.read().counter > first
    sensor.close()
