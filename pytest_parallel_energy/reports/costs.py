"""Carbon, price and overhead: multiplications with numbers that the user gives, each with its source.

Nothing is guessed and nothing is fetched: without a number there is no result.
"""

from __future__ import annotations

import re

from msgspec import Struct

from ..errors import ConfigError
from ..units import JOULES_PER_KWH

__all__ = ["Cost", "Factor", "Factors", "carbon_factor", "costs_of", "price_factor", "pue_factor"]

_FACTOR = re.compile(r"\s*(?P<number>[0-9]*\.?[0-9]+)\s*(?P<unit>[^;]*?)\s*(?:;\s*(?P<source>.*?)\s*)?", re.DOTALL)
_GRAMS = {"": 1.0, "g/kWh": 1.0, "gCO2e/kWh": 1.0, "gCO2eq/kWh": 1.0, "kg/kWh": 1000.0, "kgCO2e/kWh": 1000.0}
_CURRENCY = re.compile(r"(?P<currency>\S+?)\s*/\s*kWh")


class Factor(Struct, frozen=True, kw_only=True):
    """A number that the user gave, as it is used, and where it is from."""

    value: float
    unit: str
    source: str = ""
    """In the user's words; empty where none was given, which reports say."""

    def __str__(self) -> str:
        return f"{self.value:g} {self.unit} ({self.source or 'no source given'})".replace("  ", " ")


class Factors(Struct, frozen=True, kw_only=True):
    """The factors that the user gave; ``None`` is not multiplied and not shown."""

    carbon: Factor | None = None
    """Grams of CO2 equivalent per kilowatt-hour."""
    price: Factor | None = None
    """Currency units per kilowatt-hour."""
    pue: Factor | None = None
    """Power usage effectiveness (ISO/IEC 30134-2): facility over equipment, 1 or more; enters carbon and price."""

    def __bool__(self) -> bool:
        return any((self.carbon, self.price, self.pue))


class Cost(Struct, frozen=True, kw_only=True):
    """The costs of some joules; ``None`` where the factor or the joules are unknown."""

    facility_j: float | None
    """Joules times PUE; ``None`` without a PUE."""
    carbon_g: float | None
    price: float | None


def carbon_factor(text: str) -> Factor:
    """Return the factor of ``energy_carbon_intensity``: a number, its unit if not grams, a source after a semicolon.

    >>> str(carbon_factor("0.381 kg/kWh; Ember 2025, Germany"))
    '381 g/kWh (Ember 2025, Germany)'

    Raises:
        ConfigError: not of that form.
    """
    number, unit, source = _parsed(text, "energy_carbon_intensity", "381 g/kWh; Ember 2025, Germany")
    if unit not in _GRAMS:
        raise ConfigError(f"energy_carbon_intensity has no unit {unit!r}: use one of {', '.join(filter(None, _GRAMS))}")
    return Factor(value=number * _GRAMS[unit], unit="g/kWh", source=source)


def price_factor(text: str) -> Factor:
    """Return the factor of ``energy_price``: a number, ``CURRENCY/kWh``, a source after a semicolon.

    >>> str(price_factor("0.31 EUR/kWh"))
    '0.31 EUR/kWh (no source given)'

    Raises:
        ConfigError: not of that form.
    """
    number, unit, source = _parsed(text, "energy_price", "0.31 EUR/kWh; contract of 2026")
    match = _CURRENCY.fullmatch(unit)
    if match is None:
        raise ConfigError(f"energy_price {text!r} has no currency: write it as '0.31 EUR/kWh; contract of 2026'")
    return Factor(value=number, unit=f"{match['currency']}/kWh", source=source)


def pue_factor(text: str) -> Factor:
    """Return the factor of ``energy_pue``: a number of 1 or more, a source after a semicolon.

    Raises:
        ConfigError: not of that form, or below 1.
    """
    number, unit, source = _parsed(text, "energy_pue", "1.2; operator's report 2025")
    if unit or number < 1:
        raise ConfigError(f'energy_pue {text!r} is not a number of 1 or more, such as "1.2; operator\'s report 2025"')
    return Factor(value=number, unit="PUE", source=source)


def costs_of(joules: float | None, factors: Factors) -> Cost:
    """Return the costs of ``joules``; unknown joules have unknown costs."""
    if joules is None:
        return Cost(facility_j=None, carbon_g=None, price=None)
    facility_j = joules * (factors.pue.value if factors.pue else 1.0)
    kwh = facility_j / JOULES_PER_KWH
    return Cost(
        facility_j=facility_j if factors.pue else None,
        carbon_g=kwh * factors.carbon.value if factors.carbon else None,
        price=kwh * factors.price.value if factors.price else None,
    )


def cost_sentences(joules: float | None, factors: Factors, quality: str = "") -> tuple[str, ...]:
    """Return one sentence per factor, with the number and its source; none without factors.

    Args:
        joules: the energy; ``None`` where it is unknown.
        factors: the user's factors.
        quality: the worst quality of the joules; a product of an estimate is said to be one.
    """
    cost = costs_of(joules, factors)
    overhead = ", facility overhead included" if factors.pue else ""
    estimated = ", from estimated joules" if quality == "estimated" else ""
    found = []
    if (pue := factors.pue) is not None:
        found.append(
            f"facility energy: {_amount(cost.facility_j, 'J')} at a PUE of {pue.value:g}{_from(pue)}{estimated}"
        )
    for name, factor, amount in (
        ("carbon", factors.carbon, _amount(cost.carbon_g, "g CO2e")),
        ("price", factors.price, _amount(cost.price, factors.price.unit.partition("/")[0] if factors.price else "")),
    ):
        if factor is not None:
            found.append(f"{name}: {amount} at {factor.value:g} {factor.unit}{_from(factor)}{overhead}{estimated}")
    return tuple(found)


def _amount(value: float | None, unit: str) -> str:
    return f"– {unit}" if value is None else f"{value:.3g} {unit}"


def _from(factor: Factor) -> str:
    return f" ({factor.source or 'no source given'})"


def _parsed(text: str, setting: str, example: str) -> tuple[float, str, str]:
    match = _FACTOR.fullmatch(text)
    if match is None:
        raise ConfigError(
            f"{setting} {text!r} is not understood: write a number, its unit and its source, as in {example!r}"
        )
    return float(match["number"]), match["unit"], match["source"] or ""
