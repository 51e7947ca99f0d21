"""The table of the tests that ran on several nodes of a job, with the sum over the nodes."""

from __future__ import annotations

from collections.abc import Sequence

from ...records.record import Record
from ...statistics.grouping import short_name
from ...statistics.node_totals import node_totals
from ...units import format_seconds
from ..layout import format_interval
from .tables import Table, Value

__all__ = ["nodes_table"]

_HEADS = ("test", "job", "nodes", "longest window", "energy ± 95 %", "remarks")


def nodes_table(records: Sequence[Record]) -> Table | None:
    """Return a row per test and repetition that ran on several nodes; ``None`` where none did."""
    rows = []
    for total in node_totals(records):
        name = short_name(total.nodeid)
        nodes = f"{total.recorded_nodes} of {total.nodes}" if total.nodes is not None else str(total.recorded_nodes)
        rows.append((
            Value(text=name, sort=name, title=total.nodeid),
            Value(text=total.job_name, sort=total.job_name),
            Value(text=nodes, sort=float(total.recorded_nodes)),
            Value(text=format_seconds(total.window_s), sort=total.window_s),
            Value(text=format_interval(total.total_j, total.u95_j, "J"), sort=total.total_j),
            Value(text="; ".join(total.problems), sort="; ".join(total.problems), style="wide"),
        ))  # fmt: skip
    caption = "Jobs of several nodes: sums over the nodes, without the network"
    return Table(key="nodes", caption=caption, heads=_HEADS, rows=tuple(rows)) if rows else None
