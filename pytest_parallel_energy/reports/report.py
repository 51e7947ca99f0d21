"""The content of a report."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from ..records.record import Record
from ..records.run_info import RunInfo
from ..records.trace import Trace
from ..statistics.compare import Comparison
from ..statistics.grouping import worst_quality
from .costs import Factors

__all__ = ["Report"]


class Report(Struct, frozen=True, kw_only=True):
    """Everything that a writer may show. Writers read nothing else."""

    records: tuple[Record, ...]
    info: RunInfo | None = None
    """``None`` for a baseline or a merged file, which have no ``run.json``."""
    comparison: Comparison | None = None
    factors: Factors = field(default_factory=Factors)
    traces: Mapping[str, Trace] = field(default_factory=dict)
    """By record id, as far as there are some."""
    problems: tuple[str, ...] = ()
    """Failures in keeping or reading the records, in words."""

    @property
    def total_j(self) -> float | None:
        """Joules of all attempts together; ``None`` where one is unknown, or there are none."""
        values = [record.energy.total_j for record in self.records]
        known = [value for value in values if value is not None]
        return sum(known) if known and len(known) == len(values) else None

    @property
    def known_j(self) -> tuple[float, int]:
        """Joules of the attempts whose energy is known, and how many those are."""
        known = [record.energy.total_j for record in self.records if record.energy.total_j is not None]
        return sum(known), len(known)

    @property
    def known_quality(self) -> str:
        """The worst quality of the energies that are known; ``missing`` where none is."""
        return worst_quality(record.energy for record in self.records if record.energy.total_j is not None)

    @property
    def title(self) -> str:
        """The run's name, or its id."""
        if self.info is not None:
            return self.info.name or self.info.run_id
        return self.records[0].run_id if self.records else "no records"
