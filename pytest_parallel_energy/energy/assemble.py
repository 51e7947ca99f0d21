"""The step from two snapshots to a result: the domains, then the sums, in which a missing part is never hidden."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..records.energy_values import DomainEnergy, Quality, WindowResult
from ..units import NS_PER_S
from .boundary import Layout
from .column import SensorWindow
from .part_time import is_part_time
from .power_trace import TracePoint
from .uncertainty import combine_u95

__all__ = ["Measurement", "Span", "assemble"]


class Measurement(NamedTuple):
    """Everything that the meter knows about one window."""

    energy: WindowResult
    """The part that a record stores as ``energy``."""
    trace: tuple[TracePoint, ...]
    """The power over time; a record stores the path of a file in its place."""
    flags: tuple[str, ...]
    """Remarks that a reader of the numbers must know."""
    sampler_cpu_s: float | None
    """CPU seconds that the sampling itself took in the window."""
    max_gap_s: float | None
    """Longest time between two readings of the sampler."""
    settled: bool = True
    """Whether readings that are taken later cannot change the result."""


class Span(NamedTuple):
    """The readings of a window: its ends, and each sensor's view."""

    name: str
    start_s: float
    opened_ns: int
    closed_ns: int
    columns: tuple[SensorWindow, ...]
    layout: Layout
    trace: tuple[TracePoint, ...] = ()
    windows: tuple[WindowResult, ...] = ()
    inner: bool = False
    """Whether the window is part of another one: the remarks that hold for every number of a sensor are told there."""
    settled_inside: bool = True
    """Whether the results of the inner windows are final."""
    idle_w: float | None = None
    """Idle power of the boundary, where it was measured."""
    flags: tuple[str, ...] = ()
    sampler_cpu_s: float | None = None
    max_gap_s: float | None = None
    synchronised: tuple[str, ...] = ()
    """Frameworks whose queued GPU work was waited for at the ends."""

    @property
    def window_s(self) -> float:
        """Length of the window."""
        return (self.closed_ns - self.opened_ns) / NS_PER_S


def assemble(span: Span) -> Measurement:
    """Return the energy of a window and the facts about its measurement. Sums over a missing part are missing."""
    inside = span.layout.counted
    domains = tuple(_domain(span, number, counts=inside[number]) for number in range(len(span.columns)))
    total = [domain for domain in domains if domain.counted]
    total_j = _sum(total)
    idle_j = None if span.idle_w is None else span.idle_w * span.window_s
    flags = _flags(span, domains)
    ends_j = None if total_j is None else _total_ends(span.columns, domains, total_j)
    energy = WindowResult(
        name=span.name,
        start_s=span.start_s,
        window_s=span.window_s,
        total_j=total_j,
        total_u95_j=None if total_j is None else _total_u95(span.columns, domains),
        total_low_j=None if ends_j is None else ends_j[0],
        total_high_j=None if ends_j is None else ends_j[1],
        quality=max((domain.quality for domain in total), key=Quality.rank, default=Quality.MISSING),
        boundary=span.layout.boundary,
        cpu_j=_sum(domain for domain in domains if domain.kind == "cpu"),
        gpu_j=_sum(domain for domain in domains if domain.kind == "gpu" and not domain.excluded),
        dram_j=_sum(domain for domain in domains if domain.kind == "dram"),
        mean_w=None if total_j is None or span.window_s <= 0 else total_j / span.window_s,
        peak_w=_peak_w(span.trace, [number for number, counts in enumerate(inside) if counts]),
        idle_j=idle_j,
        above_idle_j=None if total_j is None or idle_j is None else total_j - idle_j,
        domains=domains,
        windows=span.windows,
        synchronised=span.synchronised,
        flags=flags if span.inner else (),
    )
    settled = span.settled_inside and all(column.settled for column in span.columns)
    return Measurement(energy, span.trace, flags, span.sampler_cpu_s, span.max_gap_s, settled)


def _domain(span: Span, number: int, *, counts: bool) -> DomainEnergy:
    column = span.columns[number]
    about, reason = column.about, column.reason
    joules = None if reason else column.joules
    ends_j = None if reason else column.interval_j
    return DomainEnergy(
        name=about.name,
        kind=about.kind,
        device=about.device,
        joules=joules,
        u95_j=None if reason else column.budget.u95_j,
        low_j=None if ends_j is None else ends_j[0],
        high_j=None if ends_j is None else ends_j[1],
        quality=about.quality if reason is None else Quality.MISSING,
        source=about.source,
        counted=counts,
        excluded=bool(span.layout.excluded) and span.layout.excluded[number],
        mean_w=None if joules is None or span.window_s <= 0 else joules / span.window_s,
        peak_w=None if reason else _peak_w(span.trace, [number]),
        update_interval_s=column.update_s,
        samples=column.closed.samples - column.opened.samples,
        resets=column.closed.resets - column.opened.resets,
        wraps=column.closed.wraps - column.opened.wraps,
        reason=reason,
    )


def _sum(domains: Iterable[DomainEnergy]) -> float | None:
    """Return the joules of all domains, ``None`` when one is unknown or there is none."""
    joules = [domain.joules for domain in domains]
    known = [value for value in joules if value is not None]
    return sum(known) if joules and len(known) == len(joules) else None


def _total_u95(columns: Sequence[SensorWindow], domains: Sequence[DomainEnergy]) -> float:
    return combine_u95(
        (column.about.gain_group, domain.u95_j)
        for column, domain in zip(columns, domains, strict=True)
        if domain.counted and domain.u95_j is not None
    )


def _total_ends(
    columns: Sequence[SensorWindow], domains: Sequence[DomainEnergy], total_j: float
) -> tuple[float, float] | None:
    """Return the ends of the total's interval where one of its parts has an asymmetric one; ``None`` elsewhere."""
    counted = [pair for pair in zip(columns, domains, strict=True) if pair[1].counted and pair[1].joules is not None]
    if all(domain.low_j is None for _, domain in counted):
        return None
    down, up = [], []
    for column, domain in counted:
        joules, u95_j = domain.joules or 0.0, domain.u95_j or 0.0
        down.append((column.about.gain_group, u95_j if domain.low_j is None else joules - domain.low_j))
        up.append((column.about.gain_group, u95_j if domain.high_j is None else domain.high_j - joules))
    return max(0.0, total_j - combine_u95(down)), total_j + combine_u95(up)


def _peak_w(trace: Sequence[TracePoint], columns: Sequence[int]) -> float | None:
    """Return the highest sum over some columns; a row with an unknown part is skipped."""
    peaks = []
    for point in trace:
        row = [point.watts[column] for column in columns]
        known = [value for value in row if value is not None]
        if row and len(known) == len(row):
            peaks.append(sum(known))
    return max(peaks, default=None)


def _flags(span: Span, domains: Sequence[DomainEnergy]) -> tuple[str, ...]:
    flags = [] if span.inner else [*span.flags, *(note for column in span.columns for note in column.about.notes)]
    part_time = [column.about.name for column in span.columns if is_part_time(column.about)]
    if part_time and not span.inner and span.sampler_cpu_s:
        flags.append(
            f"{', '.join(part_time)}: read at every update, because a part of the time is not seen; the sampler took "
            f"{span.sampler_cpu_s / span.window_s:.2%} of a core"
        )
    for column, domain in zip(span.columns, domains, strict=True):
        if domain.reason is None:
            flags.extend(column.flags())
        else:
            flags.append(f"{domain.name} ({domain.source}) is missing: {domain.reason}")
    return tuple(dict.fromkeys(flags))
