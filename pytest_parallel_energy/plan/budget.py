"""The energy budget of a run: the energy used so far, and its limit."""

from __future__ import annotations

from ..records.record import Record
from ..units import count_of, format_joules

__all__ = ["EnergyBudget"]


class EnergyBudget:
    """A running total of the joules in records.

    Args:
        limit_j: energy that the run may use, in joules, above 0.
    """

    def __init__(self, limit_j: float) -> None:
        self.limit_j = limit_j
        self.spent_j = 0.0
        self.unknown = 0
        """Attempts whose energy is not known: they are not free, so the sum is a lower bound."""
        self._seen: set[str] = set()

    def add(self, record: Record) -> None:
        """Add a record; the same record counts once, however often it is added."""
        if record.record_id in self._seen:
            return
        self._seen.add(record.record_id)
        if record.energy.total_j is None:
            self.unknown += 1
        else:
            self.spent_j += record.energy.total_j

    @property
    def is_spent(self) -> bool:
        """True once the limit is reached."""
        return self.spent_j >= self.limit_j

    def words(self) -> str:
        """Return the used energy and the limit, for messages.

        >>> budget = EnergyBudget(7.2e6); budget.words()
        'the energy budget of 7.20 MJ: 0 J used'
        """
        unknown = f", and {count_of(self.unknown, 'attempt')} whose energy is not known" if self.unknown else ""
        return f"the energy budget of {format_joules(self.limit_j)}: {format_joules(self.spent_j)} used{unknown}"
