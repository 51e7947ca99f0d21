"""The division of a window's energy by who used the CPU and the GPUs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from ..records.record import IDLE_INCLUDED, Attribution, WindowResult

if TYPE_CHECKING:
    from ..energy.idle import IdleLeg
    from ..energy.meter import EnergyMeter
    from ..energy.shares import Resource, Shares
    from ..host.cpu_use import CpuUse
    from .window_watch import WindowWatch

__all__ = ["OtherPower", "by_shares", "other_power", "use_range_w", "with_use"]

_UNKNOWN = Attribution()


def by_shares(
    result: WindowResult, watch: WindowWatch | None, use: CpuUse | None, meter: EnergyMeter, *, loaded: bool
) -> Attribution:
    """Split each counted GPU by the use of its processes, and everything else by CPU time.

    A test without loads has all energy above the idle power of which nothing else is known.
    """
    from ..energy.resources import GPU_KINDS, counted_domains
    from ..energy.shares import Shares, attribute_shares, combine

    parts, resources, idle_is_known = [], set(), True
    for domain, resource, *_ in counted_domains(result, meter):
        on_gpu = domain.kind in GPU_KINDS
        shares = gpu_shares(watch, domain.name) if on_gpu else _cpu_shares(use, meter.idle)
        idle_is_known = idle_is_known and resource.idle_j is not None
        if shares is None and (loaded or resource.idle_j is None):
            return _UNKNOWN
        part = attribute_shares(resource, shares or Shares(foreground_ratio=1.0, background_ratio=0.0))
        if meter.idle is not None and meter.idle.is_busy and not on_gpu and use is not None:
            part = _widened(part, resource, use)
        parts.append(part if shares is not None else replace(part, other_j=None))
        resources.add("GPU use" if on_gpu else "CPU time")
    if not loaded and meter.idle is not None and idle_is_known:
        return combine(parts, "alone above idle")
    method = f"share of {' and '.join(sorted(resources))}"
    return combine(parts, method if idle_is_known else f"{method}{IDLE_INCLUDED}") if parts else _UNKNOWN


def _widened(part: Attribution, resource: Resource, use: CpuUse) -> Attribution:
    """Return a part whose interval also holds the share of the whole energy: the idle power held that of programs."""
    from ..energy.shares import attribute_shares

    shares = _cpu_shares(use, None)
    if shares is None or part.low_j is None or part.high_j is None:
        return part
    whole = attribute_shares(resource._replace(idle_j=None), shares)
    low_j, high_j = min(part.low_j, whole.low_j or 0.0), max(part.high_j, whole.high_j or 0.0)
    return replace(part, low_j=low_j, high_j=high_j, split_u95_j=(high_j - low_j) / 2)


def with_use(found: Attribution, result: WindowResult, watch: WindowWatch | None, use: CpuUse | None) -> Attribution:
    """Return an attribution with the CPU time and the GPU use of the window, and the part of others in them."""
    gpus = (gpu_shares(watch, domain.name) for domain in result.domains if domain.counted and domain.kind == "gpu")
    found = replace(found, other_gpu_ratio=max((each.other_ratio for each in gpus if each is not None), default=None))
    if use is None:
        return found
    return replace(
        found,
        foreground_cpu_s=use.foreground_s,
        background_cpu_s=use.background_s,
        other_cpu_s=use.other_s,
        other_cpu_ratio=use.other_ratio,
    )


def gpu_shares(watch: WindowWatch | None, name: str) -> Shares | None:
    """Return the shares of one GPU by its sensor's name; ``None`` where they are not known."""
    return None if watch is None else watch.gpu_shares(name)


class OtherPower(NamedTuple):
    """The power of other programs in a leg beyond what they used while the machine was idle; negative below it."""

    watts: float
    u95_w: float


def other_power(
    mean_w: float, use: CpuUse | None, idle: IdleLeg | None, *, foreground_is_other: bool = False
) -> OtherPower:
    """Return the power of other programs in a leg.

    Their CPU time is charged at the mean power per CPU second of the leg, which is right within a factor of two. Where
    the idle power was measured on a busy machine, it holds power of programs; only the whole power bounds theirs then.
    """
    if use is None or idle is None or idle.mean_w is None:
        return OtherPower(0.0, 0.0)
    other_s = use.other_excess_s(_usual_cores(idle))
    own_s = use.own_s
    if foreground_is_other:
        own_s, other_s = use.background_s, other_s + use.foreground_s
    all_s = own_s + max(0.0, other_s)
    if all_s <= 0:
        return OtherPower(0.0, 0.0)
    watts = max(0.0, mean_w - idle.mean_w) * other_s / all_s
    if not idle.is_busy:
        return OtherPower(watts, abs(watts))
    return OtherPower(watts, mean_w * abs(other_s) / (own_s + max(0.0, use.other_s or 0.0)))


def use_range_w(active_w: float, use: CpuUse | None) -> tuple[float, float] | None:
    """Return the lowest and the highest power of the foreground that its part of the CPU time allows."""
    from ..energy.shares import Shares, share_range

    if use is None or use.own_s <= 0:
        return None
    shares = Shares(foreground_ratio=use.foreground_s / use.own_s, background_ratio=use.background_s / use.own_s)
    low_ratio, high_ratio = share_range(shares)
    return low_ratio * active_w, high_ratio * active_w


def _cpu_shares(use: CpuUse | None, idle: IdleLeg | None) -> Shares | None:
    """Return the shares of the CPU time that the energy above idle belongs to; ``None`` where they are not known.

    What other programs use on the idle machine is part of the idle power.
    """
    from ..energy.shares import Shares

    if use is None:
        return None
    other_s = max(0.0, use.other_excess_s(_usual_cores(idle)))
    if use.other_s is None and not use.background_s:
        return None
    all_s = use.own_s + other_s
    if all_s <= 0:
        return None
    return Shares(
        foreground_ratio=use.foreground_s / all_s,
        background_ratio=use.background_s / all_s,
        u95_ratio=min(1.0, use.other_u95_s / all_s) if other_s else 0.0,
    )


def _usual_cores(idle: IdleLeg | None) -> float:
    """Return the CPU seconds per second of other programs while the idle power was measured."""
    return 0.0 if idle is None or idle.busy_ratio is None else idle.busy_ratio * (os.cpu_count() or 1)
