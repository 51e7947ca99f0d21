"""The energy of each counted domain in a window, with its idle part, scatter and gain: what attribution needs."""

from __future__ import annotations

import math
from typing import NamedTuple

from ..records.energy_values import DomainEnergy, WindowResult
from .meter import EnergyMeter
from .shares import Resource
from .uncertainty import K95, combine_u95

__all__ = ["GPU_KINDS", "CountedDomain", "counted_domains", "gain_u95_ratio", "scatter_u95_j"]

GPU_KINDS = frozenset({"gpu", "module"})
"""Kinds of domains whose joules follow the use of a GPU."""


class CountedDomain(NamedTuple):
    """One domain of the boundary whose energy is known."""

    domain: DomainEnergy
    resource: Resource
    scatter_u95_j: float
    """Half-width of the 95 % interval of its joules without gain and offset: ends of the window, quantum, sampling."""
    gain_group: str | None


def counted_domains(result: WindowResult, meter: EnergyMeter) -> tuple[CountedDomain, ...]:
    """Return the domains of the boundary in a window of a meter; those without energy are left out."""
    about = {each.name: each for each in meter.ledger().descriptions}
    idle, window_s = meter.idle, result.window_s or 0.0
    found = []
    for domain in result.domains:
        sensor = about.get(domain.name)
        if not domain.counted or domain.joules is None or sensor is None:
            continue
        gain_j, offset_j = K95 * sensor.gain_ratio * domain.joules, K95 * sensor.offset_w * window_s
        scatter_j = math.sqrt(max(0.0, (domain.u95_j or 0.0) ** 2 - gain_j**2 - offset_j**2))
        idle_w = sensor.idle_w if idle is None else idle.domains_w.get(domain.name)
        resource = Resource(
            total_j=domain.joules,
            idle_j=None if idle_w is None else idle_w * window_s,
            active_u95_j=math.hypot(scatter_j, 0.0 if idle is None else idle.scatter_u95_w * window_s),
            gain_u95_ratio=K95 * sensor.gain_ratio,
        )
        found.append(CountedDomain(domain, resource, scatter_j, sensor.gain_group))
    return tuple(found)


def gain_u95_ratio(result: WindowResult, meter: EnergyMeter) -> float:
    """Return the half-width of the relative error of a window's total that all windows of this meter share."""
    if not result.total_j:
        return 0.0
    parts = counted_domains(result, meter)
    gains = ((each.gain_group, each.resource.gain_u95_ratio * each.resource.total_j) for each in parts)
    return combine_u95(gains) / abs(result.total_j)


def scatter_u95_j(result: WindowResult, meter: EnergyMeter) -> float:
    """Return the half-width of a window's total without the errors that all windows of this meter share."""
    return math.hypot(*(each.scatter_u95_j for each in counted_domains(result, meter)))
