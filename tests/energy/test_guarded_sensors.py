"""Sensors of plug-ins that block, exit, or return what is not a number."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

from pytest_parallel_energy.energy.meter import EnergyMeter
from pytest_parallel_energy.energy.sensor import Reading, SensorDescription
from pytest_parallel_energy.energy.sensors.guarded import guarded_sensors
from pytest_parallel_energy.energy.sensors.powercap import open_powercap
from pytest_parallel_energy.errors import ConfigError, ParallelEnergyError, SensorError, SensorUnavailableError
from pytest_parallel_energy.host.lock import HostLock
from pytest_parallel_energy.records.energy_values import Quality
from pytest_parallel_energy.testing import FakeZone, PowercapTree


class Meter:
    """A wall meter that answers with a function."""

    description = SensorDescription(name="wall", kind="wall", source="usb", quality=Quality.INTEGRATED, covers="walls")

    def __init__(self, read, close=lambda: None):
        self.read, self.close = read, close


def guarded(read, close=lambda: None):
    (sensor,) = guarded_sensors("usb", lambda: [Meter(read, close)])
    return sensor


def exits():
    raise SystemExit(3)


def raises():
    raise RuntimeError("no answer\n" * 10_000)


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (exits, "3"),
        (raises, "no answer no answer"),
        (lambda: Reading(power_w=1e308), "1e\\+308 W is impossible"),
        (lambda: Reading(counter=np.float64(7.0)), "no usable reading"),
        (lambda: 42.0, "no usable reading"),
        (lambda: Reading(counter=10**40), "64 bits"),
    ],
)
def test_what_a_sensor_does_wrong_becomes_a_short_reason(read, words):
    """No exit, no traceback, and no message of a megabyte."""
    sensor = guarded(read)
    with pytest.raises(SensorError, match=words) as caught:
        sensor.read()
    assert len(str(caught.value)) < 500
    with EnergyMeter([sensor]) as meter, meter.window() as window:
        pass
    assert window.result.total_j is None
    json.dumps(window.result.domains[0].reason)


def test_numbers_of_numpy_become_numbers_of_python():
    """The record is written by msgspec, which knows only those."""
    reading = guarded(lambda: Reading(np.uint64(7), np.float32(1.5), np.int64(9))).read()
    assert [type(value) for value in reading] == [int, float, int]
    assert reading == (7, 1.5, 9)


def test_a_sensor_that_blocks_costs_one_deadline_and_comes_back():
    """Later readings fail at once while the first has not returned, and work when it has."""
    gate = threading.Event()
    sensor = guarded(lambda: (gate.wait(30), Reading(power_w=5.0))[1])
    started_s = time.monotonic()
    for words in ("within 1 s", "has not returned since", "has not returned since"):
        with pytest.raises(SensorError, match=words):
            sensor.read()
    assert time.monotonic() - started_s < 3
    gate.set()
    for _ in range(100):
        try:
            assert sensor.read().power_w == 5.0
        except SensorError:
            time.sleep(0.05)
        else:
            break
    else:
        pytest.fail("the sensor did not come back")


@pytest.mark.parametrize("close", [exits, raises, lambda: time.sleep(30)], ids=["exits", "raises", "blocks"])
def test_a_sensor_that_cannot_be_closed(close):
    """Closing the meter says so, within its deadline."""
    sensor = guarded(lambda: Reading(power_w=5.0), close)
    started_s = time.monotonic()
    with pytest.raises(ParallelEnergyError, match="closing sensors failed: wall"), EnergyMeter([sensor]) as meter:
        meter.begin().end()
    assert time.monotonic() - started_s < 10


def test_a_description_that_is_none():
    """The plug-in is refused with a reason."""
    with pytest.raises(SensorUnavailableError, match="its description is a NoneType"):
        guarded_sensors("usb", lambda: [type("M", (), {"description": None, "read": 0, "close": 0})()])


PLUGIN = """
    import time
    from pytest_parallel_energy.energy.sensor import Reading, SensorDescription
    from pytest_parallel_energy.records.energy_values import Quality

    class Meter:
        description = SensorDescription(
            name="wall", kind="wall", source="usb", quality=Quality.INTEGRATED, covers="walls")
        def read(self):
            {read}
        def close(self):
            {close}

    def find():
        return [Meter()]
"""


@pytest.mark.parametrize(
    ("read", "close", "words"),
    [
        ("time.sleep(60)", "pass", "did not return within 1 s"),
        ("raise SystemExit(3)", "pass", "3"),
        ("return Reading(power_w=1e308)", "pass", "impossible"),
        ("return Reading(power_w=5.0)", "raise OSError('unplugged')", None),
        ("return Reading(power_w=5.0)", "time.sleep(60)", None),
    ],
    ids=["blocks", "exits", "overflows", "close raises", "close blocks"],
)
def test_a_session_with_such_a_plug_in_ends_with_records(tmp_path, read, close, words):
    """The other sensors keep their joules, and pytest ends in time without INTERNALERROR."""
    info = tmp_path / "meter_usb-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: meter-usb\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pytest_parallel_energy.sensors]\nusb = meter_usb:find\n")
    (tmp_path / "meter_usb.py").write_text(textwrap.dedent(PLUGIN.format(read=read, close=close)))
    (tmp_path / "test_it.py").write_text("def test_it(energy_meter):\n    sum(range(10**6))\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "pytest_parallel_energy.plugin", "-p", "no:cacheprovider",
               "--energy", "--energy-idle=0", "--energy-sensors=estimate,usb", "--energy-host-lock=off"]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}",
           "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "INTERNALERROR" not in done.stdout + done.stderr
    (file,) = tmp_path.rglob("records.jsonl")
    (record,) = [json.loads(line) for line in file.read_text().splitlines()]
    domains = {domain["name"]: domain for domain in record["energy"]["domains"]}
    assert domains["server-estimate"]["joules"] > 0
    if words is None:
        assert domains["wall"]["joules"] > 0
        assert "closing sensors failed" in done.stdout + done.stderr
    else:
        assert words in domains["wall"]["reason"]


def test_a_fifo_in_the_powercap_tree_does_not_hang(tmp_path):
    """It is a reason; pytest goes on with other sensors."""
    with PowercapTree(tmp_path, [FakeZone(path="intel-rapl:0", name="package-0")]):
        pass
    for name in ("energy_uj", "max_energy_range_uj"):
        (file,) = tmp_path.rglob(name)
        file.unlink()
        os.mkfifo(file)
    with pytest.raises(SensorUnavailableError, match="not a plain file"):
        open_powercap(tmp_path)


def test_a_fifo_in_the_place_of_the_lock_does_not_hang(tmp_path):
    """Another user may have put it there: it is refused, with the way out."""
    os.mkfifo(tmp_path / "pytest-parallel-energy.lock")
    with pytest.raises(ConfigError, match="is not a plain file"):
        HostLock(tmp_path).acquire()
