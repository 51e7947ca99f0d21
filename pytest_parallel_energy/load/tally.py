"""What is known about a background load, as a value: from its guard's figures to the fields of a record."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..processes.outcome import GuardStatus
from .request import LoadSettings

__all__ = ["NO_FIGURES", "LoadReport", "figures", "since"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What became of one load: the fields of a record's ``background`` part that the load itself knows."""

    name: str
    command: tuple[str, ...]
    script: str | None = None
    log_dir: str | None = None
    rounds_completed: int | None = 0
    """``None`` when its guard was killed: nobody knows."""
    rounds_failed: int | None = 0
    exit_codes: tuple[int, ...] = ()
    """Of the first 1000 rounds, as a shell tells them (128 + number of the signal that ended it)."""
    round_spans_s: tuple[tuple[float, float], ...] = ()
    """Begin and end of the first 500 rounds, seconds since the window opened; empty before it did."""
    uptime_s: float | None = None
    """During which a round ran."""
    coverage_ratio: float | None = None
    gap_s: float | None = None
    """Longest time between two rounds; ``None`` before the second."""
    round_mean_s: float | None = None
    """Of the rounds that ended; ``None`` before the first did."""
    round_min_s: float | None = None
    round_max_s: float | None = None
    stalled_s: float | None = None
    """During which all its processes were stopped by somebody else; not covered."""
    cpu_s: float | None = None
    memory_bytes: int | None = None
    """Most resident memory seen; ``None`` before the first look (1 s)."""
    devices: str | None = None
    gpu_memory_fraction: float | None = None
    gpu_memory_bytes: int | None = None
    """Most GPU memory that it really held; ``None`` without an NVIDIA GPU."""
    gpu_percent: float | None = None
    """Mean GPU utilisation of its processes; ``None`` where the driver tells none."""
    batch_sizes: tuple[int, ...] = ()
    """Where the batch was fitted to the memory: all its sizes, in order, each change once."""
    level: str | None = None
    """What was held: ``intensity`` (a share) or ``target_gpu_utilisation`` (percent); ``None`` for neither."""
    level_asked: float | None = None
    level_reached: float | None = None
    level_u95: float | None = None
    """Half-width of the 95 % interval of what was reached, from its readings; ``None`` for an intensity (a clock)."""
    ready_s: float | None = None
    stop: str | None = None
    """``graceful`` or ``forced``; ``lost`` when somebody killed its guard."""
    container: str | None = None
    flags: tuple[str, ...] = ()


NO_FIGURES: dict[str, Any] = {"rounds_completed": None, "rounds_failed": None}
"""Of a load that was started and whose guard cannot tell any more."""


def since(before: GuardStatus, now: GuardStatus) -> GuardStatus:
    """The figures of the time since ``before``; longest, shortest and most are those of the load's whole life."""
    return replace(
        now,
        completed=now.completed - before.completed,
        failed=now.failed - before.failed,
        exit_codes=now.exit_codes[len(before.exit_codes) :],
        ran_s=now.ran_s - before.ran_s,
        ended_s=now.ended_s - before.ended_s,
        stalled_s=now.stalled_s - before.stalled_s,
        cpu_s=now.cpu_s - before.cpu_s,
    )


def figures(status: GuardStatus, settings: LoadSettings) -> dict[str, Any]:
    """The report's fields that a status tells."""
    ended = status.completed + status.failed
    return {
        "rounds_completed": status.completed,
        "rounds_failed": status.failed,
        "exit_codes": status.exit_codes,
        "uptime_s": status.ran_s,
        "gap_s": status.gap_s,
        "round_mean_s": status.ended_s / ended if ended else None,
        "round_min_s": status.shortest_s,
        "round_max_s": status.longest_s,
        "stalled_s": status.stalled_s,
        "cpu_s": status.cpu_s,
        "memory_bytes": status.memory_bytes,
        "devices": settings.devices,
        "gpu_memory_fraction": settings.gpu_memory_fraction,
        "gpu_memory_bytes": status.gpu_memory_bytes,
        "gpu_percent": status.gpu_percent,
        "batch_sizes": status.batch_sizes,
        **_level(status, settings),
    }


def _level(status: GuardStatus, settings: LoadSettings) -> dict[str, Any]:
    if settings.target_gpu_utilisation is not None:
        return {
            "level": "target_gpu_utilisation",
            "level_asked": settings.target_gpu_utilisation,
            "level_reached": status.gpu_percent,
            "level_u95": status.gpu_u95_percent,
        }
    if settings.intensity < 1:
        return {"level": "intensity", "level_asked": settings.intensity, "level_reached": status.share_ran}
    return {}
