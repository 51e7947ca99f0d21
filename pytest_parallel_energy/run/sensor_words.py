"""The sensors of a session in words: those in use, and those that are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..energy.meter import EnergyMeter

__all__ = ["refusals_in_words", "sensors_in_words"]


def sensors_in_words(meter: EnergyMeter) -> tuple[str, ...]:
    """Return one sentence per kind of sensor in use."""
    about = [sensor.description for sensor in meter.sensors]
    return tuple(dict.fromkeys(f"{sensor.source} ({sensor.quality}): {sensor.covers}" for sensor in about))


def refusals_in_words(meter: EnergyMeter) -> tuple[str, ...]:
    """Return one sentence per sensor that is not in use, with the reason."""
    return tuple(f"{refusal.name}: {refusal.reason}" for refusal in meter.refused)
