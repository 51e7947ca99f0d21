"""The numbers of a record by name: everything that can be compared, charted and exported."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Sequence

from msgspec import Struct

from ..errors import ConfigError, did_you_mean
from ..records.record import Record, all_metrics
from .work_units import EDP, PER_UNIT, UNTIL, derived_quantities, derived_value

__all__ = [
    "ATTRIBUTED",
    "QUANTITIES",
    "SENSOR_KINDS",
    "Threshold",
    "check_quantities",
    "is_derived",
    "known_quantities",
    "offset_j",
    "parse_threshold",
    "resolution_of",
    "unit_of",
    "value_of",
]

QUANTITIES = (
    "total_j", "cpu_j", "gpu_j", "dram_j", "idle_j", "above_idle_j", "foreground_j", "background_j", "mean_w", "peak_w",
    "seconds",
)  # fmt: skip
"""Of each record; a metric's own name (``test_accuracy``) is a quantity too, and so are ``j_per_sample`` and its like,
``j_to_test_accuracy`` and ``edp_js``, where a record has them."""

ATTRIBUTED = {"foreground_j", "background_j"}
"""Quantities that are shares of the energy."""
SENSOR_KINDS = {"cpu_j": "cpu", "gpu_j": "gpu", "dram_j": "dram"}
"""Quantities that are of one kind of sensor."""
_OFFSET_W = 5.9
_ESTIMATE_NONLINEARITY = 0.13
"""Interpolating a server's power linearly between idle and full load is 10-13 % off in the middle (measured over 616
SPECpower results): a model's gain cancels between two runs of one machine, its shape does not."""


def value_of(record: Record, quantity: str) -> float | None:
    """Return the record's value; ``None`` where it is unknown or the record has no such metric."""
    if quantity == "seconds":
        return record.duration_s if record.energy.window_s is None else record.energy.window_s
    if quantity not in QUANTITIES:
        metrics = all_metrics(record)
        if quantity in metrics or not is_derived(quantity):
            return metrics.get(quantity)
        return derived_value(record, quantity)[0]
    part = record.attribution if quantity in ATTRIBUTED else record.energy
    value: float | None = getattr(part, quantity)
    return value


def is_derived(quantity: str) -> bool:
    """Return whether a quantity is an energy per unit of work, until a metric reached a value, or times seconds."""
    return quantity == EDP or quantity.startswith((PER_UNIT, UNTIL))


def unit_of(quantity: str) -> str:
    """Return ``J``, ``W``, ``s``, ``J s`` for the energy-delay product, or nothing for a metric.

    >>> unit_of("total_j"), unit_of("j_per_sample"), unit_of("seconds"), unit_of("test_accuracy")
    ('J', 'J', 's', '')
    """
    if is_derived(quantity):
        return "J s" if quantity == EDP else "J"
    if quantity not in QUANTITIES:
        return ""
    return {"j": "J", "w": "W"}.get(quantity.rpartition("_")[2], "s")


def resolution_of(record: Record, quantity: str) -> float | None:
    """Return the smallest difference that the sensors can tell between two runs on one machine; ``None`` if unknown.

    A counter that is read at any instant is up to one update interval late: interval times mean power per domain. The
    gain of a device cancels between its own readings. An attributed share is known to half of its own interval; time
    and metrics have 0. The peak is the mean power between two readings, so that the time between them counts for it.
    """
    if is_derived(quantity):
        factor = derived_value(record, quantity)[1]
        whole = resolution_of(record, "total_j")
        return whole if whole is None or factor is None else whole * factor
    unit = unit_of(quantity)
    if unit not in {"J", "W"}:
        return 0.0
    energy = record.energy
    window_s = energy.window_s or record.duration_s
    if quantity == "peak_w":
        return _peak_resolution_w(record)
    if energy.quality in {"counter", "integrated"}:
        joules = _sensor_resolution_j(record, SENSOR_KINDS.get(quantity, ""))
    elif energy.quality == "estimated" and energy.total_j is not None:
        joules = _ESTIMATE_NONLINEARITY * (value_of(record, quantity) or 0.0 if unit == "J" else energy.total_j)
    else:
        joules = energy.total_u95_j
    if quantity in ATTRIBUTED and joules is not None:
        shares = record.attribution
        if shares.split_u95_j is not None:
            joules += shares.split_u95_j
        elif shares.low_j is not None and shares.high_j is not None:
            joules += abs(shares.high_j - shares.low_j) / 2
    if joules is None or unit == "J":
        return joules
    return joules / window_s if window_s else None


def _peak_resolution_w(record: Record) -> float | None:
    """Return the resolution of the highest power; ``None`` where it is unknown.

    A counter that is up to one update interval late shifts so much of its power into or out of the time between two
    readings. Of a power that is read directly only the gain is uncertain, which cancels; a model's shape does not.
    """
    energy = record.energy
    if energy.quality == "estimated":
        return None if energy.peak_w is None else _ESTIMATE_NONLINEARITY * energy.peak_w
    resolution_w = 0.0
    for domain in record.energy.domains:
        if not domain.counted or domain.quality == "integrated":
            continue
        if domain.update_interval_s is None or domain.peak_w is None or not energy.window_s or domain.samples < 1:
            return None
        between_s = energy.window_s / domain.samples
        resolution_w += domain.peak_w * min(domain.update_interval_s / between_s, 1.0)
    return resolution_w


def _sensor_resolution_j(record: Record, kind: str) -> float | None:
    """Return the sum over the counted sensors of a kind (all kinds for an empty one); ``None`` where one is unknown."""
    found = [
        min(domain.update_interval_s * domain.mean_w, domain.u95_j if domain.u95_j is not None else float("inf"))
        if domain.update_interval_s is not None and domain.mean_w is not None
        else domain.u95_j
        for domain in record.energy.domains
        if domain.counted and domain.kind.startswith(kind)
    ]
    known = [value for value in found if value is not None]
    return sum(known) if len(known) == len(found) else None


def offset_j(old: Sequence[Record], new: Sequence[Record], quantity: str) -> float:
    """Return the joules by which a constant offset of integrated GPU power can differ between two lengths of run.

    A card's gain cancels between its own runs, and so does an offset in watts where the runs are equally long: of runs
    that differ it adds its watts times the difference. 5.9 W is the spread of 19 cards against an external meter (Yang,
    Adamek and Armour 2024, SC24, arXiv 2312.02741).
    """
    if unit_of(quantity) != "J" or not SENSOR_KINDS.get(quantity, "gpu").startswith("gpu") or not (old and new):
        return 0.0
    cards = max(
        sum(d.counted and d.kind.startswith("gpu") and d.quality == "integrated" for d in record.energy.domains)
        for record in (*old, *new)
    )
    lengths = [
        statistics.fmean(record.energy.window_s or record.duration_s for record in records) for records in (old, new)
    ]
    return _OFFSET_W * cards * abs(lengths[1] - lengths[0])


def known_quantities(records: Iterable[Record]) -> tuple[str, ...]:
    """Return all quantities that some record has: energy, metrics in order of appearance, energy per unit of work."""
    found: dict[str, None] = {}
    derived: dict[str, None] = {}
    for record in records:
        found |= dict.fromkeys(all_metrics(record))
        derived |= dict.fromkeys(derived_quantities(record))
    return (*QUANTITIES, *found, *(name for name in derived if name not in found))


class Threshold(Struct, frozen=True, kw_only=True):
    """The change of a quantity that fails a run."""

    quantity: str
    limit: float
    """Change of the mean above 0: relative to the older one (0.05 is 5 %), or in the quantity's unit."""
    falls: bool | None = False
    """Whether a fall is the regression, as for an accuracy; ``None`` where the user did not say."""
    absolute: bool = False
    """Whether ``limit`` is in the quantity's unit."""
    near_end: bool = False
    """Whether the whole interval must lie beyond the limit, not the estimate alone."""

    def __str__(self) -> str:
        number = f"{self.limit:.4g}abs" if self.absolute else f"{self.limit * 100:.4g}%"
        return f"{self.quantity}:{'-' if self.falls else ''}{number}{'!' if self.near_end else ''}"


_THRESHOLD = re.compile(
    r"(?P<sign>-?)(?P<number>[0-9]*\.?[0-9]+(?:e-?[0-9]+)?)\s*(?P<unit>%|abs)?\s*(?P<near_end>!?)", re.IGNORECASE
)


def parse_threshold(text: str) -> Threshold:
    """Return the threshold of ``QUANTITY:CHANGE``.

    The change is a percentage, a fraction, or with ``abs`` an amount in the quantity's unit; negative where a fall is
    worse. It is compared with the point estimate, with ``!`` behind it with the near end of the 95 % interval.

    >>> parse_threshold("total_j:5%") == parse_threshold("total_j:0.05")
    True
    >>> str(parse_threshold("test_accuracy:-2%!")), str(parse_threshold("elbo:-2.0abs"))
    ('test_accuracy:-2%!', 'elbo:-2abs')

    Raises:
        ConfigError: not of that form, or the change is 0, or a number of 1 or more without a unit, which is probably
            meant as a percentage.
    """
    quantity, colon, change = text.strip().rpartition(":")
    match = _THRESHOLD.fullmatch(change.strip())
    unit = (match["unit"] or "").lower() if match else ""
    limit = 0.0 if match is None else float(match["number"]) / (100 if unit == "%" else 1)
    if match is None or not colon or not quantity or limit == 0:
        raise ConfigError(
            f"{text!r} is not a threshold: write QUANTITY:CHANGE, such as 'total_j:5%', 'seconds:0.1', where a fall is "
            "worse 'test_accuracy:-2%', in the quantity's unit 'elbo:-2.0abs', and with '!' behind it for the near end "
            "of the interval: 'total_j:5%!'"
        )
    if not unit and limit >= 1:
        sign, number, end = match["sign"], match["number"], match["near_end"]
        raise ConfigError(
            f"{text!r} has no unit: write '{quantity}:{sign}{number}%{end}' for percent, or "
            f"'{quantity}:{sign}{number}abs{end}' for an amount in the quantity's unit"
        )
    if quantity.endswith("_j") and quantity not in QUANTITIES:
        raise ConfigError(f"{text!r} names no known energy: {did_you_mean(quantity, QUANTITIES)}")
    return Threshold(
        quantity=quantity,
        limit=limit,
        falls=bool(match["sign"]),
        absolute=unit == "abs",
        near_end=bool(match["near_end"]),
    )


def check_quantities(thresholds: Iterable[Threshold], records: Iterable[Record]) -> None:
    """Check that each threshold's quantity is one that some record has.

    Raises:
        ConfigError: no record has a quantity of that name; the message suggests the nearest.
    """
    known = known_quantities(records)
    for threshold in thresholds:
        if threshold.quantity not in known:
            raise ConfigError(
                f"no record has a quantity {threshold.quantity!r} (threshold {threshold}): "
                f"{did_you_mean(threshold.quantity, known)}"
            )
