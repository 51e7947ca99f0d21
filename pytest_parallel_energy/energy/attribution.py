"""Energy attribution: from legs (idle, alone, together) where they were measured, else from shares of use.

With idle power P₀, foreground alone P_F at work rate r_F, background alone P_B at r_B, both P_FB at r'_F and r'_B:

- solo = (P_F - P₀) · r'_F / r_F
- marginal, matched in work = (P_FB - P₀) - (P_B - P₀) · r'_B / r_B
- Shapley = (solo + marginal) / 2, so that the shares add up to P_FB - P₀ (Shapley 1953, two players)
- interference = (P_FB - P₀) - solo - (P_B - P₀) · r'_B / r_B

Scaling a solo run to the rate at which it ran beside the other is a convention. A split by CPU time is off the Shapley
share by -26 to +18 % on SMT and concave power curves; DRAM is not split (16 % error at best).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ..records.record import Attribution

__all__ = [
    "Interaction",
    "Leg",
    "Legs",
    "Shares",
    "attribute_legs",
    "attribute_shares",
    "combine",
    "interaction",
    "share_u95_ratio",
]

_SHARE_LOW_RATIO, _SHARE_HIGH_RATIO = -0.26, 0.18
"""Measured difference between a split by CPU time and the Shapley share."""
_RING_SAMPLES_PER_S = 7.2
"""NVML's ring of per-process utilisation holds 72 samples of 10 s, each naming one process (driver headers; nvtop)."""


class Leg(NamedTuple):
    """Mean power of one arrangement, and how fast the work went (any unit, the same in all legs of one workload)."""

    mean_w: float
    foreground_rate: float | None = None
    """``None`` where the foreground did not run, or its rate is unknown: then it counts as unchanged."""
    background_rate: float | None = None


class Legs(NamedTuple):
    """The measured arrangements; all over the same domains of one machine."""

    idle_w: float
    both: Leg
    foreground: Leg | None = None
    background: Leg | None = None


class Interaction(NamedTuple):
    """The effect of two concurrent trainings on each other."""

    interference_w: float
    """Power together beyond the sum of both alone, at the rates they had together; negative when sharing saves."""
    slowdown_ratio: float | None
    """Slowdown of the foreground as a factor; ``None`` where a rate is unknown."""


class Shares(NamedTuple):
    """Parts of the use of a resource in a window; the rest is other processes. Each from 0 to 1, together at most 1."""

    foreground_ratio: float
    background_ratio: float
    u95_ratio: float = 0.0
    """Half-width of the 95 % interval of either."""


def attribute_legs(legs: Legs, window_s: float) -> Attribution:
    """Return the foreground's and the background's joules above idle, by the legs that were measured.

    With both solo legs the method is ``shapley``, with the background's alone ``marginal``, with the foreground's alone
    ``solo``; without either there is only the idle part.
    """
    idle_j = legs.idle_w * window_s
    active_w = legs.both.mean_w - legs.idle_w
    solo_w, marginal_w = _solo_w(legs), _marginal_w(legs)
    if solo_w is not None and marginal_w is not None:
        foreground_w, method = (solo_w + marginal_w) / 2, "shapley"
    elif marginal_w is not None:
        foreground_w, method = marginal_w, "marginal"
    elif solo_w is not None:
        foreground_w, method = solo_w, "solo"
    else:
        return Attribution(idle_j=idle_j, method="idle only")
    bounds_w = [each for each in (solo_w, marginal_w) if each is not None]
    return Attribution(
        foreground_j=foreground_w * window_s,
        background_j=(active_w - foreground_w) * window_s,
        other_j=0.0,
        idle_j=idle_j,
        low_j=min(bounds_w) * window_s if len(bounds_w) > 1 else None,
        high_j=max(bounds_w) * window_s if len(bounds_w) > 1 else None,
        method=method,
    )


def interaction(legs: Legs) -> Interaction | None:
    """Return interference and slowdown; ``None`` unless both solo legs were measured."""
    solo_w, marginal_w = _solo_w(legs), _marginal_w(legs)
    if solo_w is None or marginal_w is None or legs.foreground is None:
        return None
    alone, together = legs.foreground.foreground_rate, legs.both.foreground_rate
    return Interaction(
        interference_w=marginal_w - solo_w,
        slowdown_ratio=alone / together if alone and together else None,
    )


def attribute_shares(total_j: float, idle_j: float | None, shares: Shares, *, what: str = "CPU time") -> Attribution:
    """Split the active energy in the ratio of use. Quality of every part: ``apportioned``.

    Args:
        total_j: joules of the resource in the window (CPU packages, or one GPU).
        idle_j: its idle part; ``None`` where no idle leg was measured: then the whole is split, and the method says so.
        shares: the parts of the resource's use.
        what: the resource, for the method's name.
    """
    active_j = max(0.0, total_j - (idle_j or 0.0))
    foreground_j = active_j * shares.foreground_ratio
    background_j = active_j * shares.background_ratio
    slack_j = active_j * shares.u95_ratio
    method = f"share of {what}" if idle_j is not None else f"share of {what}, idle power included"
    return Attribution(
        foreground_j=foreground_j,
        background_j=background_j,
        other_j=max(0.0, active_j * (1 - shares.foreground_ratio - shares.background_ratio)),
        idle_j=idle_j,
        low_j=max(0.0, (foreground_j - slack_j) / (1 + _SHARE_HIGH_RATIO)),
        high_j=min(active_j, (foreground_j + slack_j) / (1 + _SHARE_LOW_RATIO)),
        method=method,
    )


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


def _solo_w(legs: Legs) -> float | None:
    if legs.foreground is None:
        return None
    scale = _scale(legs.both.foreground_rate, legs.foreground.foreground_rate)
    return (legs.foreground.mean_w - legs.idle_w) * scale


def _marginal_w(legs: Legs) -> float | None:
    if legs.background is None:
        return None
    scale = _scale(legs.both.background_rate, legs.background.background_rate)
    return (legs.both.mean_w - legs.idle_w) - (legs.background.mean_w - legs.idle_w) * scale


def _scale(together: float | None, alone: float | None) -> float:
    return together / alone if together is not None and alone else 1.0
