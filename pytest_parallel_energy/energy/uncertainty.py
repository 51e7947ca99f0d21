"""The uncertainty budget of one domain in one window, and the half-width of the 95 % interval that comes of it.

Gaussian parts (gain, offset, part-time sampling) enter with k = 2; bounded parts (window ends, quantum) enter with
their bound. All are independent of each other and add in quadrature (GUM, JCGM 100:2008, 5.1.2).
Sources of the numbers: 19 NVIDIA cards against an external meter have a gain of SD 3.7 % and an offset of SD 5.9 W
(artefact of Yang, Adamek, Armour, SC24, arXiv 2312.02741); 3–5 % for a RAPL package is common practice without a
published source.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from .part_time import HIDDEN_UP_RATIO, SPREAD_RATIO, Sight
from .sensor import SensorDescription

__all__ = [
    "K95",
    "ErrorBudget",
    "WindowErrors",
    "budget",
    "combine_u95",
]

K95 = 2.0
"""Coverage factor: two standard deviations of a Gaussian hold 95.4 %."""
_FEW_DRAWS = 5
_FEW_FACTOR = 4.0
"""With one reading the interval is five times as wide as with many: bursts between one and seven times the least power
are then inside (a convention, tried on the simulated bench)."""


class WindowErrors(NamedTuple):
    """The uncertainty of one window besides the sensor's own."""

    window_s: float
    mean_w: float
    ends_j: float
    """Half-width of what the two ends of the window leave open."""
    sight: Sight | None = None
    """What a part-time sensor saw; ``None`` for one that misses nothing."""


class ErrorBudget(NamedTuple):
    """The parts, each a 95 % half-width in joules, 0 or more."""

    gain_j: float
    offset_j: float
    window_j: float
    quantum_j: float
    part_time_j: float
    alias_j: float = 0.0

    @property
    def u95_j(self) -> float:
        """The whole: root of the sum of squares.

        >>> ErrorBudget(gain_j=3.0, offset_j=4.0, window_j=0.0, quantum_j=0.0, part_time_j=0.0).u95_j
        5.0
        """
        return math.hypot(self.gain_j, self.offset_j, self.window_j, self.quantum_j, self.part_time_j, self.alias_j)


def budget(about: SensorDescription, errors: WindowErrors) -> ErrorBudget:
    """Return the budget of one domain, from its sensor's description and the readings of the window."""
    joules, sight = errors.mean_w * errors.window_s, errors.sight
    gain_j = K95 * about.gain_ratio * joules
    if about.model is not None:
        low_j, high_j = about.model.interval_j(joules, errors.window_s)
        gain_j = max(joules - low_j, high_j - joules)
    return ErrorBudget(
        gain_j=gain_j,
        offset_j=K95 * about.offset_w * errors.window_s,
        window_j=errors.ends_j,
        quantum_j=about.quantum_j,
        part_time_j=0.0 if sight is None else _draws_ratio(sight) * joules,
        alias_j=0.0 if sight is None else HIDDEN_UP_RATIO * sight.hidden_ratio * joules,
    )


def _draws_ratio(sight: Sight) -> float:
    """Return ``t * sigma / sqrt(n)``: a part-time sensor draws n readings of a power that varies by sigma.

    With fewer than five readings their spread says little: the published one stands in.
    """
    few = sight.draws < _FEW_DRAWS
    sigma_ratio = max(sight.sigma_ratio, SPREAD_RATIO) if few else sight.sigma_ratio
    # Student's t exceeds 2 by about 2.4 over its degrees of freedom, from four on (within 2 %)
    draws = max(sight.draws, 1)
    factor = K95 * (1 + _FEW_FACTOR / draws) if few else K95 + 2.4 / (draws - 1)
    return factor * sigma_ratio / math.sqrt(draws)


def combine_u95(parts: Iterable[tuple[str | None, float]]) -> float:
    """Return the half-width of a sum, from ``(gain_group, u95_j)`` of its parts.

    Sensors of one group err together: their half-widths add. Groups, and sensors without one, are independent.

    >>> combine_u95([("rapl", 1.0), ("rapl", 2.0), (None, 4.0)])
    5.0
    """
    groups: dict[str, float] = {}
    squares = 0.0
    for group, u95_j in parts:
        if group is None:
            squares += u95_j**2
        else:
            groups[group] = groups.get(group, 0.0) + u95_j
    return math.sqrt(squares + sum(value**2 for value in groups.values()))
