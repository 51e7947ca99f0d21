"""The subcommand ``doctor``: which sensors work on this machine, why others do not, and how to fix them."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from ..energy.boundary import boundary_words, counted
from ..energy.idle import IdleLeg
from ..energy.meter import EnergyMeter
from ..energy.sensor import Sensor
from ..energy.sensors.perf import agree, open_perf
from ..energy.window import Window
from ..errors import SensorError, SensorUnavailableError
from ..host.surroundings import Finding, Surroundings, look_around
from ..records.energy_values import DomainEnergy, Quality, WindowResult
from ..units import format_joules, format_watts
from .update_period import watch_updates

__all__ = ["Diagnosis", "configure", "diagnose", "run"]

_LOOK_S = 5.0
_SHORT_LOOK_S = 1.0
_SAMPLE_S = 0.1


class Diagnosis(Struct, frozen=True, kw_only=True):
    """Findings about the sensors of this machine."""

    lines: tuple[str, ...]
    """Plain text, one finding per line."""
    exit_status: int
    """0 when energy is measured on this machine; 1 when it is only estimated, or unknown."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the subcommand."""
    parser.description = """\
Report which sensors work on this machine, with their power (watts) and the interval at which they update, why
other sensors do not work, and how to fix them. Takes about 5 seconds with a sensor and 1 without; changes nothing.
The same as: pytest --energy-doctor

exit status: 0 when energy can be measured, 1 when it can only be estimated or not at all"""
    parser.epilog = """\
example:
  pytest-parallel-energy doctor"""


def run(_options: argparse.Namespace) -> int:
    """Print the diagnosis."""
    diagnosis = diagnose(sysfs_root=Path(os.environ.get("PYTEST_ENERGY_SYSFS_ROOT", "/sys")))
    print("\n".join(diagnosis.lines))  # noqa: T201 - the answer itself
    return diagnosis.exit_status


def diagnose(
    *,
    sysfs_root: Path = Path("/sys"),
    sensors: Sequence[str] = ("auto",),
    look_s: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Diagnosis:
    """Open the sensors, watch them for a moment, and report. Changes nothing on the machine.

    Args:
        sysfs_root: folder with the powercap and perf trees.
        sensors: names as in ``EnergyMeter``.
        look_s: seconds to watch; by default 5, or 1 when there is only an estimate.
        sleep: waits so many seconds.

    Raises:
        ConfigError: a sensor name is unknown.
    """
    with EnergyMeter(sensors, sysfs_root=sysfs_root, interval_s=_SAMPLE_S, sleep=sleep) as meter:
        measured = [sensor for sensor in meter.sensors if sensor.description.quality is not Quality.ESTIMATED]
        if look_s is None:
            look_s = _LOOK_S if measured else _SHORT_LOOK_S
        finish_perf = _start_perf(meter, sysfs_root)
        with meter.window("doctor", edges=True) as window:
            idle = meter.measure_idle(look_s)
        result = window.result
        lines = [
            *_found(meter.sensors, result),
            *_agreement(result, None if finish_perf is None else finish_perf()),
            *_periods(measured),
            *_idle_lines(idle),
            *_notes(window),
            *_refused(meter),
        ]
    surroundings = look_around(Surroundings(sysfs_root=sysfs_root), busy_ratio=idle.busy_ratio)
    return Diagnosis(lines=(*lines, *_finding_lines(surroundings), *_verdict(result)), exit_status=_status(result))


def _found(sensors: Sequence[Sensor], result: WindowResult) -> Iterator[str]:
    descriptions = [sensor.description for sensor in sensors]
    if not descriptions:
        yield "no sensor works on this machine"
        return
    yield f"total: {boundary_words(descriptions)}"
    for domain, inside in zip(result.domains, counted(descriptions), strict=True):
        state = "ok" if domain.reason is None else "FAILS"
        suffix = "" if inside else " (not in the total: another sensor already counts this energy)"
        yield f"{state:5} {domain.name} [{domain.source}, {domain.quality}]: {_reading(domain)}{suffix}"


def _reading(domain: DomainEnergy) -> str:
    if domain.reason is not None:
        return domain.reason
    return f"{format_watts(domain.mean_w)} now, {format_joules(domain.joules)} ± {format_joules(domain.u95_j)}"


def _start_perf(meter: EnergyMeter, sysfs_root: Path) -> Callable[[], WindowResult] | None:
    """Measure with perf events too when powercap works, so that the two can be compared; return how to end that."""
    if not any(sensor.description.source == "powercap" for sensor in meter.sensors):
        return None
    try:
        other = EnergyMeter(open_perf(sysfs_root)).open()
    except SensorUnavailableError:
        return None
    window = other.begin("perf")

    def finish() -> WindowResult:
        result = window.end()
        other.close()
        return result

    return finish


def _agreement(result: WindowResult, second: WindowResult | None) -> Iterator[str]:
    if second is None:
        return
    first_w = [domain.mean_w for domain in result.domains if domain.kind == "cpu"]
    second_w = [domain.mean_w for domain in second.domains if domain.kind == "cpu"]
    verdict = {True: "agree", False: "DISAGREE", None: "cannot be compared"}[agree(first_w, second_w)]
    yield f"check powercap and perf events {verdict} on the CPU packages"


def _periods(sensors: Sequence[Sensor]) -> Iterator[str]:
    for sensor in sensors:
        try:
            yield f"check {sensor.description.name} {watch_updates(sensor).words()}"
        except SensorError as error:
            yield f"check {sensor.description.name} cannot be watched: {error}"


def _idle_lines(idle: IdleLeg) -> Iterator[str]:
    if idle.mean_w is not None:
        yield f"check idle power over {idle.seconds:.0f} s: {format_watts(idle.mean_w)} ± {format_watts(idle.u95_w)}"
    for name, cv_ratio in idle.cv_ratio.items():
        yield f"check {name} varies by {cv_ratio:.1%} from sample to sample while idle"


def _notes(window: Window) -> Iterator[str]:
    """Yield the flags of the windows: counter against integral, filtering, other processes, throttling."""
    flags = dict.fromkeys(flag for each in (window, *window.inner) for flag in each.flags)
    for flag in flags:
        if " is missing: " not in flag:
            yield f"note  {flag}"


def _refused(meter: EnergyMeter) -> Iterator[str]:
    for refusal in meter.refused:
        yield from _with_remedy(f"no    {refusal.name}: {refusal.reason}", refusal.remedy)


def _finding_lines(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        yield from _with_remedy(f"note  {finding.text}", finding.remedy)


def _with_remedy(line: str, remedy: str) -> Iterator[str]:
    yield line
    if remedy:
        yield f"      -> {remedy}"


def _verdict(result: WindowResult) -> Iterator[str]:
    if result.total_j is None:
        yield "verdict: energy cannot be measured on this machine; every result will say 'missing'"
    elif result.quality is Quality.ESTIMATED:
        yield "verdict: energy is only estimated on this machine; every result will say so, with a wide interval"
    else:
        yield f"verdict: energy is measured on this machine ({result.quality})"


def _status(result: WindowResult) -> int:
    return 1 if result.total_j is None or result.quality is Quality.ESTIMATED else 0
