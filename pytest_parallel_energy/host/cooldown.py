"""Rest before a measurement: a fixed time, until the machine is cool, or until its idle power is back.

Protocol (Cruz, "Green software engineering done right"; Green Metrics Tool): idle power within two standard deviations
of the idle leg for five seconds, temperature within two degrees of where the run began. Always bounded, then flagged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from ..errors import ConfigError
from ..units import format_seconds, format_watts, parse_seconds

__all__ = ["CoolDown", "Rest", "Rested", "parse_cool_down"]

_STEADY_S = 5.0
_POLL_S = 0.5
_SIGMAS = 2.0
_LEAST_BAND_RATIO = 0.02
"""A very steady idle leg must not demand more than sensors can show."""
_LIMIT_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CoolDown:
    """What to wait for, before each measured test."""

    until: Literal["seconds", "temperature", "idle"]
    seconds: float = 0.0
    """Of ``seconds``: how long."""
    temperature_c: float = 0.0
    """Of ``temperature``: no device above it."""
    limit_s: float = _LIMIT_S
    """The longest wait for anything else."""

    def __str__(self) -> str:
        """Return the text from which :func:`parse_cool_down` reads this rule."""
        if self.until == "temperature":
            return f"temp:{self.temperature_c:g}"
        return "idle" if self.until == "idle" else f"{self.seconds:g}"


def parse_cool_down(text: str) -> CoolDown:
    """``60`` or ``2 min``, ``temp:50``, ``idle``.

    >>> parse_cool_down("temp:50").temperature_c
    50.0

    Raises:
        ConfigError: none of them.
    """
    if text == "idle":
        return CoolDown(until="idle")
    kind, colon, value = text.partition(":")
    if colon and kind == "temp":
        try:
            temperature_c = float(value)
        except ValueError:
            temperature_c = float("nan")
        if not 0 < temperature_c < 150:  # noqa: PLR2004 - degrees that a chip can have
            raise ConfigError(f"{text!r} is no temperature; write temp:50 for 50 °C")
        return CoolDown(until="temperature", temperature_c=temperature_c)
    try:
        return CoolDown(until="seconds", seconds=parse_seconds(text))
    except ConfigError as error:
        raise ConfigError(f"{text!r} is no cool-down; write seconds (60), temp:50 or idle") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Rested:
    """How the rest went."""

    waited_s: float
    flag: str | None = None
    """Why the machine may not be at rest; ``None`` when it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """Where the rest looks: injected, so that a test has its own."""

    power_w: Callable[[float], float | None]
    """Mean power over the next so many seconds (blocks), ``None`` when unknown."""
    temperatures_c: Callable[[], Mapping[str, float]]
    idle_w: float | None = None
    idle_sigma_w: float = 0.0
    clock_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def take(self, rule: CoolDown) -> Rested:
        """Wait as the rule says. Never raises for a machine that does not cool down: the flag says so."""
        started_s = self.clock_s()
        match rule.until:
            case "seconds":
                self.sleep(rule.seconds)
                flag = None
            case "temperature":
                flag = self._until_cool(rule, started_s)
            case "idle":
                flag = self._until_idle(rule, started_s)
        return Rested(waited_s=self.clock_s() - started_s, flag=flag)

    def _until_cool(self, rule: CoolDown, started_s: float) -> str | None:
        while True:
            hottest = max(self.temperatures_c().items(), key=lambda item: item[1], default=None)
            if hottest is None:
                return "no temperature can be read here: the cool-down was left out"
            if hottest[1] <= rule.temperature_c:
                return None
            if self.clock_s() - started_s > rule.limit_s:
                return (
                    f"{hottest[0]} was still at {hottest[1]:.0f} °C, above {rule.temperature_c:.0f} °C, "
                    f"after {format_seconds(rule.limit_s)} of cool-down"
                )
            self.sleep(_POLL_S)

    def _until_idle(self, rule: CoolDown, started_s: float) -> str | None:
        if self.idle_w is None:
            return "no idle power was measured: the cool-down was left out (--energy-idle=5 measures it)"
        band_w = max(_SIGMAS * self.idle_sigma_w, _LEAST_BAND_RATIO * self.idle_w)
        steady_s, power_w = 0.0, None
        while steady_s < _STEADY_S:
            if self.clock_s() - started_s > rule.limit_s:
                return (
                    f"power was at {format_watts(power_w)}, not back at the idle {format_watts(self.idle_w)}, "
                    f"after {format_seconds(rule.limit_s)} of cool-down"
                )
            power_w = self.power_w(_POLL_S)
            if power_w is None:
                return "no power can be read: the cool-down was left out"
            steady_s = steady_s + _POLL_S if power_w <= self.idle_w + band_w else 0.0
        return None
