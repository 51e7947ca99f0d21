"""The table of the hosts, for a report of several."""

from __future__ import annotations

from ...statistics.host_overview import host_overview
from ..report import Report
from .tables import Table, Value

__all__ = ["hosts_table"]

_HEADS = ("host", "cells", "attempts", "not passed", "with remarks", "sensors", "clock offset, s", "class")


def hosts_table(report: Report) -> Table | None:
    """Return a row per host; ``None`` for a report of one host."""
    hosts = host_overview(report.records, report.info.fleet if report.info else ())
    if len(hosts) < 2:  # noqa: PLR2004 - one host is described below
        return None
    rows = []
    for host in hosts:
        counts = (host.cells, host.attempts, host.failed, host.flagged)
        offset_s = host.clock_offset_s
        rows.append((
            Value(text=host.name, sort=host.name),
            *(Value(text=str(count), sort=float(count)) for count in counts),
            Value(text=", ".join(host.sensors) or "none"),
            Value(text="unknown" if offset_s is None else f"{offset_s:+.1f}", sort=offset_s),
            Value(text=host.host_class),
        ))
    caption = "Hosts. Joules of different machines are never averaged, and compared only within a class."
    return Table(key="hosts", caption=caption, heads=_HEADS, rows=tuple(rows))
