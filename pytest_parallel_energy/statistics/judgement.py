"""The verdict on one quantity of one cell: tied to the interval of the change, the threshold and the resolution."""

from __future__ import annotations

import enum
import math
import statistics
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from . import stats
from .power import Rule, pooled_sd, repeats_needed, upper_sd
from .quantities import Threshold
from .session_effects import WITHIN_ONE_SESSION
from .significance import pooled_t, smallest_p, welch

__all__ = ["Change", "Evidence", "Verdict", "change_of", "judge"]


_EQUAL_ALPHA = 0.03
"""``no change`` is a test of equivalence: with the 97 % interval, a change that truly is as large as the threshold is
called no change in 1.5 % of all comparisons (two one-sided tests: Schuirmann 1987, J. Pharmacokinetics and
Biopharmaceutics 15:657)."""


class Verdict(enum.StrEnum):
    """The result of comparing two cells."""

    WORSE = "worse"
    BETTER = "better"
    NO_CHANGE = "no change"
    INCONCLUSIVE = "inconclusive"
    NOT_COMPARABLE = "not comparable"
    NOT_TESTED = "not tested"
    """SciPy is not installed."""


class Change(Struct, frozen=True, kw_only=True):
    """The change between two samples: relative to the older one, or in the quantity's unit."""

    value: float
    """The point estimate: for relative changes the ratio of the geometric means minus 1."""
    low: float | None = None
    high: float | None = None
    """Ends of the 95 % interval; ``None`` where there are too few values. It holds 0 exactly where ``p`` is above
    0.05."""
    wide_low: float | None = None
    wide_high: float | None = None
    """Ends of the 97 % interval, which must lie inside the threshold for ``no change``."""
    p: float | None = None
    """Welch's test of no change, not corrected."""
    limit_p: float | None = None
    """The test that the threshold asks for: of no change, or of a change that reaches just to the threshold."""
    absolute: bool = False
    constant: bool = False
    """Whether each sample is one value throughout, as a deterministic metric is."""


def change_of(
    old: Sequence[float], new: Sequence[float], threshold: Threshold, *, sessions: bool = False
) -> Change | None:
    """Return the change from ``old`` to ``new``; ``None`` where a percentage has no meaning.

    Relative changes are tested on logarithms: the interval of a ratio of joules, whose spread grows with their size
    (Kalibera and Jones 2013, "Rigorous benchmarking in reasonable time"; Limpert et al. 2001, BioScience 51:341).
    Values that are all negative are compared by their size, so that the change is relative to ``|old|``. Values of both
    signs, or 0, have no percentage unless nothing changed.

    Args:
        old: one value or more.
        new: one value or more.
        threshold: decides between relative and absolute, and which hypothesis is tested.
        sessions: whether each value is the mean of a session, so that a single one may borrow the others' spread.
    """
    constant = _constant(old, new)
    if threshold.absolute:
        return _tested(old, new, threshold, sessions=sessions)
    if constant and old[0] == new[0]:
        return Change(value=0.0, low=0.0, high=0.0, wide_low=0.0, wide_high=0.0, p=1.0, limit_p=1.0, constant=True)
    sign = math.copysign(1.0, old[0])
    if any(value * sign <= 0 for value in (*old, *new)):
        return None
    logs = [[math.log(abs(value)) for value in values] for values in (old, new)]
    found = _tested(logs[0], logs[1], threshold, sessions=sessions)
    ends = (found.low, found.high, found.wide_low, found.wide_high)
    low, high, wide_low, wide_high = (None if end is None else sign * math.expm1(end) for end in ends)
    if sign < 0:
        low, high, wide_low, wide_high = high, low, wide_high, wide_low
    return Change(
        value=sign * math.expm1(found.value),
        low=low,
        high=high,
        wide_low=wide_low,
        wide_high=wide_high,
        p=found.p,
        limit_p=found.limit_p,
        constant=constant,
    )


def _constant(old: Sequence[float], new: Sequence[float]) -> bool:
    """Return whether each sample has several values, all equal; a single value is not known to be constant."""
    return min(len(old), len(new)) > 1 and len(set(old)) == len(set(new)) == 1


def _tested(old: Sequence[float], new: Sequence[float], threshold: Threshold, *, sessions: bool) -> Change:
    """Return the difference of the means in the values' own unit, tested where SciPy and the values allow it."""
    difference = statistics.fmean(new) - statistics.fmean(old)
    constant = _constant(old, new)
    change = Change(value=difference, absolute=threshold.absolute, constant=constant)
    if not stats.have_scipy():
        return change
    single = min(len(old), len(new)) < 2  # noqa: PLR2004 - one value has no spread
    found = pooled_t(old, new) if single and sessions else welch(old, new)
    if found is None:
        if single:
            return change
        p = 1.0 if difference == 0 else smallest_p(len(old), len(new))
        end = difference if p <= stats.ALPHA or difference == 0 else None
        return replace(change, low=end, high=end, wide_low=end, wide_high=end, p=p, limit_p=p)
    (low, high), (wide_low, wide_high) = found.interval(), found.interval(_EQUAL_ALPHA)
    limit_p = found.p()
    if threshold.near_end:
        shift = _shift(difference, threshold)
        limit_p = found.p(shift) if abs(difference) > abs(shift) else 1.0
    return Change(
        value=difference,
        low=low,
        high=high,
        wide_low=wide_low,
        wide_high=wide_high,
        p=found.p(),
        limit_p=limit_p,
        absolute=threshold.absolute,
    )


def _shift(difference: float, threshold: Threshold) -> float:
    """Return the threshold on the side of the difference: as a logarithm for a relative one."""
    signed = math.copysign(threshold.limit, difference)
    if threshold.absolute:
        return signed
    return math.log1p(signed) if signed > -1 else -math.inf


class Evidence(Struct, frozen=True, kw_only=True):
    """Everything that a verdict depends on."""

    old: tuple[float, ...]
    new: tuple[float, ...]
    threshold: Threshold
    change: Change | None
    p: float | None
    """``Change.limit_p``, corrected by Holm over cells and quantities."""
    family: int
    resolution: float | None
    """Smallest difference that the sensors can tell, in the quantity's unit."""
    sessions: tuple[int, int] = (1, 1)
    """Sessions that the older and the newer values are from; of several, ``old`` and ``new`` are their means."""


def judge(evidence: Evidence) -> tuple[Verdict, str]:
    """Return the verdict and its reason.

    ``worse`` and ``better`` need the corrected p at 0.05 or below, hence an interval on that side of 0, a change that
    reaches the threshold (its near end, where the threshold says so) and that is above the sensors' resolution.
    ``no change`` needs the whole 97 % interval, widened by the resolution, inside the threshold. Everything else is
    inconclusive. The reason of a verdict on two single sessions says so: what differs between sessions, such as the
    temperature of the room, is part of such a change.
    """
    change = evidence.change
    if obstacle := _obstacle(evidence):
        return obstacle
    if change is None or change.low is None or change.high is None:
        return Verdict.INCONCLUSIVE, f"each run has one constant value: {_need(evidence)}"
    if evidence.resolution is None:
        return Verdict.INCONCLUSIVE, "the sensors' resolution is unknown"
    verdict, reason = _weighed(evidence, change, evidence.resolution)
    if verdict is not Verdict.INCONCLUSIVE and evidence.sessions == (1, 1) and not change.constant:
        reason += WITHIN_ONE_SESSION
    return verdict, reason


def _weighed(evidence: Evidence, change: Change, resolution_in_unit: float) -> tuple[Verdict, str]:
    """Return the verdict of a tested change with an interval."""
    low, high = change.low or 0.0, change.high or 0.0
    wide_low, wide_high = change.wide_low or 0.0, change.wide_high or 0.0
    threshold = evidence.threshold
    below = f"below the sensors' resolution of {resolution_in_unit:.3g}"
    scale = 1.0 if threshold.absolute else abs(statistics.fmean(evidence.old)) or 1.0
    resolution = resolution_in_unit / scale
    if -threshold.limit < wide_low - resolution and wide_high + resolution < threshold.limit:
        return Verdict.NO_CHANGE, f"within {_text(threshold)}"
    significant = evidence.p is not None and evidence.p <= stats.ALPHA
    reached = min(abs(low), abs(high)) if threshold.near_end else abs(change.value)
    if significant and reached >= threshold.limit:
        if abs(change.value) <= resolution:
            return Verdict.INCONCLUSIVE, below
        worse = (change.value < 0) == bool(threshold.falls)
        return (Verdict.WORSE if worse else Verdict.BETTER), f"p = {evidence.p:.2g}, threshold {threshold}"
    if resolution >= threshold.limit:
        return Verdict.INCONCLUSIVE, below
    return Verdict.INCONCLUSIVE, f"too noisy: {_need(evidence)}"


def _text(threshold: Threshold, factor: float = 1.0) -> str:
    """Return a multiple of the threshold's limit in words: ``5 %`` or ``2``."""
    limit = factor * threshold.limit
    return f"{limit:.4g}" if threshold.absolute else f"{limit * 100:.4g} %"


def _obstacle(evidence: Evidence) -> tuple[Verdict, str] | None:
    """Return what makes a test impossible, where something does."""
    if not evidence.old or not evidence.new:
        return Verdict.INCONCLUSIVE, "no value in " + ("the newer run" if evidence.old else "the older run")
    if evidence.change is None:
        example = f"{evidence.threshold.quantity}:{'-' if evidence.threshold.falls else ''}2.0abs"
        reason = f"the values are 0 or change their sign: use an absolute threshold, such as '{example}'"
        return Verdict.INCONCLUSIVE, reason
    if not stats.have_scipy():
        return Verdict.NOT_TESTED, stats.INSTALL_HINT
    if evidence.change.p is None:
        return Verdict.INCONCLUSIVE, f"n too small: {len(evidence.old)} and {len(evidence.new)}, {_need(evidence)}"
    return None


def _need(evidence: Evidence) -> str:
    """Return how many repeats in each run would show a change of twice the threshold with power 0.8."""
    enough = min(len(evidence.old), len(evidence.new)) + 1
    samples = (evidence.old, evidence.new)
    threshold, limit = evidence.threshold, evidence.threshold.limit
    if evidence.change is not None and evidence.change.constant:
        need = next(n for n in range(2, 100) if smallest_p(n, n) * evidence.family <= stats.ALPHA)
        return f"need {max(need, enough)}"
    if not threshold.absolute:
        samples = tuple(tuple(math.log(abs(value)) for value in values) for values in samples)  # type: ignore[assignment]
        limit = math.log1p(limit)
    spread = pooled_sd(samples)
    unit = " sessions" if max(evidence.sessions) > 1 else ""
    if spread is None:
        return f"need 3{unit} or more"
    rule = Rule(limit=limit, family=evidence.family, near_end=threshold.near_end)
    repeats = repeats_needed(upper_sd(*spread), rule)
    if repeats is None:
        return "more than 10 000 repeats are needed"
    return f"need {max(repeats, enough)}{unit} to show {_text(threshold, 2)}"
