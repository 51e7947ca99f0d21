"""Energy attribution from shares of use, where legs were not measured: CPU time, and the use of each GPU.

The joules are split in the ratio of use, as if a second of CPU time cost the same in each program. It does not (models
that are linear in use frequently have high errors: McCullough et al., USENIX ATC 2011): the interval holds all splits
in which a second costs up to twice as much in one program as in another. The factor of two is a prior without published
source; it also contains the Shapley share on concave power curves. DRAM is not split separately (16 % error at best).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ..records.record import IDLE_INCLUDED, Attribution

__all__ = ["Resource", "Shares", "attribute_shares", "combine", "share_range", "share_u95_ratio"]

_COST_RATIO = 2.0
"""The energy of a second of use in one program over that in another, at most."""
_RING_SAMPLES_PER_S = 7.2
"""NVML's ring of per-process utilisation holds 72 samples of 10 s, each naming one process (driver headers; nvtop)."""


class Shares(NamedTuple):
    """Parts of the use of a resource in a window; the rest is other processes. Each from 0 to 1, together at most 1."""

    foreground_ratio: float
    background_ratio: float
    u95_ratio: float = 0.0
    """Half-width of the 95 % interval of either."""
    used: bool = True
    """``False`` for a resource that no process used."""

    @property
    def other_ratio(self) -> float:
        """The part of all other processes."""
        return max(0.0, 1 - self.foreground_ratio - self.background_ratio) if self.used else 0.0


class Resource(NamedTuple):
    """The energy of a resource in a window: of the CPU packages, or of one GPU."""

    total_j: float
    idle_j: float | None = None
    """Its idle part; ``None`` where no idle power was measured."""
    active_u95_j: float = 0.0
    """Half-width of the 95 % interval of the energy above idle, without the gain of the sensor."""
    gain_u95_ratio: float = 0.0
    """Half-width of the sensor's relative error."""


def attribute_shares(resource: Resource, shares: Shares, *, what: str = "CPU time") -> Attribution:
    """Split the active energy in the ratio of use. Quality of every part: ``apportioned``.

    Without idle power the whole energy is split, and the method says so: a part is then not an owner's own joules, and
    the interval of those begins at 0.

    Args:
        resource: its energy.
        shares: the parts of the resource's use.
        what: the resource, for the method's name.
    """
    active_j = resource.total_j - (resource.idle_j or 0.0)
    spread_j = resource.active_u95_j
    gain_j = abs(active_j) * resource.gain_u95_ratio
    ends = [(ratio, ratio * active_j) for ratio in share_range(shares)]
    low_j = min(joules - ratio * math.hypot(spread_j, gain_j) for ratio, joules in ends)
    split_low_j = min(joules - ratio * spread_j for ratio, joules in ends)
    if resource.idle_j is None:
        low_j = split_low_j = 0.0
    split_high_j = max(joules + ratio * spread_j for ratio, joules in ends)
    return Attribution(
        foreground_j=active_j * shares.foreground_ratio,
        background_j=active_j * shares.background_ratio,
        other_j=active_j * shares.other_ratio,
        idle_j=resource.idle_j,
        low_j=low_j,
        high_j=max(joules + ratio * math.hypot(spread_j, gain_j) for ratio, joules in ends),
        split_u95_j=(split_high_j - split_low_j) / 2,
        method=f"share of {what}{IDLE_INCLUDED if resource.idle_j is None else ''}",
    )


def share_range(shares: Shares) -> tuple[float, float]:
    """Return the lowest and the highest share of the foreground in the energy, 0 to 1, that its use allows.

    >>> share_range(Shares(foreground_ratio=0.5, background_ratio=0.5))
    (0.3333333333333333, 0.6666666666666666)
    >>> share_range(Shares(foreground_ratio=1.0, background_ratio=0.0))
    (1.0, 1.0)
    """
    least = max(0.0, shares.foreground_ratio - shares.u95_ratio)
    most = min(1.0, shares.foreground_ratio + shares.u95_ratio)
    return least / (least + _COST_RATIO * (1 - least)), _COST_RATIO * most / (_COST_RATIO * most + 1 - most)


def combine(parts: Sequence[Attribution], method: str) -> Attribution:
    """Return the sum over resources; a value that is unknown in one part is unknown in the sum."""

    def total(name: str) -> float | None:
        values = [getattr(part, name) for part in parts]
        known = [value for value in values if value is not None]
        return sum(known) if values and len(known) == len(values) else None

    return Attribution(
        foreground_j=total("foreground_j"),
        background_j=total("background_j"),
        other_j=total("other_j"),
        idle_j=total("idle_j"),
        low_j=total("low_j"),
        high_j=total("high_j"),
        split_u95_j=total("split_u95_j"),
        method=method,
    )


def share_u95_ratio(share_ratio: float, seen_s: float) -> float:
    """Return the half-width of the 95 % interval of a GPU share from NVML's ring: 2 √(p(1-p) / (7.2 T)).

    >>> round(share_u95_ratio(0.5, 60.0), 3), round(share_u95_ratio(0.5, 300.0), 3)
    (0.048, 0.022)
    """
    if seen_s <= 0:
        return 1.0
    return 2 * math.sqrt(share_ratio * (1 - share_ratio) / (_RING_SAMPLES_PER_S * seen_s))
