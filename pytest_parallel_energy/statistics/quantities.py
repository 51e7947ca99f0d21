"""What can be compared, charted and exported: the numbers of a record by name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import ConfigError, did_you_mean
from ..records.record import Record
from .grouping import all_metrics

__all__ = ["QUANTITIES", "Threshold", "known_quantities", "parse_threshold", "resolution_of", "unit_of", "value_of"]

QUANTITIES = (
    "total_j", "cpu_j", "gpu_j", "dram_j", "idle_j", "above_idle_j", "foreground_j", "background_j", "mean_w", "peak_w",
    "seconds",
)  # fmt: skip
"""Of each record; a metric's own name (``test_accuracy``) is a quantity too."""

_ATTRIBUTED = {"foreground_j", "background_j"}
_ESTIMATE_NONLINEARITY = 0.13
"""Interpolating a server's power linearly between idle and full load is 10-13 % off in the middle (measured over 616
SPECpower results): a model's gain cancels between two runs of one machine, its shape does not."""


def value_of(record: Record, quantity: str) -> float | None:
    """The record's value; ``None`` where it is unknown or the record has no such metric."""
    if quantity == "seconds":
        return record.duration_s if record.energy.window_s is None else record.energy.window_s
    if quantity not in QUANTITIES:
        return all_metrics(record).get(quantity)
    part = record.attribution if quantity in _ATTRIBUTED else record.energy
    value: float | None = getattr(part, quantity)
    return value


def unit_of(quantity: str) -> str:
    """``J``, ``W``, ``s``, or nothing for a metric.

    >>> unit_of("total_j"), unit_of("seconds"), unit_of("test_accuracy")
    ('J', 's', '')
    """
    if quantity not in QUANTITIES:
        return ""
    return {"j": "J", "w": "W"}.get(quantity.rpartition("_")[2], "s")


def resolution_of(record: Record, quantity: str) -> float | None:
    """The smallest difference that the sensors can tell between two runs on one machine; ``None`` where unknown.

    A counter that is read at any instant is up to one update interval late: interval times mean power a domain. The
    gain of a device cancels between its own readings. A share of something has its whole interval; time has 0.
    """
    if unit_of(quantity) not in {"J", "W"}:
        return 0.0
    energy = record.energy
    window_s = energy.window_s or record.duration_s
    if energy.quality in {"counter", "integrated"}:
        found = [
            min(domain.update_interval_s * domain.mean_w, domain.u95_j if domain.u95_j is not None else float("inf"))
            if domain.update_interval_s is not None and domain.mean_w is not None
            else domain.u95_j
            for domain in energy.domains
            if domain.counted
        ]
        joules = sum(value for value in found if value is not None) if None not in found else None
    elif energy.quality == "estimated" and energy.total_j is not None:
        joules = _ESTIMATE_NONLINEARITY * energy.total_j
    else:
        joules = energy.total_u95_j
    if joules is None or unit_of(quantity) == "J":
        return joules
    return joules / window_s if window_s else None


def known_quantities(records: Iterable[Record]) -> tuple[str, ...]:
    """All quantities that some record has a value of, energy first, then metrics in order of appearance."""
    found = dict.fromkeys(name for record in records for name in all_metrics(record))
    return (*QUANTITIES, *found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """How much worse a quantity may get before a run fails."""

    quantity: str
    ratio: float
    """Change of the mean, relative to the older one, above 0."""
    falls: bool = False
    """Whether a fall is the regression, as for an accuracy."""

    def __str__(self) -> str:
        sign = "-" if self.falls else ""
        return f"{self.quantity}:{sign}{self.ratio * 100:.4g}%"


_THRESHOLD = re.compile(r"(?P<sign>-?)(?P<number>[0-9]*\.?[0-9]+(?:e-?[0-9]+)?)\s*(?P<percent>%?)")


def parse_threshold(text: str) -> Threshold:
    """A threshold from ``QUANTITY:CHANGE``; the change is a percentage or a fraction, negative where a fall is worse.

    >>> parse_threshold("total_j:5%") == parse_threshold("total_j:0.05")
    True
    >>> str(parse_threshold("test_accuracy:-2%"))
    'test_accuracy:-2%'

    Raises:
        ConfigError: not of that form, or the change is 0.
    """
    quantity, colon, change = text.strip().rpartition(":")
    match = _THRESHOLD.fullmatch(change.strip())
    ratio = 0.0 if match is None else float(match["number"]) / (100 if match["percent"] else 1)
    if not colon or not quantity or ratio == 0:
        raise ConfigError(
            f"{text!r} is not a threshold: write QUANTITY:CHANGE, such as 'total_j:5%', 'seconds:0.1' or, where a fall "
            "is worse, 'test_accuracy:-2%'"
        )
    if quantity.endswith("_j") and quantity not in QUANTITIES:
        raise ConfigError(f"{text!r} names no known energy: {did_you_mean(quantity, QUANTITIES)}")
    return Threshold(quantity=quantity, ratio=ratio, falls=bool(match and match["sign"]))
