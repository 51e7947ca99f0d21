"""Nodes of a job and GPUs of a node side by side, which shows stragglers; GPUs that a total leaves out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ..records.energy_values import DomainEnergy
from ..records.record import Record
from ..statistics.grouping import Cell, mean_or_none, short_name
from ..statistics.node_totals import NodeShare, NodeTotal, node_totals
from ..units import format_joules, format_seconds
from .compare_text import escape
from .layout import format_interval

__all__ = ["cell_boards", "cell_left_out", "node_sentences", "node_table"]


def cell_left_out(cell: Cell) -> str:
    """Return the boards that are not counted with the joules of a mean attempt; empty where all are."""
    return _boards(cell, lambda domain: domain.excluded)


def cell_boards(cell: Cell) -> str:
    """Return the joules of each board that is counted, of a mean attempt; empty with fewer than two boards."""
    words = _boards(cell, lambda domain: domain.counted and domain.kind == "gpu")
    return words if ", " in words else ""


def _boards(cell: Cell, wanted: Callable[[DomainEnergy], bool]) -> str:
    found: dict[str, list[float | None]] = {}
    for record in cell.sample:
        for domain in record.energy.domains:
            if wanted(domain):
                found.setdefault(domain.name, []).append(domain.joules)
    return ", ".join(f"{name} {format_joules(mean_or_none(joules))}" for name, joules in found.items())


def node_sentences(records: Iterable[Record]) -> list[str]:
    """Return one sentence per test that ran on several nodes: its total, and each node's part."""
    return [
        f"nodes: {total}: {'; '.join(f'{part.host} {_energy(part)} in {_time(part)}' for part in total.members)}"
        for total in node_totals(records)
    ]


def node_table(records: Iterable[Record]) -> Iterator[str]:
    """Yield a Markdown table of the nodes of each test that ran on several; nothing without any."""
    totals = node_totals(records)
    if not totals:
        return
    yield "| test | node | energy ± 95 % | time |"
    yield "|---|---|--:|--:|"
    for total in totals:
        name = escape(short_name(total.nodeid))
        for part in total.members:
            yield f"| {name} | {escape(part.host)} (rank {part.rank}) | {_energy(part)} | {_time(part)} |"
        yield f"| {name} | **{_of_nodes(total)}** | {_total_words(total)} | {format_seconds(total.window_s)} |"


def _of_nodes(total: NodeTotal) -> str:
    return f"{total.recorded_nodes} nodes" if total.nodes is None else f"{total.recorded_nodes} of {total.nodes} nodes"


def _total_words(total: NodeTotal) -> str:
    if total.total_j is None:
        return f"incomplete: {escape('; '.join(total.problems))}"
    return format_interval(total.total_j, total.u95_j, "J")


def _energy(part: NodeShare) -> str:
    return format_interval(part.total_j, part.u95_j, "J")


def _time(part: NodeShare) -> str:
    return format_seconds(part.window_s)
