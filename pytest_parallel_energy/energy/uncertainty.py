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

from .assumptions import SLOWEST_UPDATE_S
from .sensor import SensorDescription

__all__ = [
    "K95",
    "LEAST_COVERAGE_RATIO",
    "ErrorBudget",
    "Power",
    "WindowEnds",
    "budget",
    "combine_u95",
    "step_coverage_ratio",
]

K95 = 2.0
"""Coverage factor: two standard deviations of a Gaussian hold 95.4 %."""
LEAST_COVERAGE_RATIO = 0.9
"""Below this share of the step's phases seen, a window counts as aliased."""
_PHASE_BINS = 200


class Power(NamedTuple):
    """The power of a domain during a window, as its readings show it."""

    mean_w: float
    sigma_w: float = 0.0
    """Standard deviation of the power readings; 0 when there were fewer than two."""
    samples: int = 0


class WindowEnds(NamedTuple):
    """The uncertainty of the two ends of a window."""

    window_s: float
    blur_s: float
    """Time by which the energy may belong to another window: the update interval, or the polling of edges."""
    outside_j: float = 0.0
    """Uncertainty of the energy between an edge and the window's end."""
    unseen_ratio: float = 0.0
    """Share of a repeating step that a part-time sensor never sees."""


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


def budget(about: SensorDescription, ends: WindowEnds, power: Power) -> ErrorBudget:
    """Return the budget of one domain, from its sensor's description and the readings of the window."""
    return ErrorBudget(
        gain_j=K95 * about.gain_ratio * power.mean_w * ends.window_s,
        offset_j=K95 * about.offset_w * ends.window_s,
        window_j=math.hypot(ends.blur_s * power.mean_w, ends.outside_j),
        quantum_j=about.quantum_j,
        part_time_j=_part_time_j(about, ends.window_s, power),
        # what is never seen may differ by as much as the power varies, and no length of window helps
        alias_j=K95 * power.sigma_w * ends.window_s * ends.unseen_ratio,
    )


def _part_time_j(about: SensorDescription, window_s: float, power: Power) -> float:
    """Return K · sigma · T / √n: a part-time sensor draws n samples of a power that varies by sigma.

    n is the number of updates in the window, or of readings where the host integrates. A counter whose averaging
    window is as long as its update interval (or unknown to differ) misses nothing.
    """
    update_s = SLOWEST_UPDATE_S if about.update_interval_s is None else about.update_interval_s
    if about.joules_per_count is not None:
        if about.averaging_s is None or about.averaging_s >= update_s:
            return 0.0
        draws = window_s / update_s
    else:
        draws = min(float(power.samples), window_s / update_s)
    return K95 * power.sigma_w * window_s / math.sqrt(max(draws, 1.0))


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


def step_coverage_ratio(*, update_s: float, averaging_s: float, step_s: float, window_s: float) -> float:
    """Return the share of a step's phases that the sensor's averaging windows touch during a window, 0 to 1.

    The averaging windows, one per update, are folded modulo the step time. A sensor that averages 25 ms of every 100 ms
    (A100, H100) under a load that repeats every 100 ms is off by 19 to 29 % however often the window is repeated: the
    error does not average out. Shifting the phase helps: four shifts leave about 10 %, eight about 4 % (Yang, Adamek,
    Armour, SC24, arXiv 2312.02741).

    >>> step_coverage_ratio(update_s=0.1, averaging_s=0.025, step_s=0.1, window_s=60.0)
    0.25
    >>> step_coverage_ratio(update_s=0.1, averaging_s=0.025, step_s=0.130, window_s=60.0)
    1.0
    """
    if averaging_s >= min(update_s, step_s):
        return 1.0
    seen = bytearray(_PHASE_BINS)
    width = max(1, round(averaging_s / step_s * _PHASE_BINS))
    # more windows than this only repeat phases that differ by less than a bin
    for number in range(min(math.ceil(window_s / update_s), _PHASE_BINS * _PHASE_BINS)):
        first = round(number * update_s % step_s / step_s * _PHASE_BINS)
        for place in range(first, first + width):
            seen[place % _PHASE_BINS] = 1
        if all(seen):
            break
    return sum(seen) / _PHASE_BINS
