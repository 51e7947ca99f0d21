"""Cool-down before a measurement: for a fixed time, until the machine is cool, or until its power is idle again.

Power is idle when it stays within two standard deviations of the idle leg for five seconds (protocol: Cruz, "Green
software engineering done right"; Green Metrics Tool). Every wait has a limit, after which the record is flagged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Struct

from ..errors import ConfigError
from ..units import format_seconds, format_watts, parse_seconds

__all__ = ["CoolDown", "Rest", "Rested", "parse_cool_down"]

_STEADY_S = 5.0
_POLL_S = 0.5
_SIGMAS = 2.0
_LEAST_BAND_RATIO = 0.02
"""Lower limit of the band: sensors cannot resolve less, however steady the idle leg was."""
_LIMIT_S = 300.0


class CoolDown(Struct, frozen=True, kw_only=True):
    """The condition to wait for before each measured test."""

    until: Literal["seconds", "temperature", "idle"]
    seconds: float = 0.0
    """With ``seconds``: the time to wait."""
    temperature_c: float = 0.0
    """With ``temperature``: the temperature that every device must reach."""
    limit_s: float = _LIMIT_S
    """Maximum seconds to wait for a temperature or idle power."""

    def __str__(self) -> str:
        """Return the text from which :func:`parse_cool_down` reads this rule."""
        if self.until == "temperature":
            return f"temp:{self.temperature_c:g}"
        return "idle" if self.until == "idle" else f"{self.seconds:g}"


def parse_cool_down(text: str) -> CoolDown:
    """Return the condition from the text of an option: ``60``, ``2 min``, ``temp:50`` or ``idle``.

    >>> parse_cool_down("temp:50").temperature_c
    50.0

    Raises:
        ConfigError: the text has none of these forms.
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
            raise ConfigError(f"invalid temperature in {text!r}: use 0 to 150 °C, such as temp:50")
        return CoolDown(until="temperature", temperature_c=temperature_c)
    try:
        return CoolDown(until="seconds", seconds=parse_seconds(text))
    except ConfigError as error:
        raise ConfigError(f"invalid cool-down {text!r}: use seconds (60), a temperature (temp:50) or idle") from error


class Rested(Struct, frozen=True, kw_only=True):
    """Outcome of a cool-down."""

    waited_s: float
    flag: str | None = None
    """The reason why the condition was not reached; ``None`` when it was."""


class Rest(Struct, frozen=True, kw_only=True):
    """Sources of power, temperature and time for a cool-down."""

    power_w: Callable[[float], float | None]
    """Blocks for the given seconds and returns the mean power meanwhile, ``None`` when unknown."""
    temperatures_c: Callable[[], Mapping[str, float]]
    idle_w: float | None = None
    idle_sigma_w: float = 0.0
    clock_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def take(self, rule: CoolDown) -> Rested:
        """Wait until the condition holds or its limit has passed, which sets the flag."""
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
                return "no temperature can be read on this machine: the cool-down was skipped"
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
            return "no idle power was measured: the cool-down was skipped (--energy-idle=5 measures it)"
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
                return "no power can be read: the cool-down was skipped"
            steady_s = steady_s + _POLL_S if power_w <= self.idle_w + band_w else 0.0
        return None
