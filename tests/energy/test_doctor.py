"""The doctor and the probe table."""

from __future__ import annotations

import pytest

from pytest_parallel_energy.energy.doctor import diagnose
from pytest_parallel_energy.energy.probe import probe_sensors
from pytest_parallel_energy.errors import ConfigError
from pytest_parallel_energy.testing import PowercapTree


def text_of(diagnosis):
    return "\n".join(diagnosis.lines)


def test_a_machine_with_rapl_is_healthy(tmp_path):
    """A moving counter gives exit status 0 and its watts."""
    with PowercapTree(tmp_path):
        diagnosis = diagnose(sysfs_root=tmp_path, sensors=("powercap",), look_s=0.2)
    assert diagnosis.exit_status == 0
    assert "package-0 [powercap, counter]" in text_of(diagnosis)
    assert "measured here" in text_of(diagnosis)


def test_a_machine_without_sensor(tmp_path):
    """Exit status 1, the reason and the remedy."""
    diagnosis = diagnose(sysfs_root=tmp_path, sensors=("powercap",), look_s=0.01)
    assert diagnosis.exit_status == 1
    assert "modprobe intel_rapl_msr" in text_of(diagnosis)
    assert "cannot be known" in text_of(diagnosis)


def test_only_an_estimate_is_status_1(tmp_path, nvml_library):
    """An estimate is named as such, with what else was tried."""
    nvml_library.fake_set_state(b"")
    diagnosis = diagnose(sysfs_root=tmp_path, look_s=0.05)
    assert diagnosis.exit_status == 1
    assert "only estimated" in text_of(diagnosis)
    assert "no    nvml: no NVIDIA driver answers" in text_of(diagnosis)


def test_a_stuck_counter_fails(tmp_path):
    """A counter that does not move is shown as failing."""
    PowercapTree(tmp_path)
    diagnosis = diagnose(sysfs_root=tmp_path, sensors=("powercap",), look_s=0.1)
    assert diagnosis.exit_status == 1
    assert "FAILS package-0" in text_of(diagnosis)


def test_estimate_only_without_counter(tmp_path):
    """'auto' takes the estimate only where no counter covers the CPU."""
    with_counter = tmp_path / "a"
    with_counter.mkdir()
    PowercapTree(with_counter)
    sources = []
    for root in (with_counter, tmp_path):
        probe = probe_sensors(sysfs_root=root)
        sources.append({sensor.description.source for sensor in probe.found} & {"powercap", "estimate"})
        for sensor in probe.found:
            sensor.close()
    assert sources == [{"powercap"}, {"estimate"}]


@pytest.mark.parametrize("names", [("rapl",), ("auto", "nvlm"), ("",), ()])
def test_bad_names_are_refused(names):
    """An unknown or empty name is a ConfigError that lists the known ones."""
    with pytest.raises(ConfigError, match="powercap"):
        probe_sensors(names)
