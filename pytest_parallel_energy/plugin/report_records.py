"""The records on pytest's reports: how they travel from the measured test to the process that keeps them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

    from ..records.record import Record

__all__ = ["attach_records", "detach_records", "records_of"]

_PROPERTY = "energy.record"


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
