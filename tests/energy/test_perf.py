"""RAPL through perf events: the true system call, on the kernel's software clock behind a tree of our own."""

from __future__ import annotations

import time

import pytest
from contract import SensorContract

from pytest_parallel_energy.energy.meter import EnergyMeter
from pytest_parallel_energy.energy.sensors.perf import find_events, open_perf
from pytest_parallel_energy.energy.sensors.probe import probe_sensors
from pytest_parallel_energy.errors import SensorUnavailableError
from pytest_parallel_energy.testing import PowercapTree

SOFTWARE_PMU = 1
CPU_CLOCK = "event=0x00"
"""PERF_COUNT_SW_CPU_CLOCK counts nanoseconds: with a scale of 7.5e-8 it is a source of 75 W."""


@pytest.fixture
def tree(tmp_path):
    base = tmp_path / "bus/event_source/devices/power"
    (base / "events").mkdir(parents=True)
    (base / "type").write_text(f"{SOFTWARE_PMU}\n")
    (base / "cpumask").write_text("0\n")
    for event, scale in (("energy-pkg", "7.5e-8"), ("energy-ram", "5e-9"), ("energy-cores", "1e-9")):
        (base / "events" / event).write_text(f"{CPU_CLOCK}\n")
        (base / "events" / f"{event}.scale").write_text(f"{scale}\n")
        (base / "events" / f"{event}.unit").write_text("Joules\n")
    return tmp_path


def opened(root):
    try:
        return open_perf(root)
    except SensorUnavailableError as error:
        if "not permitted" in error.reason or "Function not implemented" in error.reason:
            pytest.skip(f"the kernel refuses perf events here: {error.reason}")
        raise


class TestPerfSensor(SensorContract):
    @pytest.fixture
    def sensor(self, tree):
        sensors = opened(tree)
        yield sensors[0]
        for sensor in sensors:
            sensor.close()

    @pytest.fixture
    def spend(self):
        return lambda: time.sleep(0.02)


def test_75_watts(tree):
    """The kernel's clock, scaled, is a power of 75 and 5 W: the whole path is right."""
    with EnergyMeter(opened(tree), interval_s=0.1) as meter, meter.window() as window:
        time.sleep(0.3)
    result = window.result
    assert result.cpu_j == pytest.approx(75 * result.window_s, rel=0.05)
    assert result.dram_j == pytest.approx(5 * result.window_s, rel=0.05)
    assert [domain.source for domain in result.domains] == ["perf", "perf"]


def test_psys_is_one_event_and_stands_apart(tree):
    """Psys is the whole machine: read once, whatever the number of sockets, and not added to packages."""
    base = tree / "bus/event_source/devices/power"
    (base / "cpumask").write_text("0,24\n")
    for name in ("energy-psys", "energy-psys.scale", "energy-psys.unit"):
        (base / "events" / name).write_text((base / "events" / name.replace("psys", "pkg")).read_text())
    names = [event.zone.name for event in find_events(tree)]
    assert names == ["package-0", "package-1", "dram-0", "dram-1", "psys"]
    assert [event.cpu for event in find_events(tree)] == [0, 24, 0, 24, 0]


def test_perf_serves_where_powercap_does_not(tree):
    """'auto' takes perf without powercap, and not beside it."""
    opened_sources = []
    for with_powercap in (False, True):
        if with_powercap:
            PowercapTree(tree)
        probe = probe_sensors(("powercap", "perf"), sysfs_root=tree)
        opened_sources.append({sensor.description.source for sensor in probe.found})
        for sensor in probe.found:
            sensor.close()
    if not opened_sources[0]:
        pytest.skip("the kernel refuses perf events here")
    assert opened_sources == [{"perf"}, {"powercap"}]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("type", "many\n", "invalid literal"),
        ("events/energy-pkg", "umask=0x02\n", "event="),
        ("events/energy-pkg.unit", "Watts\n", "not Joules"),
        ("events/energy-pkg.scale", "0\n", "scale of 0"),
        ("cpumask", "\n", "invalid literal"),
    ],
)
def test_malformed_trees_are_reasons(tree, name, text, words):
    """What is wrong with the PMU's description is said."""
    (tree / "bus/event_source/devices/power" / name).write_text(text)
    with pytest.raises(SensorUnavailableError, match=words):
        find_events(tree)


def test_unknown_event_is_a_reason(tree):
    """An event that the kernel does not have is refused with its own words, and nothing stays open."""
    (tree / "bus/event_source/devices/power/events/energy-ram").write_text("event=0xffff\n")
    with pytest.raises(SensorUnavailableError):
        open_perf(tree)


def test_no_pmu_is_a_reason(tmp_path):
    """Without the PMU the reason names the path."""
    with pytest.raises(SensorUnavailableError, match="no power PMU"):
        open_perf(tmp_path)
