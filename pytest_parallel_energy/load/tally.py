"""The fields of a load's report that come from the figures of its guard."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from ..processes.outcome import GuardStatus
from .request import LoadSettings

__all__ = ["NO_FIGURES", "figures", "since"]


NO_FIGURES: dict[str, Any] = {"rounds_completed": None, "rounds_failed": None}
"""The figures of a load whose guard was killed: unknown."""


def since(before: GuardStatus, now: GuardStatus) -> GuardStatus:
    """Return the figures of the time since ``before``; maxima and minima are those of the load's whole life."""
    return replace(
        now,
        completed=now.completed - before.completed,
        failed=now.failed - before.failed,
        exit_codes=now.exit_codes[len(before.exit_codes) :],
        ran_s=now.ran_s - before.ran_s,
        ended_s=now.ended_s - before.ended_s,
        stalled_s=now.stalled_s - before.stalled_s,
        hung_s=now.hung_s - before.hung_s,
        cpu_s=now.cpu_s - before.cpu_s,
    )


def figures(status: GuardStatus, settings: LoadSettings) -> dict[str, Any]:
    """Return the fields of a report that a status contains."""
    ended = status.completed + status.failed
    return {
        "rounds_completed": status.completed,
        "rounds_failed": status.failed,
        "exit_codes": status.exit_codes,
        "uptime_s": status.ran_s,
        "busy_s": status.busy_s,
        "matched_s": status.matched_s,
        "gap_s": status.gap_s,
        "round_mean_s": status.ended_s / ended if ended else None,
        "round_min_s": status.shortest_s,
        "round_max_s": status.longest_s,
        "stalled_s": status.stalled_s,
        "hung_s": status.hung_s,
        "cpu_s": status.cpu_s,
        "memory_bytes": status.memory_bytes,
        "devices": settings.devices,
        "gpu_memory_fraction": settings.gpu_memory_fraction,
        "gpu_memory_bytes": status.gpu_memory_bytes,
        "gpu_percent": status.gpu_percent,
        "batch_sizes": status.batch_sizes,
        **_held_level(status, settings),
    }


def _held_level(status: GuardStatus, settings: LoadSettings) -> dict[str, Any]:
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
