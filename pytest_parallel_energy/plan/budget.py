"""How much energy a run has used, and whether its budget is spent."""

from __future__ import annotations

from ..records.record import Record
from ..units import format_joules

__all__ = ["EnergyBudget"]


class EnergyBudget:
    """Adds up the joules of records.

    Args:
        limit_j: what may be used, above 0.
    """

    def __init__(self, limit_j: float) -> None:
        self.limit_j = limit_j
        self.spent_j = 0.0
        self.unknown = 0
        """Attempts whose energy is not known: they are not free, so the sum is a lower bound."""
        self._seen: set[str] = set()

    def add(self, record: Record) -> None:
        """Count a record, once however often it comes."""
        if record.record_id in self._seen:
            return
        self._seen.add(record.record_id)
        if record.energy.total_j is None:
            self.unknown += 1
        else:
            self.spent_j += record.energy.total_j

    @property
    def is_spent(self) -> bool:
        """Whether the limit is reached."""
        return self.spent_j >= self.limit_j

    def words(self) -> str:
        """What was used of what, for people.

        >>> budget = EnergyBudget(7.2e6); budget.words()
        'the energy budget of 7.20 MJ: 0 J used'
        """
        unknown = f", and {self.unknown} attempt(s) whose energy is not known" if self.unknown else ""
        return f"the energy budget of {format_joules(self.limit_j)}: {format_joules(self.spent_j)} used{unknown}"
