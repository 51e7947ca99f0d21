"""Whether a part-time sensor sees every part of a repeating step, or always the same one.

A sensor that averages 25 ms of every 100 ms (A100, H100) under a load that repeats every 100 ms is off by 19–29 %
however often the window is repeated: the error does not average out. Shifting the phase does: four shifts leave about
10 %, eight about 4 % (Yang, Adamek, Armour, SC24, arXiv 2312.02741).
"""

from __future__ import annotations

import math

__all__ = ["LEAST_COVERAGE_RATIO", "step_coverage_ratio"]

LEAST_COVERAGE_RATIO = 0.9
"""Below this share of the step's phases seen, a window counts as aliased."""
_BINS = 200


def step_coverage_ratio(*, update_s: float, averaging_s: float, step_s: float, window_s: float) -> float:
    """The share of a step's phases that the sensor's averaging windows touch during a window, 0 to 1.

    The averaging windows, one an update, are folded modulo the step time.

    >>> step_coverage_ratio(update_s=0.1, averaging_s=0.025, step_s=0.1, window_s=60.0)
    0.25
    >>> step_coverage_ratio(update_s=0.1, averaging_s=0.025, step_s=0.130, window_s=60.0)
    1.0
    """
    if averaging_s >= min(update_s, step_s):
        return 1.0
    seen = bytearray(_BINS)
    width = max(1, round(averaging_s / step_s * _BINS))
    # more windows than this only repeat phases that differ by less than a bin
    for number in range(min(math.ceil(window_s / update_s), _BINS * _BINS)):
        first = round(number * update_s % step_s / step_s * _BINS)
        for place in range(first, first + width):
            seen[place % _BINS] = 1
        if all(seen):
            break
    return sum(seen) / _BINS
