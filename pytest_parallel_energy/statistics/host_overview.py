"""The hosts of a run or of merged runs: what each of them ran, how it measured, and what went wrong there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from ..records.cell import host_class
from ..records.record import Record, Status
from ..records.run_info import FleetHost
from .grouping import Cell

__all__ = ["HostOverview", "cells_by_class", "host_overview"]


class HostOverview(Struct, frozen=True, kw_only=True):
    """One host; counts are of its records."""

    name: str
    host_class: str
    """Hosts of one class may be compared; their joules are never averaged."""
    cells: int
    attempts: int
    failed: int
    """Attempts that did not pass."""
    flagged: int
    """Attempts with a remark about the measurement."""
    sensors: tuple[str, ...]
    """The sources of the joules, such as ``powercap``, in alphabetical order; empty where none measured."""
    clock_offset_s: float | None = None
    """Seconds by which its clock was ahead of the controller's; ``None`` where it was not compared."""


def host_overview(records: Iterable[Record], fleet: Sequence[FleetHost] = ()) -> tuple[HostOverview, ...]:
    """Return the hosts of some records in the order in which each first appears.

    Args:
        records: of one run or of several.
        fleet: the hosts as the controllers of those runs saw them.
    """
    offsets_s = {host.hostname: host.clock_offset_s for host in fleet}
    by_host: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        name = record.host.hostname or record.host.machine_id or "unknown"
        by_host.setdefault((name, host_class(record.host)), []).append(record)
    return tuple(
        HostOverview(
            name=name,
            host_class=of_class,
            cells=len({record.cell for record in found}),
            attempts=len(found),
            failed=sum(record.status not in {Status.PASSED, Status.XFAILED} for record in found),
            flagged=sum(bool(record.meter.flags) for record in found),
            sensors=tuple(sorted({domain.source for record in found for domain in record.energy.domains})),
            clock_offset_s=offsets_s.get(name),
        )
        for (name, of_class), found in by_host.items()
    )


def cells_by_class(cells: Iterable[Cell]) -> dict[str, list[Cell]]:
    """Return the cells of each class of hosts, whose joules are not to be compared with another class's."""
    classes: dict[str, list[Cell]] = {}
    for cell in cells:
        classes.setdefault(host_class(cell.sample[0].host), []).append(cell)
    return classes
