"""Limits that one test sets on its own energy and power."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from ..errors import ConfigError, did_you_mean
from ..records.record import WindowResult
from ..units import format_joules, format_watts, parse_joules, parse_watts

__all__ = ["Limit", "broken_limits", "energy_limit", "limit_from_mark", "power_limit"]

_KINDS = ("total", "cpu", "gpu", "dram")


class Limit(Struct, frozen=True, kw_only=True):
    """The largest energy or power that a test may use, inclusive."""

    quantity: str
    """``total_j``, ``cpu_j``, ``gpu_j``, ``dram_j``, ``mean_w`` or ``peak_w``."""
    most: float
    """Joules or watts, by the quantity."""


def energy_limit(limit: str, *, kind: str = "total") -> Limit:
    """Return the limit of ``@pytest.mark.limit_energy("500 J", kind="gpu")``.

    Raises:
        ConfigError: the text is not an energy, or the kind is unknown.
    """
    if kind not in _KINDS:
        raise ConfigError(f"limit_energy has no kind {kind!r}; {did_you_mean(kind, _KINDS)}")
    return Limit(quantity=f"{kind}_j", most=parse_joules(limit))


def power_limit(limit: str, *, peak: bool = False) -> Limit:
    """Return the limit of ``@pytest.mark.limit_power("250 W", peak=False)``.

    Raises:
        ConfigError: the text is not a power.
    """
    return Limit(quantity="peak_w" if peak else "mean_w", most=parse_watts(limit))


def limit_from_mark(marker: str, args: Sequence[Any], keywords: Mapping[str, Any]) -> Limit:
    """Read the limit from the arguments of a marker.

    Raises:
        ConfigError: there is not exactly one quantity as text, an unknown argument, or an invalid value.
    """
    known = {"limit_energy": "kind", "limit_power": "peak"}[marker]
    if len(args) != 1 or not isinstance(args[0], str):
        example = "500 J" if marker == "limit_energy" else "250 W"
        raise ConfigError(f"the marker {marker!r} takes one quantity, such as {example!r}; it has {tuple(args)!r}")
    for name in keywords:
        if name != known:
            raise ConfigError(f"the marker {marker!r} has no argument {name!r}; {did_you_mean(name, [known])}")
    return energy_limit(args[0], **keywords) if marker == "limit_energy" else power_limit(args[0], **keywords)


def broken_limits(energy: WindowResult, limits: tuple[Limit, ...]) -> tuple[str, ...]:
    """Return one sentence per limit that is exceeded, or that cannot be checked because the value is unknown.

    The measured value itself is compared with the limit; the sentence shows its interval.
    """
    found = []
    for limit in limits:
        value = getattr(energy, limit.quantity)
        written = format_joules if limit.quantity.endswith("_j") else format_watts
        name = limit.quantity.rpartition("_")[0] + (" energy" if limit.quantity.endswith("_j") else " power")
        if value is None:
            found.append(
                f"{name} is unknown ({energy.quality}), so the limit of {written(limit.most)} cannot be checked"
            )
        elif value > limit.most:
            u95_j = energy.total_u95_j if limit.quantity == "total_j" else None
            interval = f" ± {written(u95_j)}" if u95_j is not None else ""
            found.append(
                f"{name} {written(value)}{interval} ({energy.quality}) is above the limit of {written(limit.most)}"
            )
    return tuple(found)
