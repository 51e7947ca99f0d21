"""Watts of a server by CPU family: the model behind the estimate.

Median watts per hardware thread of the whole server at the wall, from SPECpower_ssj2008 results (dump of 2026-03-09),
with the 10th and 90th percentile. Interpolating linearly is 10–13 % off in the middle.
(Cloud Carbon Footprint's published row for the fifth EPYC is a parsing fault and is not used.)
"""

from __future__ import annotations

import math
from typing import NamedTuple

__all__ = ["FAMILIES", "Coefficients", "Percentiles", "coefficients_of", "student_975"]

_Z90, _Z975 = 1.281552, 1.959964
"""Quantiles of the standard normal distribution: 90 % and 97.5 %."""
_LEAST_FACTOR = 1.1
"""Percentiles of few servers may coincide; two servers of one model differ by some percent (a convention)."""


class Percentiles(NamedTuple):
    """Watts per hardware thread: 10th, 50th and 90th percentile over servers."""

    p10_w: float
    p50_w: float
    p90_w: float

    def factors(self, servers: int) -> tuple[float, float]:
        """Return the ends of the 95 % interval for one more server of this family, over the median.

        The logarithm of the power is taken as normal on each side of the median, with the spread that the percentile of
        that side shows; for few servers with Student's t and the error of the median (the prediction interval of a
        normal sample, Hahn and Meeker, Statistical Intervals, 2017, 4.7).
        """
        stretch = student_975(servers - 1) * math.sqrt(1 + 1 / servers) / _Z90
        low, high = (self.p10_w / self.p50_w) ** stretch, (self.p90_w / self.p50_w) ** stretch
        return min(low, 1 / _LEAST_FACTOR), max(high, _LEAST_FACTOR)


class Coefficients(NamedTuple):
    """The model of one CPU family, per hardware thread."""

    family: str
    """``"unknown"`` for the median over all families."""
    servers: int
    idle: Percentiles
    full: Percentiles

    @property
    def idle_factors(self) -> tuple[float, float]:
        """The ends of the 95 % interval of the idle power, over its median."""
        return self._factors([(row.servers, row.idle) for row in FAMILIES.values()], self.idle)

    @property
    def full_factors(self) -> tuple[float, float]:
        """The ends of the 95 % interval of the power under full load, over its median."""
        return self._factors([(row.servers, row.full) for row in FAMILIES.values()], self.full)

    def _factors(self, rows: list[tuple[int, Percentiles]], own: Percentiles) -> tuple[float, float]:
        if self.family != "unknown":
            return own.factors(self.servers)
        # any of the families may be the one: from the lowest end of one to the highest end of another
        ends = [(spread.p50_w * low, spread.p50_w * high) for n, spread in rows for low, high in [spread.factors(n)]]
        return min(low for low, _ in ends) / own.p50_w, max(high for _, high in ends) / own.p50_w


def student_975(degrees: int) -> float:
    """Return the 97.5 % quantile of Student's t for two or more degrees of freedom, at most 3 % too low.

    Abramowitz and Stegun, 26.7.5, four terms.

    >>> round(student_975(8), 2), round(student_975(125), 2)
    (2.31, 1.98)
    """
    z = _Z975
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + (first + (second + third / degrees) / degrees) / degrees


_TABLE = """
Sandy Bridge    126  1.58 1.77 3.27  6.62 7.92 12.75
Ivy Bridge        3  1.32 1.39 2.22  5.42 5.46 5.73
Haswell          17  0.56 0.66 0.90  3.68 3.83 4.30
Broadwell        17  0.47 0.53 1.19  2.77 3.09 5.43
Skylake-SP       72  0.40 0.53 0.73  3.27 4.15 4.47
Cascade Lake     69  0.43 0.60 0.91  3.26 4.05 4.46
Ice Lake         16  0.69 0.76 0.85  3.48 3.88 4.00
Sapphire Rapids  61  0.65 0.90 1.53  3.08 3.99 4.85
Emerald Rapids   19  0.65 0.80 0.94  2.84 3.57 4.95
Granite Rapids   22  0.47 0.56 0.67  2.20 2.69 2.88
Coffee Lake       9  0.95 1.05 1.45  3.46 5.98 7.37
EPYC 1            9  0.66 0.75 1.09  2.29 2.33 3.13
EPYC 2           36  0.32 0.44 0.67  1.53 1.66 1.92
EPYC 3           28  0.33 0.42 0.62  1.77 1.92 2.22
EPYC 4           41  0.32 0.38 1.43  1.64 1.85 3.52
EPYC 5           41  0.18 0.22 0.37  1.11 1.18 1.98
Neoverse N1       7  0.56 0.62 1.04  1.14 1.92 2.01
"""
"""Family, servers, idle p10 p50 p90, full load p10 p50 p90."""


def _parse(line: str) -> Coefficients:
    *words, servers, i10, i50, i90, f10, f50, f90 = line.split()
    return Coefficients(
        family=" ".join(words),
        servers=int(servers),
        idle=Percentiles(p10_w=float(i10), p50_w=float(i50), p90_w=float(i90)),
        full=Percentiles(p10_w=float(f10), p50_w=float(f50), p90_w=float(f90)),
    )


FAMILIES = {row.family: row for row in map(_parse, _TABLE.strip().splitlines())}
"""The families in the results, by name."""


def _median_w(watts: list[float]) -> float:
    """Return the median; the import of ``statistics`` takes longer than everything else here."""
    watts, middle = sorted(watts), len(watts) // 2
    return watts[middle] if len(watts) % 2 else (watts[middle - 1] + watts[middle]) / 2


def coefficients_of(family: str | None) -> Coefficients:
    """Return the model of a family; for an unknown one the median over all servers, with the widest spread."""
    if family in FAMILIES:
        return FAMILIES[family]
    rows = FAMILIES.values()
    return Coefficients(
        family="unknown",
        servers=sum(row.servers for row in rows),
        idle=Percentiles(
            p10_w=min(row.idle.p10_w for row in rows),
            p50_w=_median_w([row.idle.p50_w for row in rows for _ in range(row.servers)]),
            p90_w=max(row.idle.p90_w for row in rows),
        ),
        full=Percentiles(
            p10_w=min(row.full.p10_w for row in rows),
            p50_w=_median_w([row.full.p50_w for row in rows for _ in range(row.servers)]),
            p90_w=max(row.full.p90_w for row in rows),
        ),
    )
