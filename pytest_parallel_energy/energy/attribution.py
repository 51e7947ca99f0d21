"""Energy attribution from legs: the powers of the idle machine, of each training alone, and of both together.

With idle power P₀, foreground alone P_F at work rate r_F, background alone P_B at r_B, both P_FB at r'_F and r'_B:

- solo = (P_F - P₀) · r'_F / r_F
- marginal, matched in work = (P_FB - P₀) - (P_B - P₀) · r'_B / r_B
- Shapley = (solo + marginal) / 2, so that the shares add up to P_FB - P₀ (Shapley 1953, two players)
- interference = (P_FB - P₀) - solo - (P_B - P₀) · r'_B / r_B

Scaling a solo run to the rate at which it ran beside the other is a convention. The interval of the foreground's share
reaches from the lower of solo and marginal to the higher one, each widened by the scatter of its legs, by the power of
other programs, and by the sensors' gain, which is common to all legs (first-order propagation, JCGM 100:2008, 5.1.2).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from ..records.record import Attribution
from ..units import format_joules

__all__ = ["Interaction", "Leg", "Legs", "attribute_legs", "interaction"]

_INFLATION_LOW, _INFLATION_HIGH = 1.0, 3.0
_SHAPLEY_LOW, _SHAPLEY_HIGH = 0.7, 1.5
"""Usual ranges of the energy with a load over the energy alone, and of the Shapley share over the solo share. A prior
without published source: outside of them the legs should be checked."""


class Leg(NamedTuple):
    """Mean power of one arrangement, and how fast the work went (any unit, the same in all legs of one workload)."""

    mean_w: float
    foreground_rate: float | None = None
    """``None`` where the foreground did not run, or its rate is unknown: then it counts as unchanged."""
    background_rate: float | None = None
    u95_w: float = 0.0
    """Half-width of the 95 % interval of ``mean_w`` without the gain of the sensors: scatter, ends, quantum."""
    other_w: float = 0.0
    """The part that programs outside of this leg's arrangement used beyond what they use on the idle machine."""
    other_u95_w: float = 0.0
    """Half-width of its 95 % interval: what others used is known to a factor of two at best."""

    @property
    def clean_w(self) -> float:
        """The power without that of others."""
        return self.mean_w - self.other_w

    @property
    def clean_u95_w(self) -> float:
        """Its half-width."""
        return math.hypot(self.u95_w, self.other_u95_w)


class Legs(NamedTuple):
    """The measured arrangements; all over the same domains of one machine."""

    idle_w: float
    both: Leg
    foreground: Leg | None = None
    background: Leg | None = None
    idle_u95_w: float = 0.0
    """As ``Leg.u95_w``."""
    gain_u95_ratio: float = 0.0
    """Half-width of the relative error that is the same in all legs."""
    by_use_w: tuple[float, float] | None = None
    """Lowest and highest share of the foreground that its part of the use allows, watts: it stands in for a missing
    leg of the foreground alone."""


class Interaction(NamedTuple):
    """The effect of two concurrent trainings on each other."""

    interference_w: float
    """Power together beyond the sum of both alone, at the rates they had together; negative when sharing saves."""
    slowdown_ratio: float | None
    """Slowdown of the foreground as a factor; ``None`` where a rate is unknown."""


class _Power(NamedTuple):
    """A share of the power, and the half-width of its 95 % interval without gain."""

    watts: float
    u95_w: float


def attribute_legs(legs: Legs, window_s: float) -> Attribution:
    """Return the foreground's and the background's joules above idle, by the legs that were measured.

    With both solo legs the method is ``shapley``, with the background's alone ``marginal``, with the foreground's alone
    ``solo``; without either there is only the idle part.
    """
    # where other programs used more in the idle leg than in the window, the idle power holds too much
    idle_j = (legs.idle_w + min(0.0, legs.both.other_w)) * window_s
    solo, marginal = _solo(legs), _marginal(legs)
    known = [each for each in (solo, marginal) if each is not None]
    if not known:
        return Attribution(idle_j=idle_j, method="idle only")
    method = "shapley" if len(known) > 1 else "marginal" if solo is None else "solo"
    foreground_w = sum(each.watts for each in known) / len(known)
    low_w, high_w = _interval_w(legs, known, legs.gain_u95_ratio)
    split_low_w, split_high_w = _interval_w(legs, known, 0.0)
    found = Attribution(
        foreground_j=foreground_w * window_s,
        background_j=(legs.both.clean_w - legs.idle_w - foreground_w) * window_s,
        other_j=max(0.0, legs.both.other_w) * window_s,
        idle_j=idle_j,
        low_j=low_w * window_s,
        high_j=high_w * window_s,
        split_u95_j=(split_high_w - split_low_w) / 2 * window_s,
        method=method,
    )
    shapley_ratio = foreground_w / solo.watts if method == "shapley" and solo is not None and solo.watts > 0 else None
    return replace(found, flags=(*_negative(found), *_unusual(legs, shapley_ratio)))


def interaction(legs: Legs) -> Interaction | None:
    """Return interference and slowdown; ``None`` unless both solo legs were measured."""
    solo, marginal = _solo(legs), _marginal(legs)
    if solo is None or marginal is None or legs.foreground is None:
        return None
    alone, together = legs.foreground.foreground_rate, legs.both.foreground_rate
    return Interaction(
        interference_w=marginal.watts - solo.watts,
        slowdown_ratio=alone / together if alone and together else None,
    )


def _solo(legs: Legs) -> _Power | None:
    if legs.foreground is None:
        return None
    scale = _scale(legs.both.foreground_rate, legs.foreground.foreground_rate)
    return _Power(
        (legs.foreground.clean_w - legs.idle_w) * scale,
        scale * math.hypot(legs.foreground.clean_u95_w, legs.idle_u95_w),
    )


def _marginal(legs: Legs) -> _Power | None:
    if legs.background is None:
        return None
    scale = _scale(legs.both.background_rate, legs.background.background_rate)
    watts = (legs.both.clean_w - legs.idle_w) - (legs.background.clean_w - legs.idle_w) * scale
    # The idle power enters twice, with opposite signs: it hardly matters for a load that keeps its rate.
    return _Power(
        watts,
        math.hypot(legs.both.clean_u95_w, scale * legs.background.clean_u95_w, (scale - 1) * legs.idle_u95_w),
    )


def _interval_w(legs: Legs, known: Sequence[_Power], gain_u95_ratio: float) -> tuple[float, float]:
    """Return the ends of the interval of the foreground's share."""
    ends = []
    for each in known:
        half_w = math.hypot(each.u95_w, gain_u95_ratio * each.watts)
        ends += [each.watts - half_w, each.watts + half_w]
    if legs.foreground is None and legs.by_use_w is not None:
        low_w, high_w = legs.by_use_w
        ends += [low_w * (1 - gain_u95_ratio), high_w * (1 + gain_u95_ratio)]
    return min(ends), max(ends)


def _negative(found: Attribution) -> Iterator[str]:
    for name, joules in (("foreground", found.foreground_j), ("background", found.background_j)):
        if joules is not None and joules < 0:
            yield (
                f"the energy attributed to the {name} is negative ({format_joules(joules)}): the idle power and the "
                "legs do not fit together; measure them for longer (--energy-idle) on a machine without other work"
            )


def _unusual(legs: Legs, shapley_ratio: float | None) -> Iterator[str]:
    alone = legs.foreground
    if alone is not None and alone.mean_w > 0:
        scale = _scale(legs.both.foreground_rate, alone.foreground_rate)
        inflation = legs.both.mean_w / alone.mean_w / scale if scale > 0 else math.inf
        if not _INFLATION_LOW <= inflation <= _INFLATION_HIGH:
            yield (
                f"with the load the machine used {inflation:.2g} times the energy of the test alone, outside the usual "
                f"{_INFLATION_LOW:g} to {_INFLATION_HIGH:g} times"
            )
    if shapley_ratio is not None and not _SHAPLEY_LOW <= shapley_ratio <= _SHAPLEY_HIGH:
        yield (
            f"the energy attributed to the foreground is {shapley_ratio:.2g} times its energy alone, outside the usual "
            f"{_SHAPLEY_LOW:g} to {_SHAPLEY_HIGH:g} times"
        )


def _scale(together: float | None, alone: float | None) -> float:
    return together / alone if together is not None and alone else 1.0
