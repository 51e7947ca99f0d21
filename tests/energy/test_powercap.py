"""RAPL through powercap: which zones, and what goes wrong with them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_parallel_energy.energy.meter import EnergyMeter
from pytest_parallel_energy.energy.sensors.powercap import find_zones, open_powercap
from pytest_parallel_energy.errors import SensorUnavailableError
from pytest_parallel_energy.records.energy_values import Quality
from pytest_parallel_energy.testing import FakeZone, PowercapTree, VirtualClock


def names(root):
    return [zone.measures.name for zone in find_zones(root)]


def test_zones_of_two_sockets(tmp_path):
    """Packages and DRAM of each socket are found once, though links and folders show them twice."""
    PowercapTree(tmp_path)
    assert names(tmp_path) == ["package-0", "package-1", "dram-0"]


def test_mmio_twin_is_left_out(tmp_path):
    """intel-rapl-mmio repeats package-0 of intel-rapl: the first is kept."""
    PowercapTree(tmp_path, [FakeZone(path="intel-rapl-mmio:0", name="package-0"),
                            FakeZone(path="intel-rapl:0", name="package-0")])  # fmt: skip
    (zone,) = find_zones(tmp_path)
    assert zone.path.name == "intel-rapl:0"


def test_core_and_uncore_are_left_out(tmp_path):
    """They are inside the package."""
    PowercapTree(tmp_path, [FakeZone(path="intel-rapl:0", name="package-0"),
                            FakeZone(path="intel-rapl:0:0", name="core"),
                            FakeZone(path="intel-rapl:0:1", name="uncore")])  # fmt: skip
    assert names(tmp_path) == ["package-0"]


def test_more_than_ten_packages_keep_their_own_dram(tmp_path):
    """The DRAM of socket 10 is dram-10, not dram-1."""
    PowercapTree(tmp_path, [zone for number in (1, 10) for zone in (
        FakeZone(path=f"intel-rapl:{number}", name=f"package-{number}"),
        FakeZone(path=f"intel-rapl:{number}:0", name="dram"))])  # fmt: skip
    assert names(tmp_path) == ["package-1", "package-10", "dram-1", "dram-10"]


def test_psys_stands_apart_beside_packages(tmp_path):
    """The psys zone contains the packages: it is shown, and is no part of the total."""
    tree = PowercapTree(tmp_path, [FakeZone(path="intel-rapl:0", name="package-0"),
                                   FakeZone(path="intel-rapl:1", name="psys")])  # fmt: skip
    clock = VirtualClock()
    with EnergyMeter("powercap", sysfs_root=tmp_path, clock_ns=clock) as meter:
        window = meter.begin()
        clock.advance(10.0)
        tree.write("intel-rapl:0", 501_000_000)
        tree.write("intel-rapl:1", 901_000_000)
        result = window.end()
    assert result.total_j == pytest.approx(500.0)
    assert {domain.name: domain.joules for domain in result.domains} == {"package-0": 500.0, "psys": 900.0}


def test_psys_alone_is_the_total(tmp_path):
    """Without packages psys is what there is."""
    tree = PowercapTree(tmp_path, [FakeZone(path="intel-rapl:0", name="psys")])
    clock = VirtualClock()
    with EnergyMeter("powercap", sysfs_root=tmp_path, clock_ns=clock) as meter:
        window = meter.begin()
        clock.advance(10.0)
        tree.write("intel-rapl:0", 901_000_000)
        result = window.end()
    assert result.total_j == 900.0
    assert result.total_u95_j >= 1.0, "Sapphire Rapids counts psys in whole joules"


def test_wrap_costs_nothing(tmp_path):
    """Across a wrap of one zone the sum is exact to the microjoule of the kernel's rounding."""
    zones = [FakeZone(path="intel-rapl:0", name="package-0", start_uj=262_143_000_000),
             FakeZone(path="intel-rapl:1", name="package-1", start_uj=0)]  # fmt: skip
    tree = PowercapTree(tmp_path, zones)
    tree.write("intel-rapl:1", 5)
    clock = VirtualClock()
    with EnergyMeter("powercap", sysfs_root=tmp_path, clock_ns=clock) as meter:
        window = meter.begin()
        clock.advance(10.0)
        tree.write("intel-rapl:0", 100_000_000)
        tree.write("intel-rapl:1", 200_000_005)
        result = window.end()
    assert result.total_j == pytest.approx(0.328850 + 100.0 + 200.0, abs=1e-4)
    assert [domain.wraps for domain in result.domains] == [1, 0]


def test_without_a_range_a_decrease_is_refused(tmp_path):
    """A range of 0 allows no correction: the window is missing, not wrong."""
    tree = PowercapTree(tmp_path, [FakeZone(path="intel-rapl:0", name="package-0", range_uj=0, start_uj=900)])
    clock = VirtualClock()
    with EnergyMeter("powercap", sysfs_root=tmp_path, clock_ns=clock) as meter:
        window = meter.begin()
        clock.advance(10.0)
        tree.write("intel-rapl:0", 100)
        result = window.end()
    assert result.total_j is None
    assert "backwards" in result.domains[0].reason


def test_a_counter_that_turns_empty_is_missing(tmp_path):
    """A vanished zone makes its domain and the total unknown, with the reason; the other zone keeps its joules."""
    tree = PowercapTree(tmp_path)
    clock = VirtualClock()
    with EnergyMeter("powercap", sysfs_root=tmp_path, clock_ns=clock) as meter:
        window = meter.begin()
        clock.advance(10.0)
        tree.write("intel-rapl:0", 501_000_000)
        tree.write("intel-rapl:0:0", 2_000_000)
        tree.break_zone("intel-rapl:1")
        result = window.end()
    assert result.total_j is None
    assert result.quality is Quality.MISSING
    broken = next(domain for domain in result.domains if domain.name == "package-1")
    assert "does not hold a number" in broken.reason
    assert next(domain for domain in result.domains if domain.name == "package-0").joules == 500.0


def test_counters_at_zero_are_no_sensor(tmp_path):
    """Virtual machines show counters that stay at 0."""
    PowercapTree(tmp_path, [FakeZone(path="intel-rapl:0", name="package-0", start_uj=0)])
    with pytest.raises(SensorUnavailableError, match="stay at 0"):
        open_powercap(tmp_path)


def test_no_tree_says_so(tmp_path):
    """The reason names the path that was looked at."""
    with pytest.raises(SensorUnavailableError, match="class/powercap does not exist"):
        open_powercap(tmp_path)


def test_empty_tree_says_so(tmp_path):
    """A tree without RAPL zones names Docker as the usual cause."""
    (tmp_path / "class" / "powercap").mkdir(parents=True)
    with pytest.raises(SensorUnavailableError, match="no RAPL zone"):
        open_powercap(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission_names_the_mending_command(tmp_path):
    """The remedy is a command that can be pasted."""
    tree = PowercapTree(tmp_path)
    for zone in tree.zones:
        (tree.folder(zone.path) / "energy_uj").chmod(0)
    with pytest.raises(SensorUnavailableError) as caught:
        open_powercap(tmp_path)
    assert "chmod a+r" in caught.value.remedy


def test_descriptors_are_given_back(tmp_path):
    """Opening and closing leaves no descriptor, also when opening fails half-way."""
    tree = PowercapTree(tmp_path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for sensor in open_powercap(tmp_path):
        sensor.close()
    for zone in ("intel-rapl:0", "intel-rapl:0:0", "intel-rapl:1"):
        tree.write(zone, 0)
    with pytest.raises(SensorUnavailableError, match="stay at 0"):
        open_powercap(tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_malformed_zones_are_survived(tmp_path):
    """A zone without name, or with a range that is no number, does not break the others."""
    tree = PowercapTree(tmp_path)
    (tree.folder("intel-rapl:1") / "name").unlink()
    (tree.folder("intel-rapl:0") / "max_energy_range_uj").write_text("lots\n")
    assert names(tmp_path) == ["package-0", "dram-0"]
    for sensor in open_powercap(tmp_path):
        sensor.close()
