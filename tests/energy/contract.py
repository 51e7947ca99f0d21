"""What every sensor must do, real, fake or a third party's: mixed into the tests of each."""

from __future__ import annotations

import pickle

import pytest

from pytest_parallel_energy.energy.sensor import KINDS, Reading, Sensor
from pytest_parallel_energy.errors import SensorError


class SensorContract:
    """A subclass gives a fixture ``sensor`` and ``spend``: a function that lets at least a joule be used."""

    def test_is_a_sensor(self, sensor):
        """It has the verbs of the protocol."""
        assert isinstance(sensor, Sensor)

    def test_description_is_constant(self, sensor, spend):
        """It says the same of itself before and after readings."""
        before = sensor.description
        sensor.read()
        spend()
        sensor.read()
        assert sensor.description == before

    def test_description_is_complete(self, sensor):
        """Name, source and boundary are there, and the kind is a known one."""
        about = sensor.description
        assert about.name
        assert about.source
        assert about.covers
        assert about.kind in KINDS

    def test_description_survives_pickling(self, sensor):
        """It can travel to another process."""
        assert pickle.loads(pickle.dumps(sensor.description)) == sensor.description

    def test_reading_has_a_value(self, sensor):
        """A reading holds what the description promises."""
        reading = sensor.read()
        assert isinstance(reading, Reading)
        promised = reading.power_w if sensor.description.joules_per_count is None else reading.counter
        assert promised is not None
        assert promised >= 0

    def test_counter_grows(self, sensor, spend):
        """Energy that is used shows up in the counter."""
        if sensor.description.joules_per_count is None:
            pytest.skip("this sensor gives power only")
        before = sensor.read().counter
        spend()
        assert sensor.read().counter > before

    def test_closing_twice_is_harmless(self, sensor):
        """Closing a second time does nothing."""
        sensor.close()
        sensor.close()

    def test_reading_when_closed_is_an_error(self, sensor):
        """A closed sensor gives an error of ours, never a number."""
        sensor.close()
        with pytest.raises(SensorError):
            sensor.read()
