"""The columns that set the energies of cells in relation: to the same training alone, and to the best of their like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from ..statistics.analysis import load_pairs
from ..statistics.grouping import Cell
from ..statistics.ratios import ratios_to_best
from .layout import format_ratio

__all__ = ["RatioColumn", "ratio_columns"]


class RatioColumn(Struct, frozen=True, kw_only=True):
    """One value per cell; ``None`` where a cell has no partner."""

    head: str
    values: tuple[float | None, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The values as text; empty for none."""
        return tuple(map(format_ratio, self.values))


def ratio_columns(cells: Sequence[Cell]) -> Iterator[RatioColumn]:
    """Yield the columns that have at least one value."""
    inflations = {id(pair.beside): pair.inflation for pair in load_pairs(cells)}
    if any(inflations.values()):
        found = [inflations.get(id(cell)) for cell in cells]
        yield RatioColumn(head="× alone", values=tuple(ratio.value if ratio else None for ratio in found))
    to_best = ratios_to_best(cells)
    if any(to_best):
        yield RatioColumn(head="× best", values=tuple(to_best))
