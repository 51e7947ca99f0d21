"""GPUs side by side: those that a total leaves out, with their joules."""

from __future__ import annotations

import statistics

from ..statistics.grouping import Cell
from ..units import format_joules

__all__ = ["cell_left_out"]


def cell_left_out(cell: Cell) -> str:
    """Return the boards that are not counted with the joules of a mean attempt; empty where all are."""
    found: dict[str, list[float | None]] = {}
    for record in cell.sample:
        for domain in record.energy.domains:
            if domain.excluded:
                found.setdefault(domain.name, []).append(domain.joules)
    return ", ".join(f"{name} {format_joules(_mean(joules))}" for name, joules in found.items())


def _mean(joules: list[float | None]) -> float | None:
    known = [value for value in joules if value is not None]
    return statistics.fmean(known) if len(known) == len(joules) else None
