"""Sensors of others: AMD's library and third parties' entry points; and the energy of a command."""

from __future__ import annotations

import signal
import subprocess
import sys
import types

import pytest
from contract import SensorContract

from pytest_parallel_energy.console.measure import render_result
from pytest_parallel_energy.console.measured_command import measure_command
from pytest_parallel_energy.energy.meter import EnergyMeter
from pytest_parallel_energy.energy.sensors.amd import open_amd
from pytest_parallel_energy.energy.sensors.probe import probe_sensors
from pytest_parallel_energy.errors import ConfigError, SensorUnavailableError
from pytest_parallel_energy.records.energy_values import Quality
from pytest_parallel_energy.testing import FakeSensor, PowercapTree, PowerProfile, VirtualClock


class AmdSmi(types.ModuleType):
    """What of ``amdsmi`` 7 is used, with the same names and shapes."""

    class AmdSmiException(Exception):  # noqa: N818 - the library calls it so
        pass

    def __init__(self, gpus=1, counter=True):
        super().__init__("amdsmi")
        self.gpus = gpus
        self.counter = counter
        self.energy = 1_000
        self.open = 0

    def amdsmi_init(self):
        self.open += 1

    def amdsmi_shut_down(self):
        self.open -= 1

    def amdsmi_get_processor_handles(self):
        return [object() for _ in range(self.gpus)]

    def amdsmi_get_energy_count(self, handle):
        if not self.counter:
            raise self.AmdSmiException("not supported")
        return {"energy_accumulator": self.energy, "counter_resolution": 15.3, "timestamp": 0}

    def amdsmi_get_power_info(self, handle):
        return {"current_socket_power": "N/A", "socket_power": 250, "average_socket_power": "N/A"}

    def amdsmi_get_power_cap_info(self, handle):
        return {"max_power_cap": 300_000_000}

    def amdsmi_get_gpu_device_uuid(self, handle):
        return "9eff-74a1"


@pytest.fixture
def amdsmi(monkeypatch):
    module = AmdSmi()
    monkeypatch.setitem(sys.modules, "amdsmi", module)
    return module


class TestAmdSensor(SensorContract):
    @pytest.fixture
    def sensor(self, amdsmi):
        (sensor,) = open_amd({})
        yield sensor
        sensor.close()
        assert amdsmi.open == 0

    @pytest.fixture
    def spend(self, amdsmi):
        def spend():
            amdsmi.energy += 100_000

        return spend


class TestAmdPowerSensor(TestAmdSensor):
    @pytest.fixture
    def sensor(self, amdsmi):
        amdsmi.counter = False
        (sensor,) = open_amd({})
        yield sensor
        sensor.close()


def test_amd_joules_and_limit(amdsmi):
    """The accumulator's resolution is in microjoules; a jump above the power cap is not believed."""
    clock = VirtualClock()
    with EnergyMeter(open_amd({}), clock_ns=clock) as meter:
        for step, joules in ((1_000_000, pytest.approx(15.3)), (100_000_000, None)):
            window = meter.begin()
            clock.advance(1.0)
            amdsmi.energy += step
            assert window.end().gpu_j == joules


@pytest.mark.parametrize(
    ("value", "names"), [("1", ["gpu-1"]), ("0,1", ["gpu-0", "gpu-1"]), ("GPU-x", ["gpu-0", "gpu-1"])]
)
def test_amd_visible_devices(amdsmi, value, names):
    """Indices choose; other forms leave all."""
    amdsmi.gpus = 2
    sensors = open_amd({"HIP_VISIBLE_DEVICES": value})
    assert [sensor.description.name for sensor in sensors] == names
    for sensor in sensors:
        sensor.close()
    assert amdsmi.open == 0


class TwoDies(AmdSmi):
    """An MI250X: the first GPU of a board measures both, and the second one's values stay at 0."""

    def __init__(self, boards=1):
        super().__init__(gpus=2 * boards)

    def amdsmi_get_processor_handles(self):
        return list(range(self.gpus))

    def amdsmi_get_energy_count(self, handle):
        return {**super().amdsmi_get_energy_count(handle), "energy_accumulator": 0 if handle % 2 else self.energy}

    def amdsmi_get_power_info(self, handle):
        return {"current_socket_power": 0 if handle % 2 else 250, "socket_power": 0, "average_socket_power": "N/A"}


@pytest.mark.parametrize(
    ("value", "names", "words"),
    [
        (None, ["gpu-0", "gpu-2"], "gpu-1 reports no energy: it is measured by its sibling gpu-0"),
        ("1", ["gpu-0"], "the energy of gpu-0, which is not visible here, is part of it"),
        ("2,3", ["gpu-2"], "gpu-3 reports no energy: it is measured by its sibling gpu-2"),
    ],
)
def test_amd_second_die_is_measured_by_its_sibling(monkeypatch, value, names, words):
    """It is neither a GPU of 0 J nor a missing one: its sibling counts for both, and a remark says so."""
    module = TwoDies(boards=2)
    monkeypatch.setitem(sys.modules, "amdsmi", module)
    clock = VirtualClock()
    with EnergyMeter(open_amd({} if value is None else {"HIP_VISIBLE_DEVICES": value}), clock_ns=clock) as meter:
        window = meter.begin()
        clock.advance(1.0)
        module.energy += 1_000_000
        result = window.end()
    assert [domain.name for domain in result.domains] == names
    assert result.gpu_j == pytest.approx(15.3 * len(names))
    assert any(words in flag for flag in window.flags)
    assert module.open == 0


def test_amd_gpu_without_any_value_is_missing(monkeypatch):
    """A GPU at 0 W whose sibling is not known is missing, and not at 0 J."""
    module = TwoDies()
    monkeypatch.setattr(module, "amdsmi_get_processor_handles", lambda: [1])
    monkeypatch.setitem(sys.modules, "amdsmi", module)
    clock = VirtualClock()
    with EnergyMeter(open_amd({}), clock_ns=clock) as meter:
        window = meter.begin()
        clock.advance(1.0)
        assert window.end().gpu_j is None


def test_amd_hidden_or_absent(amdsmi):
    """No GPU is a reason, and the library is given back."""
    with pytest.raises(SensorUnavailableError, match="hides"):
        open_amd({"HIP_VISIBLE_DEVICES": ""})
    amdsmi.gpus = 0
    with pytest.raises(SensorUnavailableError, match="lists no GPU"):
        open_amd({})
    assert amdsmi.open == 0


PLUGIN = {
    "good": "def find():\n    from pytest_parallel_energy.testing import FakeSensor, PowerProfile\n"
    "    return [FakeSensor(PowerProfile.constant(5.0))]\n",
    "same": "from meter_good import find\n",
    "broken": "def find():\n    raise RuntimeError('no meter on USB')\n",
    "strange": "def find():\n    return ['text']\n",
    "absent": "from nowhere import nothing\n",
}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a plug-in with a sensor named like its text in PLUGIN."""

    def install(name):
        info = tmp_path / f"meter_{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: meter-{name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[pytest_parallel_energy.sensors]\nusb-{name} = meter_{name}:find\n")
        (tmp_path / f"meter_{name}.py").write_text(PLUGIN[name])

    monkeypatch.syspath_prepend(tmp_path)
    return install


def test_a_plug_in_gives_a_sensor(install):
    """Named in the entry-point group, it can be asked for by name."""
    install("good")
    (sensor,) = probe_sensors(("usb-good",)).found
    assert sensor.description.name == FakeSensor(PowerProfile.constant(5.0)).description.name
    assert sensor.read().counter is not None
    sensor.close()


@pytest.mark.parametrize(
    ("name", "words"),
    [("broken", "RuntimeError: no meter on USB"), ("strange", "returned str"), ("absent", "ModuleNotFoundError")],
)
def test_a_plug_in_that_fails_is_refused(install, name, words):
    """Whatever it does, it is a reason, and the others work."""
    install(name)
    probe = probe_sensors((f"usb-{name}", "estimate"))
    assert words in probe.refused[0].reason
    assert [sensor.description.source for sensor in probe.found] == ["estimate"]
    for sensor in probe.found:
        sensor.close()


def test_a_plug_in_beside_auto_is_opened_once(install):
    """``auto`` contains the plug-ins already: naming one as well opens no second sensor of the same name."""
    install("good")
    for names in (("auto", "usb-good"), ("usb-good", "auto"), ("estimate", "usb-good", "usb-good")):
        probe = probe_sensors(names)
        found = [sensor.description.name for sensor in probe.found]
        assert found.count(FakeSensor(PowerProfile.constant(5.0)).description.name) == 1, names
        EnergyMeter(probe.found).close()


def test_plug_ins_with_sensors_of_one_name(install):
    """The second plug-in is refused with the name and the remedy, and the measurement goes on with the first."""
    install("good")
    install("same")
    probe = probe_sensors(("usb-good", "usb-same", "estimate"))
    (refusal,) = probe.refused
    assert refusal.name == "usb-same"
    assert "has the name of a sensor of" in refusal.reason
    assert "--energy-sensors" in refusal.remedy
    EnergyMeter(probe.found).close()


def test_the_docstring_example_is_a_sensor():
    """The ten lines that the documentation shows obey the contract."""
    import pytest_parallel_energy.energy.sensor as module

    lines = module.__doc__.split("::\n\n")[1].split("\n\nName a function")[0]
    code = "\n".join(line.removeprefix("    ") for line in lines.splitlines())
    names = {**vars(module), "my_meter": types.SimpleNamespace(watts=lambda: 42.0, disconnect=lambda: None)}
    exec(code, names)
    wall = names["WallMeter"]()
    assert isinstance(wall, module.Sensor)
    clock = VirtualClock()
    with EnergyMeter([wall], clock_ns=clock) as meter, meter.window() as window:
        clock.advance(1.0)
    assert window.result.total_j == pytest.approx(42.0)
    assert window.result.boundary == "whole machine at the wall"


def test_wall_meter_beside_rapl_is_not_added(tmp_path):
    """The package is inside the wall's joules: one of them counts."""
    clock = VirtualClock()
    wall = FakeSensor(PowerProfile.constant(500.0), clock=clock)
    package = FakeSensor(PowerProfile.constant(100.0), clock=clock)
    from dataclasses import replace

    wall._description = replace(wall.description, name="wall", kind="wall", contains=frozenset({"cpu", "dram", "gpu"}))
    with EnergyMeter([wall, package], clock_ns=clock) as meter, meter.window() as window:
        clock.advance(1.0)
    assert window.result.total_j == pytest.approx(100.0)
    assert [domain.counted for domain in window.result.domains] == [False, True]


def test_measure_a_command(tmp_path):
    """The command's exit status, and the energy with label, interval and boundary."""
    with PowercapTree(tmp_path), EnergyMeter("powercap", sysfs_root=tmp_path) as meter:
        measured = measure_command([sys.executable, "-c", "import time; time.sleep(0.2); raise SystemExit(3)"], meter)
    assert measured.exit_status == 3
    assert measured.result.total_j == pytest.approx(128 * measured.result.window_s, rel=0.2)
    text = "\n".join(render_result(measured))
    assert "±" in text
    assert "[counter]" in text
    assert "boundary: CPU packages + DRAM" in text
    assert measured.result.quality is Quality.COUNTER


def test_measure_a_command_that_a_signal_ends(tmp_path):
    """As a shell tells it: 128 + number."""
    with EnergyMeter("powercap", sysfs_root=tmp_path) as meter:
        code = f"import os; os.kill(os.getpid(), {int(signal.SIGTERM)})"
        measured = measure_command([sys.executable, "-c", code], meter)
    assert measured.exit_status == 143
    assert "missing" in render_result(measured)[0]


@pytest.mark.parametrize("argv", [[], ["/no/such/program"]])
def test_measure_nothing(tmp_path, argv):
    """One sentence."""
    with EnergyMeter("powercap", sysfs_root=tmp_path) as meter, pytest.raises(ConfigError):
        measure_command(argv, meter)


def test_measure_from_the_command_line():
    """``pytest-parallel-energy measure -- COMMAND``: output of the command stays its own."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest_parallel_energy", "measure", "--sensors", "estimate", "--", "echo", "hello"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (run.stdout, run.returncode) == ("hello\n", 0)
    assert "[estimated]" in run.stderr
