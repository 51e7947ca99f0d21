"""What can be measured here, why not, and the command that mends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..units import format_joules, format_watts
from .boundary import boundary_words, counted
from .meter import EnergyMeter
from .result import DomainEnergy, Quality, WindowResult
from .sensor import Sensor

__all__ = ["Diagnosis", "diagnose"]

_LOOK_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What the doctor found."""

    lines: tuple[str, ...]
    """Plain text, one finding a line."""
    exit_status: int
    """0 when energy is measured here; 1 when it would be estimated only, or not known at all."""


def diagnose(
    *,
    sysfs_root: Path = Path("/sys"),
    sensors: Sequence[str] = ("auto",),
    look_s: float = _LOOK_S,
    sleep: Callable[[float], None] = time.sleep,
) -> Diagnosis:
    """Open the sensors, look at them for a moment, and say what was found.

    Args:
        sysfs_root: where powercap and perf trees are looked for.
        sensors: names as in ``EnergyMeter``.
        look_s: length of the look, seconds.
        sleep: how to wait.

    Raises:
        ConfigError: a sensor name that does not exist.
    """
    with EnergyMeter(sensors, sysfs_root=sysfs_root, interval_s=min(0.1, look_s)) as meter:
        with meter.window("doctor") as window:
            sleep(look_s)
        result = window.result
        lines = [*_found(meter.sensors, result), *_refused(meter)]
    return Diagnosis(lines=(*lines, *_verdict(result)), exit_status=_status(result))


def _found(sensors: Sequence[Sensor], result: WindowResult) -> list[str]:
    descriptions = [sensor.description for sensor in sensors]
    if not descriptions:
        return ["no sensor works here"]
    lines = [f"total: {boundary_words(descriptions)}"]
    for domain, inside in zip(result.domains, counted(descriptions), strict=True):
        state = "ok" if domain.reason is None else "FAILS"
        apart = "" if inside else " (not in the total: another sensor holds these joules)"
        lines.append(f"{state:5} {domain.name} [{domain.source}, {domain.quality}]: {_reading(domain)}{apart}")
    return lines


def _reading(domain: DomainEnergy) -> str:
    if domain.reason is not None:
        return domain.reason
    return f"{format_watts(domain.mean_w)} now, {format_joules(domain.joules)} ± {format_joules(domain.u95_j)}"


def _refused(meter: EnergyMeter) -> list[str]:
    lines = []
    for refusal in meter.refused:
        lines.append(f"no    {refusal.name}: {refusal.reason}")
        if refusal.remedy:
            lines.append(f"      -> {refusal.remedy}")
    return lines


def _verdict(result: WindowResult) -> list[str]:
    if result.total_j is None:
        return ["verdict: energy cannot be known here; every result will say 'missing'"]
    if result.quality is Quality.ESTIMATED:
        return ["verdict: energy is only estimated here; every result will say so, with a wide interval"]
    return [f"verdict: energy is measured here ({result.quality})"]


def _status(result: WindowResult) -> int:
    return 1 if result.total_j is None or result.quality is Quality.ESTIMATED else 0
