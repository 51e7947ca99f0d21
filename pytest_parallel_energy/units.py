"""Units: constants, and conversions between numbers and texts for people.

Inside the package energy is joules, power is watts and time is seconds; counters keep their native integer
unit until a difference is taken. All conversions are in this module.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from .errors import ConfigError

if TYPE_CHECKING:
    import re

__all__ = [
    "JOULES_PER_KWH",
    "J_PER_MJ",
    "J_PER_UJ",
    "NS_PER_S",
    "W_PER_MW",
    "count_of",
    "format_joules",
    "format_seconds",
    "format_watts",
    "parse_joules",
    "parse_seconds",
    "parse_watts",
]

NS_PER_S = 1_000_000_000
J_PER_UJ = 1e-6
"""Joules in a microjoule: the unit of powercap's ``energy_uj``."""
J_PER_MJ = 1e-3
"""Joules in a millijoule: the unit of NVML's energy counter."""
W_PER_MW = 1e-3
"""Watts in a milliwatt: the unit of NVML's power readings."""
JOULES_PER_KWH = 3_600_000.0

_SI = {"m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_JOULE_UNITS = {f"{p}J": f for p, f in _SI.items()} | {f"{p}Wh": f * 3600.0 for p, f in _SI.items()}
_WATT_UNITS = {f"{p}W": f for p, f in _SI.items()}
_SECOND_UNITS = {"": 1.0, "ms": 1e-3, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_joules(text: str) -> float:
    """Return joules, 0 or more, from a text with a unit.

    >>> parse_joules("500 J"), parse_joules("2kWh")
    (500.0, 7200000.0)

    Raises:
        ConfigError: the text is not a number with a unit of energy.
    """
    return _parse(text, _JOULE_UNITS, "an energy such as '500 J', '1.5 kJ' or '2 kWh'")


def parse_watts(text: str) -> float:
    """Return watts, 0 or more, from a text with a unit.

    >>> parse_watts("250 W")
    250.0

    Raises:
        ConfigError: the text is not a number with a unit of power.
    """
    return _parse(text, _WATT_UNITS, "a power such as '250 W' or '1.2 kW'")


def parse_seconds(text: str) -> float:
    """Return seconds, 0 or more, from a text; a number without a unit is seconds.

    >>> parse_seconds("90"), parse_seconds("2 min")
    (90.0, 120.0)

    Raises:
        ConfigError: the text is not a number with a unit of time.
    """
    return _parse(text, _SECOND_UNITS, "a time such as '60', '60 s', '2 min' or '1 h'")


def _parse(text: str, factors: dict[str, float], wanted: str) -> float:
    match = _quantity().fullmatch(text)
    if match is not None and match["unit"] in factors:
        try:
            return float(match["number"]) * factors[match["unit"]]
        except ValueError:
            pass  # such as "1.2.3"; the message below covers it
    raise ConfigError(f"{text!r} is not {wanted}")


@functools.cache
def _quantity() -> re.Pattern[str]:
    """Return the pattern of a number with a unit; compiling it takes longer than the rest of this module."""
    import re

    return re.compile(r"\s*(?P<number>[0-9.]+(?:[eE][+-]?[0-9]+)?)\s*(?P<unit>[A-Za-zµ]*)\s*")


def count_of(number: int, noun: str) -> str:
    """Return a count with its noun in the singular or the plural.

    >>> count_of(1, "attempt"), count_of(0, "attempt")
    ('1 attempt', '0 attempts')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def format_joules(joules: float | None) -> str:
    """Return joules as text, three significant digits; an unknown value is a dash, never 0.

    >>> format_joules(1234.5), format_joules(0.0321), format_joules(0.000154), format_joules(None)
    ('1.23 kJ', '32.1 mJ', '154 µJ', '–')
    """
    return _format(joules, "J")


def format_watts(watts: float | None) -> str:
    """Return watts as text, three significant digits; an unknown value is a dash.

    >>> format_watts(87.4), format_watts(None)
    ('87.4 W', '–')
    """
    return _format(watts, "W")


def _format(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    if value == 0:
        return f"0 {unit}"
    for prefix, factor in (("M", 1e6), ("k", 1e3), ("", 1.0), ("m", 1e-3), ("µ", 1e-6)):
        # 0.9995, because a value that rounds up to the next prefix is written with that ("1 kJ", not "1000 J")
        if abs(value) >= factor * 0.9995:
            return f"{_three_digits(value / factor)} {prefix}{unit}"
    return f"{value:.3g} {unit}"


def _three_digits(value: float) -> str:
    for limit, digits in ((9.995, 2), (99.95, 1)):
        if abs(value) < limit:
            return f"{value:.{digits}f}"
    return f"{value:.0f}"


def format_seconds(seconds: float | None) -> str:
    """Return seconds as text; an unknown value is a dash.

    >>> format_seconds(0.0421), format_seconds(75.2), format_seconds(7260.0), format_seconds(0.0002)
    ('42 ms', '1 min 15 s', '2 h 1 min', '<1 ms')
    """
    if seconds is None:
        return "–"
    if 0 < seconds < 0.5e-3:  # noqa: PLR2004 - what would be rounded to 0
        return "<1 ms"
    if seconds < 1:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 59.95:  # noqa: PLR2004 - below a minute after rounding to a tenth
        return f"{seconds:.1f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004 - minutes in an hour
        return f"{minutes} min {rest_s} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
