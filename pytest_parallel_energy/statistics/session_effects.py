"""Remarks on a comparison: what its intervals do not hold, and repeats that are not independent."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterator, Sequence

__all__ = ["ONE_SESSION", "WITHIN_ONE_SESSION", "drift_remarks", "lag_1"]

WITHIN_ONE_SESSION = ", within one session each"
ONE_SESSION = (
    "each run is one session: the intervals hold the spread inside a session, not what differs between sessions "
    "(compare with a baseline of several sessions, see --energy-add-baseline, to include it)"
)
_LEAST = 8
"""Values below which a lag-1 correlation says nothing."""


def drift_remarks(samples: Sequence[tuple[str, Sequence[float]]], side: str) -> Iterator[str]:
    """Yield a sentence where repeats are not independent.

    Args:
        samples: a name and its repeats in the order in which they ran.
        side: the run that they are of, as a word.
    """
    found = [name for name, values in samples if (r := lag_1(values)) is not None and r > 2 / math.sqrt(len(values))]
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        yield (
            f"repeats of {found[0]}{more} in the {side} run drift or follow each other (lag-1 correlation above "
            "2 / sqrt(n)): their intervals are too narrow"
        )


def lag_1(values: Sequence[float]) -> float | None:
    """Return the lag-1 autocorrelation; ``None`` below eight values or for a constant.

    Source: Box, Jenkins and Reinsel 2015, Time Series Analysis, 2.1; about 1 / sqrt(n) is its standard error.
    """
    if len(values) < _LEAST or len(set(values)) == 1:
        return None
    mean = statistics.fmean(values)
    above = math.fsum((a - mean) * (b - mean) for a, b in itertools.pairwise(values))
    return above / math.fsum((value - mean) ** 2 for value in values)
