"""The doctor and the probe table."""

from __future__ import annotations

import pytest

from pytest_parallel_energy.console.doctor import diagnose
from pytest_parallel_energy.console.update_period import watch_updates
from pytest_parallel_energy.energy.meter import EnergyMeter
from pytest_parallel_energy.energy.sensors.probe import probe_sensors
from pytest_parallel_energy.errors import ConfigError
from pytest_parallel_energy.host.surroundings import Surroundings, look_around
from pytest_parallel_energy.records.energy_values import Quality
from pytest_parallel_energy.testing import FakeSensor, PowercapTree, PowerProfile, Traits, VirtualClock


def text_of(diagnosis):
    return "\n".join(diagnosis.lines)


def test_a_machine_with_rapl_is_healthy(tmp_path):
    """A moving counter gives exit status 0 and its watts."""
    with PowercapTree(tmp_path):
        diagnosis = diagnose(sysfs_root=tmp_path, sensors=("powercap",), look_s=0.2)
    assert diagnosis.exit_status == 0
    assert "package-0 [powercap, counter]" in text_of(diagnosis)
    assert "measured on this machine" in text_of(diagnosis)


def test_a_machine_without_sensor(tmp_path):
    """Exit status 1, the reason and the remedy."""
    diagnosis = diagnose(sysfs_root=tmp_path, sensors=("powercap",), look_s=0.01)
    assert diagnosis.exit_status == 1
    assert "modprobe intel_rapl_msr" in text_of(diagnosis)
    assert "cannot be measured" in text_of(diagnosis)


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


def test_surroundings_are_named(tmp_path):
    """Virtual machine, container, governor, load, clashing packages: each with what to do."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("processor\t: 0\nflags\t\t: fpu hypervisor sse\n")
    (tmp_path / ".dockerenv").touch()
    cpu = tmp_path / "sys/devices/system/cpu/cpu0/cpufreq"
    cpu.mkdir(parents=True)
    (cpu / "scaling_governor").write_text("powersave\n")
    where = Surroundings(
        sysfs_root=tmp_path / "sys", proc_root=tmp_path / "proc", root=tmp_path, installed=lambda: ["pynvml", "numpy"]
    )
    findings = look_around(where, busy_ratio=0.5)
    assert len(findings) == 5
    assert all(finding.remedy for finding in findings)
    words = " ".join(finding.text for finding in findings)
    for word in ("virtual machine", "container", "powersave", "50% of the CPU", "pynvml clashes"):
        assert word in words


def test_bare_metal_at_rest_has_no_findings(tmp_path):
    """Nothing to say is nothing said."""
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nflags\t\t: fpu sse\n")
    where = Surroundings(sysfs_root=tmp_path, proc_root=tmp_path, root=tmp_path, installed=lambda: ["nvidia-ml-py"])
    assert look_around(where, busy_ratio=0.01) == ()


def test_a_hypervisor_costs_the_label(tmp_path):
    """RAPL inside a virtual machine is a share of the host's: apportioned, and flagged."""
    root = tmp_path / "sys"
    root.mkdir()
    tree = PowercapTree(root)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("processor\t: 0\nflags\t\t: hypervisor\n")
    clock = VirtualClock()
    with EnergyMeter("powercap", sysfs_root=root, clock_ns=clock) as meter, meter.window() as window:
        clock.advance(1.0)
        for zone in tree.zones:
            tree.write(zone.path, 2_000_000)
    assert window.result.quality is Quality.APPORTIONED
    assert any("hypervisor" in flag for flag in window.flags)


def test_update_period_is_measured():
    """A counter of 20 ms is seen to be one; a motionless one is said to be."""
    clock = VirtualClock()
    lazy = FakeSensor(PowerProfile.constant(50.0), traits=Traits(update_interval_s=0.02), clock=clock)
    period = watch_updates(lazy, for_s=0.5, clock_ns=clock, sleep=clock.advance)
    assert period.median_s == pytest.approx(0.02, rel=0.05)
    assert period.words().startswith("changes every 20 ms")
    still = FakeSensor(PowerProfile.constant(0.0), clock=clock)
    assert "did not change" in watch_updates(still, for_s=0.1, clock_ns=clock, sleep=clock.advance).words()


def test_the_doctor_watches_and_compares(tmp_path):
    """Update period, idle power and its spread are in the diagnosis of a moving counter."""
    with PowercapTree(tmp_path):
        diagnosis = diagnose(sysfs_root=tmp_path, sensors=("powercap",), look_s=0.6)
    text = text_of(diagnosis)
    assert "check package-0 changes every" in text
    assert "check idle power over" in text
    assert "from sample to sample while idle" in text
