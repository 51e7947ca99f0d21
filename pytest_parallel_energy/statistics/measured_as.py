"""The way in which a quantity was measured: values that were measured in different ways are not comparable."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from ..records.energy_values import DomainEnergy, Quality
from ..records.record import Record
from .quantities import ATTRIBUTED, SENSOR_KINDS, unit_of, value_of

__all__ = ["MeasuredAs", "measured_as"]


class MeasuredAs(Struct, frozen=True, kw_only=True):
    """The parts of the machine in a value, and the origin of its joules.

    Two values whose ``MeasuredAs`` differ differ for that reason alone: a total without DRAM is smaller than one with
    it, and a model's joules are not a counter's.
    """

    boundary: str = ""
    """Parts inside the total, in words; empty for a quantity of one kind of sensor."""
    domains: tuple[str, ...] = ()
    """Names of the counted domains, sorted."""
    quality: str = ""
    """Worst quality of the counted domains: ``counter``, ``integrated``, ``apportioned`` or ``estimated``."""
    method: str = ""
    """Method of attribution, for a share of the energy."""

    @property
    def sensors(self) -> str:
        """The quality and the domains, in words."""
        return f"{self.quality} of {' + '.join(self.domains) or 'no named sensor'}"

    def __str__(self) -> str:
        words = f"{self.sensors} ({self.boundary})" if self.boundary else self.sensors
        return f"{words}, attributed by {self.method}" if self.method else words


def measured_as(record: Record, quantity: str = "total_j") -> MeasuredAs | None:
    """Return how a quantity of a record was measured; ``None`` for time, metrics and unknown values."""
    if unit_of(quantity) not in {"J", "W", "J s"} or value_of(record, quantity) is None:
        return None
    energy, kind = record.energy, SENSOR_KINDS.get(quantity, "")
    counted = [domain for domain in energy.domains if domain.counted and domain.kind.startswith(kind)]
    return MeasuredAs(
        boundary="" if kind else energy.boundary,
        domains=tuple(sorted(domain.name for domain in counted)),
        quality=_worst(counted) if kind and counted else str(energy.quality),
        method=record.attribution.method if quantity in ATTRIBUTED else "",
    )


def _worst(domains: Iterable[DomainEnergy]) -> str:
    return str(max((Quality(domain.quality) for domain in domains), key=Quality.rank))
