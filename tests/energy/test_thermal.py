"""Temperatures: what the chips say, and how they stand beside a power trace."""

from __future__ import annotations

from pytest_parallel_energy.energy.thermal import ThermalLog, read_temperatures_c


def hwmon(root, chip, name, millidegrees):
    folder = root / "class" / "hwmon" / chip
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "temp1_input").write_text(f"{millidegrees}\n")


def test_packages_are_read_and_other_chips_are_not(tmp_path):
    """Each processor package by its driver's name; a disk's temperature is not a CPU's."""
    hwmon(tmp_path, "hwmon0", "nvme", 30000)
    hwmon(tmp_path, "hwmon1", "coretemp", 51000)
    hwmon(tmp_path, "hwmon2", "coretemp", 48500)
    assert read_temperatures_c(sysfs_root=tmp_path) == {"cpu-0": 51.0, "cpu-1": 48.5}
    assert read_temperatures_c(sysfs_root=tmp_path / "none") == {}


class Broken:
    """A third party's sensor whose device does not answer."""

    description = None

    def observe(self):
        raise RuntimeError("no answer")


def test_a_sensor_that_raises_has_no_temperature():
    """What a plug-in raises ends neither the reading of the others nor the test."""
    assert read_temperatures_c([Broken()]) == {}


def test_the_log_stands_beside_a_trace():
    """Each offset has the last reading before it; a device that came later is unknown until then."""
    now_s = iter([100.0, 100.0, 101.0, 102.0])
    readings = iter([{"cpu-0": 40.0}, {"cpu-0": 45.0, "gpu-0": 60.0}, {"cpu-0": 50.0, "gpu-0": 70.0}])
    log = ThermalLog(lambda: next(readings), clock_s=lambda: next(now_s))
    assert log.ends == ({}, {})
    assert log.columns([1.0]) == {}
    log.open()
    log.note()
    log.note()
    assert log.columns([0.5, 1.5, 2.5]) == {"cpu-0": [40.0, 45.0, 50.0], "gpu-0": [None, 60.0, 70.0]}
    assert log.ends == ({"cpu-0": 40.0}, {"cpu-0": 50.0, "gpu-0": 70.0})
