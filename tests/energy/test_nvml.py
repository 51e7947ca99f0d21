"""NVML by the real bindings, on a library of our own."""

from __future__ import annotations

import os

import pytest

from pytest_parallel_energy.energy.gpu_share import GpuWatch
from pytest_parallel_energy.energy.meter import EnergyMeter
from pytest_parallel_energy.energy.sensor import SensorDescription
from pytest_parallel_energy.energy.sensors.nvml import open_nvml
from pytest_parallel_energy.errors import SensorUnavailableError
from pytest_parallel_energy.records.energy_values import Quality
from pytest_parallel_energy.testing import FakeSensor, PowerProfile


def measured(nvml, seconds=10.0):
    with EnergyMeter(open_nvml(), clock_ns=nvml.now_ns) as meter, meter.window() as window:
        for _ in range(10):
            nvml.pass_time(seconds / 10)
            meter.sample()
    return window


def test_counter_of_a_gpu(nvml):
    """300 W for 10 s are 3000 J, labelled as counter, with the card's UUID."""
    nvml.gpu()
    result = measured(nvml).result
    (domain,) = result.domains
    assert domain.joules == pytest.approx(3000.0)
    assert (domain.quality, domain.device, domain.source) == (Quality.COUNTER, "GPU-000-aaaa", "nvml")
    assert domain.u95_j > 0.05 * 3000


def test_field_values_unsupported_falls_back_to_the_counter_call(nvml):
    """The energy function serves where field values do not."""
    nvml.gpu()
    nvml.errors["nvmlDeviceGetFieldValues"] = 3
    nvml.save()
    assert measured(nvml).result.gpu_j == pytest.approx(3000.0)


def test_power_is_integrated_without_counter(nvml):
    """A card without counter is integrated from its instant power, and says so."""
    nvml.gpu(has_energy=0)
    result = measured(nvml).result
    assert result.gpu_j == pytest.approx(3000.0)
    assert result.quality is Quality.INTEGRATED


def test_averaged_power_is_the_last_resort(nvml):
    """The plain power call averages over a second: the description says so."""
    nvml.gpu(has_energy=0, has_instant=0)
    (sensor,) = open_nvml()
    assert sensor.description.averaging_s == 1.0
    assert sensor.read().power_w == 300.0
    sensor.close()


def test_lost_gpu_is_missing(nvml):
    """A GPU that falls off the bus in mid-run leaves no number; the other card keeps its own."""
    nvml.gpu(lost_us=5_000_000)
    nvml.gpu()
    result = measured(nvml).result
    assert result.total_j is None
    assert "lost" in result.domains[0].reason.lower()
    assert result.domains[1].joules == pytest.approx(3000.0)


def test_reset_counter_is_missing(nvml):
    """A driver that is reloaded starts its counter again."""
    gpu = nvml.gpu(energy_mj=9_000_000)
    with EnergyMeter(open_nvml(), clock_ns=nvml.now_ns) as meter, meter.window() as window:
        nvml.pass_time(1.0)
        gpu["energy_mj"] = 0
        nvml.pass_time(1.0)
    assert window.result.domains[0].resets == 1
    assert "reset" in window.result.domains[0].reason


def test_jump_above_the_limit_is_missing(nvml):
    """A counter that runs at more than 1.2 times the power limit is not believed."""
    gpu = nvml.gpu()
    with EnergyMeter(open_nvml(), clock_ns=nvml.now_ns) as meter, meter.window() as window:
        gpu["energy_mj"] = 99_000_000
        nvml.pass_time(1.0)
    assert "jumped" in window.result.domains[0].reason


def test_no_driver_is_a_reason(nvml_library):
    """Without a driver NVML is refused in one sentence."""
    nvml_library.fake_set_state(b"")
    with pytest.raises(SensorUnavailableError, match="no NVIDIA driver answers"):
        open_nvml()


def test_no_gpu_is_a_reason(nvml):
    """A driver without GPU, too."""
    with pytest.raises(SensorUnavailableError, match="lists no GPU"):
        open_nvml()


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("1", ["gpu-1"]),
        ("1,0", ["gpu-0", "gpu-1"]),
        ("GPU-111-aaaa", ["gpu-1"]),
        ("GPU-11", ["gpu-1"]),
        ("MIG-222", ["gpu-2"]),
        ("MIG-GPU-111-aaaa/0/0", ["gpu-1"]),
        ("0,99,1", ["gpu-0"]),
        ("0,-1,1", ["gpu-0"]),
    ],
)
def test_every_form_of_cuda_visible_devices(nvml, monkeypatch, value, names):
    """Index, UUID, unique beginning, MIG; what stands behind an invalid entry is invisible."""
    for _ in range(2):
        nvml.gpu()
    nvml.gpu(mig="MIG-222-bbbb")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    sensors = open_nvml()
    assert [sensor.description.name for sensor in sensors] == names
    for sensor in sensors:
        sensor.close()


@pytest.mark.parametrize("value", ["", "-1", "GPU-", "nonsense"])
def test_hidden_gpus_are_a_reason(nvml, monkeypatch, value):
    """Hidden, or named ambiguously: nothing is measured, and the reason says why."""
    nvml.gpu()
    nvml.gpu()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    with pytest.raises(SensorUnavailableError, match="hides every GPU"):
        open_nvml()


def test_mig_says_whose_energy_it_is(nvml, monkeypatch):
    """The energy of a MIG instance is that of the whole board."""
    nvml.gpu(mig="MIG-222-bbbb")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-222-bbbb")
    assert any("whole board" in flag for flag in measured(nvml).flags)


def test_unlike_gpus_without_pci_order_are_flagged(nvml, monkeypatch):
    """CUDA may number unlike cards otherwise than NVML."""
    nvml.gpu()
    nvml.gpu(name="T4", arch=6)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert any("CUDA_DEVICE_ORDER" in flag for flag in measured(nvml).flags)


def test_other_processes_and_throttling_are_flagged(nvml):
    """A process that is not ours is named; our own is not."""
    gpu = nvml.gpu(pid=1)
    flags = {}
    for pid in (1, os.getpid()):
        gpu["pid"] = pid
        nvml.save()
        with EnergyMeter(open_nvml(), clock_ns=nvml.now_ns, sleep=nvml.pass_time) as meter:
            window = meter.begin(edges=True)
            nvml.pass_time(10.0)
            window.end()
            flags[pid] = " ".join(window.flags)
    assert "also used by other processes: 1 (" in flags[1]
    assert "other processes" not in flags[os.getpid()]


@pytest.mark.parametrize(
    ("name", "module_mw", "total_j"),
    [("GH200-480GB", 500_000, 5000.0), ("GH200-480GB", 0, 3000.0), ("H100", 500_000, 3000.0)],
)
def test_a_module_holds_its_gpu_and_cpu(nvml, name, module_mw, total_j):
    """Grace-Hopper: the module is the total, its GPU is shown and not added; other boards are counted themselves."""
    nvml.gpu(name=name, module_mw=module_mw)
    result = measured(nvml).result
    assert result.gpu_j == pytest.approx(3000.0)
    assert result.total_j == pytest.approx(total_j)


def test_the_counter_of_a_grace_hopper_is_its_module_s(nvml):
    """Its energy counter holds CPU and memory: the module has it, and the GPU has its own power."""
    nvml.gpu(name="GH200-480GB", module_mw=500_000)
    result = measured(nvml).result
    found = {domain.kind: (domain.joules, str(domain.quality), domain.counted) for domain in result.domains}
    assert found["module"] == (pytest.approx(5000.0), "counter", True)
    assert found["gpu"] == (pytest.approx(3000.0), "integrated", False)
    assert result.boundary.startswith("CPU-GPU modules")


def test_the_counter_of_a_module_is_not_added_to_its_cpu(nvml):
    """With a sensor of the Grace CPU its parts are the total, and the module that contains both is not added."""
    nvml.gpu(name="GH200-480GB", module_mw=500_000)
    about = SensorDescription(
        name="grace", kind="cpu", source="hwmon", quality=Quality.INTEGRATED, covers="CPU packages"
    )
    grace = FakeSensor(PowerProfile.constant(150.0), description=about, clock=nvml.now_ns)
    with EnergyMeter([*open_nvml(), grace], clock_ns=nvml.now_ns, sleep=nvml.pass_time) as meter:
        with meter.window() as window:
            for _ in range(10):
                nvml.pass_time(1.0)
                meter.sample()
        assert window.result.total_j == pytest.approx(4500.0)
        assert {domain.kind for domain in window.result.domains if domain.counted} == {"cpu", "gpu"}


def test_the_memory_is_shown_and_not_added(nvml):
    """Scope 2: the memory's joules stand beside the board's, which hold them; boards that do not tell have none."""
    nvml.gpu(memory_mw=60_000)
    result = measured(nvml).result
    memory = next(domain for domain in result.domains if domain.kind == "gpu-memory")
    assert memory.joules == pytest.approx(600.0)
    assert not memory.counted
    assert result.total_j == pytest.approx(3000.0)
    assert result.gpu_j == pytest.approx(3000.0)


def test_who_used_the_gpu(nvml):
    """The driver's ring of utilisation, through the real bindings: an idle GPU raises, a busy one names its process."""
    gpu = nvml.gpu()
    (sensor,) = open_nvml()
    watch = GpuWatch([sensor], lambda pid: "foreground" if pid == 77 else "other", clock_ns=nvml.now_ns)
    gpu.update(pid=77, sm=80)
    for pid in (77, 77, 78):
        gpu["pid"] = pid
        nvml.pass_time(1.0)
        watch.poll()
    shares = watch.shares("gpu-0")
    sensor.close()
    assert shares.foreground_ratio == pytest.approx(2 / 3)
    assert shares.background_ratio == 0.0
    assert watch.shares("gpu-9") is None


def test_observation(nvml):
    """Temperature and processes are there; a temperature that the card refuses is None."""
    nvml.gpu(temperature=61, pid=4242)
    (sensor,) = open_nvml()
    seen = sensor.observe()
    nvml.errors["nvmlDeviceGetTemperature"] = 3
    nvml.save()
    refused = sensor.observe()
    sensor.close()
    assert (seen.temperature_c, seen.process_ids) == (61, (4242,))
    assert (refused.temperature_c, refused.process_ids) == (None, (4242,))
