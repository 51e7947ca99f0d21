"""From two marks to a result: per domain the joules, the interval and the reason where there is none; then the sums."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..units import NS_PER_S, format_seconds
from .boundary import boundary_words, counted
from .result import DomainEnergy, Quality, TracePoint, WindowResult
from .sensor import SensorDescription
from .track import Account
from .uncertainty import ASSUMED_UPDATE_S, Power, WindowEnds, budget, combine_u95

__all__ = ["Span", "assemble"]

_STILL_UPDATES = 20
"""A counter that is the same after this many updates never moves: it is no sensor (KVM guests read such RAPL zones)."""
_FEW_UPDATES = 100
"""A window of fewer updates is off by more than 1 % unless it closes on counter edges (error ≤ U/T)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What a window saw: its ends, and each sensor's account at both."""

    name: str
    opened_ns: int
    closed_ns: int
    read_s: float
    """Seconds that reading all sensors took at both ends together: the ends are blurred by it."""
    sensors: tuple[SensorDescription, ...]
    opened: tuple[Account, ...]
    closed: tuple[Account, ...]
    trace: tuple[TracePoint, ...] = ()
    windows: tuple[WindowResult, ...] = ()
    flags: tuple[str, ...] = ()
    sampler_cpu_s: float | None = None
    max_gap_s: float | None = None

    @property
    def window_s(self) -> float:
        """Length of the window."""
        return (self.closed_ns - self.opened_ns) / NS_PER_S


def assemble(span: Span) -> WindowResult:
    """The result of a window. Sums over a missing part are missing."""
    inside = counted(span.sensors)
    domains = tuple(_domain(span, column, counts=inside[column]) for column in range(len(span.sensors)))
    total = [domain for domain in domains if domain.counted]
    total_j = _sum(total)
    return WindowResult(
        name=span.name,
        window_s=span.window_s,
        total_j=total_j,
        total_u95_j=None if total_j is None else _total_u95(span.sensors, domains),
        quality=max((domain.quality for domain in total), key=Quality.rank, default=Quality.MISSING),
        boundary=boundary_words(span.sensors),
        cpu_j=_sum(domain for domain in domains if domain.kind == "cpu"),
        gpu_j=_sum(domain for domain in domains if domain.kind in {"gpu", "module"}),
        dram_j=_sum(domain for domain in domains if domain.kind == "dram"),
        mean_w=None if total_j is None or span.window_s <= 0 else total_j / span.window_s,
        peak_w=_peak_w(span.trace, [column for column, counts in enumerate(inside) if counts]),
        domains=domains,
        windows=span.windows,
        trace=span.trace,
        flags=_flags(span, domains),
        sampler_cpu_s=span.sampler_cpu_s,
        max_gap_s=span.max_gap_s,
    )


def _domain(span: Span, column: int, *, counts: bool) -> DomainEnergy:
    about, opened, closed = span.sensors[column], span.opened[column], span.closed[column]
    reason = _why_missing(about, opened, closed, span.window_s)
    joules = u95_j = mean_w = None
    if reason is None:
        joules = _joules(about, opened, closed)
        mean_w = joules / span.window_s if span.window_s > 0 else None
        ends = WindowEnds(window_s=span.window_s, blur_s=_update_s(about) + span.read_s)
        u95_j = budget(about, ends, _power(joules, opened, closed, span.window_s)).u95_j
    return DomainEnergy(
        name=about.name,
        kind=about.kind,
        device=about.device,
        joules=joules,
        u95_j=u95_j,
        quality=about.quality if reason is None else Quality.MISSING,
        source=about.source,
        counted=counts,
        mean_w=mean_w,
        peak_w=None if reason else _peak_w(span.trace, [column]),
        update_interval_s=about.update_interval_s,
        samples=closed.samples - opened.samples,
        resets=closed.resets - opened.resets,
        wraps=closed.wraps - opened.wraps,
        reason=reason,
    )


def _why_missing(about: SensorDescription, opened: Account, closed: Account, window_s: float) -> str | None:
    if opened.problem is not None:
        return f"no reading when the window opened: {opened.problem}"
    if closed.faults != opened.faults:
        return closed.last_fault
    if closed.problem is not None:
        return f"no reading when the window closed: {closed.problem}"
    if about.joules_per_count is None:
        return None if closed.power_samples > opened.power_samples else "no power reading inside the window"
    patience_s = max(_STILL_UPDATES * _update_s(about), about.quantum_j / 0.1)
    if closed.counts == opened.counts and window_s > patience_s:
        return f"the counter did not move in {format_seconds(window_s)}"
    return None


def _joules(about: SensorDescription, opened: Account, closed: Account) -> float:
    if about.joules_per_count is None:
        return closed.integral_j - opened.integral_j
    return (closed.counts - opened.counts) * about.joules_per_count


def _update_s(about: SensorDescription) -> float:
    return ASSUMED_UPDATE_S if about.update_interval_s is None else about.update_interval_s


def _power(joules: float, opened: Account, closed: Account, window_s: float) -> Power:
    samples = closed.power_samples - opened.power_samples
    sigma_w = 0.0
    if samples > 1:
        mean_w = (closed.power_sum_w - opened.power_sum_w) / samples
        squares_w2 = (closed.power_squares_w2 - opened.power_squares_w2) / samples
        sigma_w = math.sqrt(max(squares_w2 - mean_w**2, 0.0))
    return Power(mean_w=joules / window_s if window_s > 0 else 0.0, sigma_w=sigma_w, samples=samples)


def _sum(domains: Iterable[DomainEnergy]) -> float | None:
    """Joules of all, ``None`` when one is unknown or there is none."""
    joules = [domain.joules for domain in domains]
    known = [value for value in joules if value is not None]
    return sum(known) if joules and len(known) == len(joules) else None


def _total_u95(sensors: Sequence[SensorDescription], domains: Sequence[DomainEnergy]) -> float:
    return combine_u95(
        (about.gain_group, domain.u95_j)
        for about, domain in zip(sensors, domains, strict=True)
        if domain.counted and domain.u95_j is not None
    )


def _peak_w(trace: Sequence[TracePoint], columns: Sequence[int]) -> float | None:
    """The highest sum over some columns; a row with an unknown part says nothing."""
    peaks = []
    for point in trace:
        row = [point.watts[column] for column in columns]
        known = [value for value in row if value is not None]
        if row and len(known) == len(row):
            peaks.append(sum(known))
    return max(peaks, default=None)


def _flags(span: Span, domains: Sequence[DomainEnergy]) -> tuple[str, ...]:
    flags = [*span.flags, *(note for about in span.sensors for note in about.notes)]
    for about, opened, closed, domain in zip(span.sensors, span.opened, span.closed, domains, strict=True):
        if domain.reason is not None:
            flags.append(f"{about.name} ({about.source}) is missing: {domain.reason}")
            continue
        flags.extend(_domain_flags(about, opened, closed, span.window_s))
    return tuple(dict.fromkeys(flags))


def _domain_flags(about: SensorDescription, opened: Account, closed: Account, window_s: float) -> Iterable[str]:
    errors = closed.errors - opened.errors
    if errors:
        tries = errors + closed.samples - opened.samples
        yield f"{errors} of {tries} readings of {about.name} failed: {closed.last_error}"
    bridged_s = closed.bridged_s - opened.bridged_s
    if bridged_s > 0 and about.joules_per_count is None:
        whole = format_seconds(window_s)
        yield f"{about.name}: {format_seconds(bridged_s)} of {whole} had no power reading and are bridged"
    update_s = _update_s(about)
    if window_s < _FEW_UPDATES * update_s:
        percent = min(100.0, 100 * update_s / window_s) if window_s > 0 else 100.0
        yield (
            f"{about.name}: a window of {format_seconds(window_s)} is short for an update interval of "
            f"{format_seconds(update_s)}: up to {percent:.2g} % off"
        )
