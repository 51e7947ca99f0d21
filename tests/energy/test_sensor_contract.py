"""The contract suite on every sensor and on the fake."""

from __future__ import annotations

import pytest
from contract import SensorContract
from polling import eventually

from pytest_parallel_energy.energy.sensors.coefficients import coefficients_of
from pytest_parallel_energy.energy.sensors.estimate import EstimateSensor
from pytest_parallel_energy.energy.sensors.nvml import open_nvml
from pytest_parallel_energy.energy.sensors.powercap import open_powercap
from pytest_parallel_energy.host.cpu_info import CpuInfo
from pytest_parallel_energy.testing import FakeSensor, PowercapTree, PowerProfile, VirtualClock


class TestFakeSensor(SensorContract):
    @pytest.fixture
    def clock(self):
        return VirtualClock()

    @pytest.fixture
    def sensor(self, clock):
        return FakeSensor(PowerProfile.constant(10.0), clock=clock)

    @pytest.fixture
    def spend(self, clock):
        return lambda: clock.advance(1.0)


class TestPowercapSensor(SensorContract):
    @pytest.fixture
    def tree(self, tmp_path):
        return PowercapTree(tmp_path)

    @pytest.fixture
    def sensor(self, tree):
        sensors = open_powercap(tree.root)
        yield sensors[0]
        for sensor in sensors:
            sensor.close()

    @pytest.fixture
    def spend(self, tree):
        return lambda: tree.write("intel-rapl:0", 9_000_000)


class TestNvmlSensor(SensorContract):
    @pytest.fixture
    def sensor(self, nvml):
        nvml.gpu()
        (sensor,) = open_nvml()
        yield sensor
        sensor.close()

    @pytest.fixture
    def spend(self, nvml):
        return lambda: nvml.pass_time(1.0)


class TestNvmlPowerOnlySensor(TestNvmlSensor):
    @pytest.fixture
    def sensor(self, nvml):
        nvml.gpu(has_energy=0)
        (sensor,) = open_nvml()
        yield sensor
        sensor.close()


class TestNvmlModuleSensor(TestNvmlSensor):
    @pytest.fixture
    def sensor(self, nvml):
        nvml.gpu(name="GH200", module_mw=600_000)
        board, module = open_nvml()
        yield module
        board.close()
        module.close()


class TestNvmlMemorySensor(TestNvmlSensor):
    @pytest.fixture
    def sensor(self, nvml):
        nvml.gpu(memory_mw=60_000)
        board, memory = open_nvml()
        yield memory
        board.close()
        memory.close()


class TestEstimateSensor(SensorContract):
    @pytest.fixture
    def clock(self):
        return VirtualClock()

    @pytest.fixture
    def sensor(self, clock, tmp_path):
        stat = tmp_path / "stat"
        stat.write_text("cpu  100 0 50 9000 5 0 1 0 0 0\n")
        cpu = CpuInfo(threads=4, vendor="GenuineIntel", family=6, model=143)
        sensor = EstimateSensor(cpu, coefficients_of("Sapphire Rapids"), stat=stat, clock_ns=clock)
        yield sensor
        sensor.close()

    @pytest.fixture
    def spend(self, clock):
        return lambda: clock.advance(1.0)


def test_real_powercap_if_there_is_one():
    """On a machine with readable RAPL, a busy moment moves the package counter."""
    from pathlib import Path

    from pytest_parallel_energy.errors import SensorUnavailableError

    try:
        sensors = open_powercap(Path("/sys"))
    except SensorUnavailableError as error:
        pytest.skip(f"no RAPL here: {error.reason}")
    before = sensors[0].read().counter
    eventually(lambda: sensors[0].read().counter != before, timeout_s=5)
    for sensor in sensors:
        sensor.close()
