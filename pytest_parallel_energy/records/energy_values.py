"""The energy of a window, as the meter returns it and as records store it.

Field names are part of the public interface: they are the keys of a record's ``energy``.
A value that is unknown is ``None``, never 0.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["DomainEnergy", "Quality", "WindowResult"]


class Quality(enum.StrEnum):
    """The origin of a joule, best first; a total is as good as its worst part.

    >>> max([Quality.COUNTER, Quality.ESTIMATED], key=Quality.rank)
    <Quality.ESTIMATED: 'estimated'>
    """

    COUNTER = "counter"
    """Difference of a hardware energy counter."""
    INTEGRATED = "integrated"
    """Power readings integrated over time."""
    APPORTIONED = "apportioned"
    """A measured total split by shares."""
    ESTIMATED = "estimated"
    """A model; no reading of energy or power."""
    MISSING = "missing"
    """Wanted, not available: the value is ``None`` and a flag says why."""

    def rank(self) -> int:
        """Return 0 for the best quality, 4 for the worst."""
        return list(Quality).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainEnergy:
    """The energy of one domain (one RAPL zone, one GPU, one model) in one window.

    ``joules`` and ``u95_j`` (half-width of the 95 % interval) are ``None`` when the quality is ``missing``;
    ``reason`` then says why.
    """

    name: str
    """As its source calls it: ``package-0``, ``dram-0``, ``gpu-0``, ``psys``, ``server-estimate``."""
    kind: str
    """``cpu``, ``dram``, ``gpu``, ``gpu-memory``, ``psys``, ``module``, ``server``, ``wall``."""
    device: str | None = None
    """Socket number or GPU UUID."""
    joules: float | None = None
    u95_j: float | None = None
    low_j: float | None = None
    """Ends of the 95 % interval where it is not symmetric (an estimate is known to a factor): ``u95_j`` is then the
    longer side. ``None`` where ``joules`` ± ``u95_j`` is the interval."""
    high_j: float | None = None
    quality: Quality = Quality.MISSING
    source: str = ""
    """``powercap``, ``perf``, ``nvml``, ``estimate`` or a plug-in's name."""
    counted: bool = True
    """Whether it is part of the total: each joule once, never psys and package together."""
    excluded: bool = False
    """Whether it is left out of the total because its device is not one of the training's."""
    mean_w: float | None = None
    peak_w: float | None = None
    update_interval_s: float | None = None
    samples: int = 0
    resets: int = 0
    wraps: int = 0
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowResult:
    """The energy of one window; windows nest. Without a meter every value is unknown.

    Sums are ``None`` unless every domain that belongs to them has a value: a total never hides a missing part.
    ``total_j`` is over the counted domains of ``boundary``.
    """

    name: str = "test"
    start_s: float | None = None
    """Seconds from the opening of the outermost window to the opening of this one."""
    window_s: float | None = None
    """Length of the window, seconds; ``None`` where no window was opened."""
    total_j: float | None = None
    total_u95_j: float | None = None
    total_low_j: float | None = None
    """Ends of the 95 % interval where a part has one that is not symmetric; ``None`` where ± ``total_u95_j`` is it."""
    total_high_j: float | None = None
    quality: Quality = Quality.MISSING
    boundary: str = ""
    """Parts inside the total, in words: ``"GPU boards + CPU packages; without DRAM, board, power supply"``."""
    cpu_j: float | None = None
    gpu_j: float | None = None
    dram_j: float | None = None
    mean_w: float | None = None
    peak_w: float | None = None
    idle_j: float | None = None
    """Idle power times the window, where idle power was measured."""
    above_idle_j: float | None = None
    domains: tuple[DomainEnergy, ...] = ()
    windows: tuple[WindowResult, ...] = ()
    """The windows that were opened and closed inside this one, in order of closing."""
    flags: tuple[str, ...] = ()
    """Remarks on an inner window, which a reader of its numbers must know; those of the outermost are in ``meter``."""
    synchronised: tuple[str, ...] = ()
    """Frameworks of the test's own process (``torch``, ``jax``, ``cupy``) whose GPU work was waited for at the ends."""
    trace: str | None = None
    """Path of ``trace.csv.gz``, relative to the run's folder; ``None`` where no trace was stored."""
