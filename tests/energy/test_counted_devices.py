"""Windows in which some GPUs count: the others are shown with their joules and left out of all sums."""

from __future__ import annotations

import pytest

from pytest_parallel_energy.energy.meter import EnergyMeter
from pytest_parallel_energy.energy.sensors.nvml import open_nvml
from pytest_parallel_energy.errors import ConfigError


@pytest.fixture
def boards(nvml):
    """A meter of three boards at 100, 200 and 400 W, on the stand-in for the driver."""
    for number, power_mw in enumerate((100_000, 200_000, 400_000)):
        nvml.gpu(power_mw=power_mw, uuid=f"GPU-{number}{number}-aaaa")
    with EnergyMeter(open_nvml(), clock_ns=nvml.now_ns) as meter:
        yield meter


def measured(nvml, meter, devices):
    window = meter.begin("test", devices=devices)
    with meter.window("part") as part:
        nvml.pass_time(10.0)
        meter.sample()
    return window.end(), part.result


@pytest.mark.parametrize(
    ("devices", "counted"),
    [
        (None, ["gpu-0", "gpu-1", "gpu-2"]),
        ("1", ["gpu-1"]),
        ("2,0", ["gpu-0", "gpu-2"]),
        ("GPU-22", ["gpu-2"]),
        ("", []),
    ],
)
def test_the_named_boards_count(nvml, boards, devices, counted):
    """By index or the beginning of a UUID; parts of the window count the same boards."""
    result, part = measured(nvml, boards, devices)
    names = {"gpu-0": 1000.0, "gpu-1": 2000.0, "gpu-2": 4000.0}
    assert {domain.name: domain.joules for domain in result.domains} == pytest.approx(names)
    assert [domain.name for domain in result.domains if domain.counted] == counted
    assert [domain.name for domain in result.domains if domain.excluded] == [n for n in names if n not in counted]
    total_j = sum(names[name] for name in counted) or None
    assert result.total_j == result.gpu_j == part.total_j == (total_j and pytest.approx(total_j))


def test_windows_of_different_boards_follow_each_other(nvml, boards):
    """One meter serves tests that use different boards."""
    assert measured(nvml, boards, "0")[0].total_j == pytest.approx(1000.0)
    assert measured(nvml, boards, "2")[0].total_j == pytest.approx(4000.0)
    assert measured(nvml, boards, None)[0].total_j == pytest.approx(7000.0)


def test_idle_power_is_that_of_the_counted_boards(nvml, boards):
    """Energy above idle subtracts the idle power of the same boards."""
    for gpu in nvml.gpus:
        gpu["power_mw"] = 50_000
    nvml.save()
    idle = boards.begin("idle")
    nvml.pass_time(5.0)
    idle.close()
    from pytest_parallel_energy.energy.idle import idle_leg

    boards.idle = idle_leg(idle.measurement(), None)
    for gpu, power_mw in zip(nvml.gpus, (100_000, 200_000, 400_000), strict=True):
        gpu["power_mw"] = power_mw
    nvml.save()
    assert measured(nvml, boards, "1")[0].above_idle_j == pytest.approx(1500.0)


@pytest.mark.parametrize("devices", ["3", "GPU-9", "0,7", "MIG-1"])
def test_a_board_that_is_not_measured_is_refused(boards, devices):
    """The message names it and those that are measured; no window stays open."""
    with pytest.raises(ConfigError, match=r"no sensor measures the GPU .*gpu-0 \(GPU-00-aaaa\)"):
        boards.begin("test", devices=devices)
    assert boards.open_windows == []
