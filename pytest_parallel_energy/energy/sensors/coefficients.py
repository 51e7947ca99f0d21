"""Watts of a server by CPU family: the model behind the estimate.

Median watts per hardware thread of the whole server at the wall, from SPECpower_ssj2008 results (dump of 2026-03-09),
with the 10th and 90th percentile. Leaving one out over 616 servers, 90 % of the errors of the medians lie within
64/45/45 % at idle, half and full load; interpolating linearly is 10–13 % off in the middle.
(Cloud Carbon Footprint's published row for the fifth EPYC is a parsing fault and is not used.)
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FAMILIES", "Coefficients", "Percentiles", "coefficients_of"]

_K90 = 1.645
"""Standard deviations that hold 90 % of a Gaussian."""
_K80 = 1.282
"""Standard deviations from the median to the 10th or 90th percentile of a Gaussian."""
_IDLE_ERROR_RATIO = 0.64
_FULL_ERROR_RATIO = 0.45
"""90 % of the leave-one-out errors of the medians lie within these."""


class Percentiles(NamedTuple):
    """Watts per hardware thread: 10th, 50th and 90th percentile over servers."""

    p10_w: float
    p50_w: float
    p90_w: float


class Coefficients(NamedTuple):
    """The model of one CPU family, per hardware thread."""

    family: str
    """``"unknown"`` for the median over all families."""
    servers: int
    idle: Percentiles
    full: Percentiles

    @property
    def idle_sigma_w(self) -> float:
        """Standard deviation of the idle power per thread."""
        return _sigma_w(self.idle, _IDLE_ERROR_RATIO, known=self.family != "unknown")

    @property
    def full_sigma_ratio(self) -> float:
        """Standard deviation of the power under load, relative."""
        return _sigma_w(self.full, _FULL_ERROR_RATIO, known=self.family != "unknown") / self.full.p50_w


def _sigma_w(spread: Percentiles, error_ratio: float, *, known: bool) -> float:
    if known:
        return spread.p50_w * error_ratio / _K90
    return max(spread.p90_w - spread.p50_w, spread.p50_w - spread.p10_w) / _K80


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
