"""Relations among the cells of a study: alone and with a load, hyperparameters and energy, energy and accuracy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from msgspec import Struct
from msgspec.structs import replace

from ..records.record import Record, all_values
from .grouping import Cell, mean_or_none
from .like_cells import LikeCells, all_but_load, cells_by_setting, load_names, workload_name
from .measured_as import measured_as
from .quantities import value_of
from .ratios import Ratio, ratio_of
from .stats import Correlation, correlate, holm

__all__ = [
    "HyperparameterEffect",
    "LoadPair",
    "cells_by_setting",
    "hyperparameter_effects",
    "load_names",
    "load_pairs",
    "pareto_front",
    "workload_name",
]


class LoadPair(Struct, frozen=True, kw_only=True, dict=True):
    """One workload with the same values, alone and with a concurrent load."""

    alone: Cell
    beside: Cell

    @property
    def load(self) -> str:
        """The names of the loads, with their conditions."""
        return load_names(self.beside)

    @cached_property
    def slowdown(self) -> Ratio | None:
        """Time with the load over time alone; ``None`` where no attempt passed: a failed training ends at any time."""
        return self._ratio("seconds")

    @cached_property
    def inflation(self) -> Ratio | None:
        """Energy of the whole machine with the load over energy alone: the load's own energy is in it.

        ``None`` where no attempt passed.
        """
        return self._ratio("total_j")

    def _ratio(self, quantity: str) -> Ratio | None:
        if not self.alone.n or not self.beside.n:
            return None
        return ratio_of(self.beside.sample, self.alone.sample, quantity)

    @property
    def foreground_j(self) -> float | None:
        """The foreground's share of the energy with the load, where it was attributed."""
        if len({measured_as(record, "foreground_j") for record in self.beside.sample}) > 1:
            return None  # shares by two methods have no common mean
        return mean_or_none([value_of(record, "foreground_j") for record in self.beside.sample])

    @property
    def interference_w(self) -> float | None:
        """Watts with the load that neither needs alone; ``None`` unless idle and the load alone were measured.

        ``(P_FB - P_0) - (P_F - P_0) / slowdown - (P_B - P_0)``. That the load does as many rounds per second with
        the foreground as alone is a convention, because its rate alone is not measured.
        """
        both, alone = _mean_w(self.beside.sample), _mean_w(self.alone.sample)
        idle_w = mean_or_none([_idle_w(record) for record in self.beside.sample])
        load_w = mean_or_none([_load_w(record) for record in self.beside.sample])
        slowdown = self.slowdown
        if both is None or alone is None or idle_w is None or load_w is None or slowdown is None:
            return None
        return (both - idle_w) - (alone - idle_w) / slowdown.value - (load_w - idle_w)


class HyperparameterEffect(Struct, frozen=True, kw_only=True):
    """One hyperparameter over the cells of one workload under one load."""

    workload: str
    load: str
    """``alone``, or the names of the loads with their conditions, and what else tells its cells from other groups."""
    name: str
    points: tuple[tuple[float, float, Cell], ...]
    """(value, mean joules, cell), one per cell that has both."""
    correlation: Correlation | None
    """Spearman's, over cells, p corrected over all effects; ``None`` below four cells."""


def load_pairs(cells: Sequence[Cell]) -> tuple[LoadPair, ...]:
    """Return each cell with a load, paired with the cell that did the same work alone.

    Values, command line, thread budget, devices, machine, code and the way of measuring are the same in both.
    """
    alone = {all_but_load(cell): cell for cell in cells if not cell.sample[0].background}
    return tuple(
        LoadPair(alone=other, beside=cell)
        for cell in cells
        if cell.sample[0].background and (other := alone.get(all_but_load(cell))) is not None
    )


def hyperparameter_effects(cells: Sequence[Cell]) -> tuple[HyperparameterEffect, ...]:
    """Return the effect of each numeric hyperparameter that varies among cells which differ in their values alone.

    The p values are corrected together (Holm 1979): with many hyperparameters one of them seems to matter by chance.
    """
    groups = cells_by_setting([cell for cell in cells if cell.n and all_values(cell.sample[0])])
    effects = [_effect(group, name) for group in groups for name in _varied(group.cells)]
    correlated = [effect for effect in effects if effect.correlation is not None]
    p_values = holm([effect.correlation.p for effect in correlated if effect.correlation is not None])
    corrected = dict(zip(map(id, correlated), p_values, strict=True))
    return tuple(
        effect
        if effect.correlation is None
        else replace(effect, correlation=replace(effect.correlation, p=corrected[id(effect)]))
        for effect in effects
    )


def pareto_front(points: Sequence[tuple[float, float]]) -> frozenset[int]:
    """Return the positions of the points that no other beats: (cost, value) with less cost and more value.

    >>> sorted(pareto_front([(1.0, 0.5), (2.0, 0.9), (3.0, 0.8), (1.0, 0.4)]))
    [0, 1]
    """
    best = float("-inf")
    front = []
    for index in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
        if points[index][1] > best:
            best = points[index][1]
            front.append(index)
    return frozenset(front)


def _effect(group: LikeCells, name: str) -> HyperparameterEffect:
    found = [(_number(cell, name), cell.energy().value, cell) for cell in group.cells]
    points = tuple((value, joules, cell) for value, joules, cell in found if value is not None and joules is not None)
    correlation = correlate([point[0] for point in points], [point[1] for point in points])
    return HyperparameterEffect(
        workload=group.workload, load=group.load, name=name, points=points, correlation=correlation
    )


def _varied(cells: Sequence[Cell]) -> Iterator[str]:
    for name in dict.fromkeys(name for cell in cells for name in all_values(cell.sample[0])):
        if len({_number(cell, name) for cell in cells} - {None}) > 1:
            yield name


def _number(cell: Cell, name: str) -> float | None:
    value = all_values(cell.sample[0]).get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _mean_w(records: Sequence[Record]) -> float | None:
    return mean_or_none([record.energy.mean_w for record in records])


def _idle_w(record: Record) -> float | None:
    energy = record.energy
    return energy.idle_j / energy.window_s if energy.idle_j is not None and energy.window_s else None


def _load_w(record: Record) -> float | None:
    watts = [load.solo_mean_w for load in record.background]
    return watts[0] if len(watts) == 1 else None  # several loads alone are not the sum of each alone
