"""The records on pytest's reports: how they travel from the measured test to the process that keeps them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    import pytest

    from ..records.record import Record

__all__ = ["SessionFacts", "attach_facts", "attach_records", "detach_facts", "detach_records", "records_of"]

_PROPERTY = "energy.record"
_FACTS_PROPERTY = "energy.session"


class SessionFacts(Struct, frozen=True, kw_only=True):
    """Facts that only a worker of pytest-xdist knows, for its controller, which collects nothing."""

    header: tuple[str, ...]
    """The lines that a session without xdist prints before its experiments."""
    experiments: int
    """Their number in the whole session."""


def attach_facts(report: pytest.TestReport, facts: SessionFacts) -> None:
    """Add the facts of the session to the report of the first set-up, which arrives before hours of training."""
    report.user_properties.append((_FACTS_PROPERTY, [list(facts.header), facts.experiments]))


def detach_facts(report: pytest.TestReport) -> SessionFacts | None:
    """Take the facts of the session off a report and return them; ``None`` where there are none."""
    for pair in report.user_properties:
        if pair[0] == _FACTS_PROPERTY:
            report.user_properties.remove(pair)
            carried: Any = pair[1]
            return SessionFacts(header=tuple(carried[0]), experiments=carried[1])
    return None


def attach_records(report: pytest.TestReport, records: Iterable[Record], *, as_text: bool) -> None:
    """Add records to a report.

    Args:
        report: of the tear-down.
        records: in the order of the attempts.
        as_text: as JSON, for a report that goes to another process; else the objects, which costs no encoding.
    """
    from ..records.codec import encode

    report.user_properties.extend((_PROPERTY, encode(record).decode() if as_text else record) for record in records)


def records_of(report: pytest.TestReport) -> tuple[Record, ...]:
    """Return the records on a report, oldest first."""
    carried: list[Any] = [value for name, value in report.user_properties if name == _PROPERTY]
    if not carried:
        return ()
    from ..records.codec import decode

    return tuple(decode(value.encode()) if isinstance(value, str) else value for value in carried)


def detach_records(report: pytest.TestReport) -> tuple[Record, ...]:
    """Take the records off a report, so that other plugins do not print them, and return them."""
    records = records_of(report)
    if records:
        report.user_properties[:] = [pair for pair in report.user_properties if pair[0] != _PROPERTY]
    return records
