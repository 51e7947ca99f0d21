"""Ratios between cells of one machine, with 95 % intervals that need no SciPy."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from msgspec import Struct

from ..records.cell import host_class
from ..records.record import Record
from .grouping import Cell, function_of, t_quantile
from .like_cells import load_names, workload_name
from .measured_as import measured_as
from .quantities import resolution_of, value_of
from .significance import welch

__all__ = ["Ratio", "ratio_of", "ratios_to_best"]


class Ratio(Struct, frozen=True, kw_only=True):
    """The ratio of two means and its 95 % interval; the ends are ``None`` where a cell has one value only."""

    value: float
    """Ratio of the geometric means, above 0."""
    low: float | None = None
    high: float | None = None

    @property
    def direction(self) -> int | None:
        """1 for more, -1 for less, 0 where the interval holds 1; ``None`` without an interval."""
        if self.low is None or self.high is None:
            return None
        return (self.low > 1.0) - (self.high < 1.0)


def ratio_of(upper: Sequence[Record], lower: Sequence[Record], quantity: str) -> Ratio | None:
    """Return the ratio of a quantity in ``upper`` to that in ``lower``; ``None`` unless all values are above 0.

    The interval is Welch's on logarithms, as for every change that is judged (Kalibera and Jones 2013, "Rigorous
    benchmarking in reasonable time"). What the sensors cannot resolve is added to both of its ends in quadrature; their
    gain cancels, because both cells are of one machine.
    """
    values = [[value_of(record, quantity) for record in records] for records in (upper, lower)]
    logs = [[math.log(value) for value in found if value is not None and value > 0] for found in values]
    if any(not part or len(part) < len(found) for part, found in zip(logs, values, strict=True)):
        return None
    difference = statistics.fmean(logs[0]) - statistics.fmean(logs[1])
    if min(map(len, logs)) < 2:  # noqa: PLR2004 - one value has no spread
        return Ratio(value=math.exp(difference))
    blurs = [_blur_ratio(records, quantity) for records in (upper, lower)]
    if None in blurs:
        return Ratio(value=math.exp(difference))
    found = welch(logs[1], logs[0])
    spread = 0.0 if found is None else _t_quantile(max(found.degrees, 1.0)) * found.error
    half = math.hypot(spread, *(blur for blur in blurs if blur is not None))
    return Ratio(value=math.exp(difference), low=math.exp(difference - half), high=math.exp(difference + half))


def _t_quantile(degrees: float) -> float:
    """Return the 97.5 % quantile of Student's t for 1 or more degrees of freedom, no smaller than the true one.

    Between whole degrees linear in their inverse, in which the quantile is convex.

    >>> round(_t_quantile(2.5), 2)
    3.63
    """
    whole = math.floor(degrees)
    low, high = t_quantile(whole), t_quantile(whole + 1)
    return low + (high - low) * (whole + 1) * (1 - whole / degrees)


def _blur_ratio(records: Sequence[Record], quantity: str) -> float | None:
    """Return the resolution of the sensors relative to the mean; ``None`` where it is unknown."""
    found = [resolution_of(record, quantity) for record in records]
    known = [value for value in found if value is not None]
    if len(known) < len(found):
        return None
    return statistics.fmean(known) / statistics.fmean(value_of(record, quantity) or 0.0 for record in records)


def ratios_to_best(cells: Sequence[Cell]) -> list[float | None]:
    """Return the energy of each cell relative to the lowest of its like: of one test and load, measured as the same.

    ``None`` where the energy is unknown, no attempt passed, or there is no second cell to compare with.
    """
    groups: dict[tuple[object, ...], list[tuple[int, float]]] = {}
    for index, cell in enumerate(cells):
        record, joules = cell.sample[0], cell.energy().value
        if cell.n and joules is not None and joules > 0:
            key = (function_of(record), workload_name(cell), load_names(cell), record.host.machine_id)
            groups.setdefault((*key, host_class(record.host), measured_as(record)), []).append((index, joules))
    found: list[float | None] = [None] * len(cells)
    for members in groups.values():
        best_j = min(joules for _, joules in members)
        for index, joules in members if len(members) > 1 else ():
            found[index] = joules / best_j
    return found
