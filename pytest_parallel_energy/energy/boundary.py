"""The domains that make up the total, each joule once, and the words for it.

psys contains package contains core and uncore; DRAM stands apart on servers (Linux powercap documentation): never psys
and package together. A whole-server estimate gives way to any measured CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..errors import ConfigError
from ..records.energy_values import Quality
from .sensor import SensorDescription

__all__ = ["Layout", "boundary_words", "counted", "layout_of"]

_BOARD_KINDS = frozenset({"gpu", "gpu-memory", "module"})


class Layout(NamedTuple):
    """The counted sensors of a meter and the words for them: the same for all its windows."""

    counted: tuple[bool, ...]
    boundary: str
    excluded: tuple[bool, ...] = ()
    """Sensors of devices that the user left out; empty where none is."""


def layout_of(sensors: Sequence[SensorDescription], devices: str | None = None) -> Layout:
    """Return the layout of some sensors.

    Args:
        sensors: their descriptions.
        devices: the GPUs that count, as ``CUDA_VISIBLE_DEVICES`` writes them in PCI order; ``None`` counts all.

    Raises:
        ConfigError: a device that none of the sensors is of, although some are of GPUs.
    """
    if devices is None:
        return Layout(counted=counted(sensors), boundary=boundary_words(sensors))
    excluded = _excluded(sensors, devices)
    kept = [about for about, is_out in zip(sensors, excluded, strict=True) if not is_out]
    inside = iter(counted(kept))
    return Layout(
        counted=tuple(not is_out and next(inside) for is_out in excluded),
        boundary=boundary_words(kept),
        excluded=excluded,
    )


def _excluded(sensors: Sequence[SensorDescription], devices: str) -> tuple[bool, ...]:
    """Return for each sensor whether it is of a GPU that is not among the devices."""
    boards = [about for about in sensors if about.kind in _BOARD_KINDS]
    chosen: set[str | None] = set()
    for name in filter(None, devices.split(",")):
        found = {about.device for about in boards if _is_named(about, name)}
        if boards and not found:
            known = ", ".join(f"{about.name} ({about.device})" for about in boards if about.kind == "gpu")
            raise ConfigError(
                f"devices={devices!r}: no sensor measures the GPU {name!r}; those measured here are {known} "
                "(CUDA_VISIBLE_DEVICES of this session hides others)"
            )
        chosen |= found
    return tuple(about.kind in _BOARD_KINDS and about.device not in chosen for about in sensors)


def _is_named(about: SensorDescription, name: str) -> bool:
    if name.isdecimal():
        return about.name.rpartition("-")[2] == name
    return any((text or "").startswith(name) for text in (about.device, *about.parts))


def counted(sensors: Sequence[SensorDescription]) -> tuple[bool, ...]:
    """Return for each sensor whether it is part of the total.

    A GPU's memory is part of its board. Parts are preferred to the whole that contains them, as long as the CPU is
    among the parts; otherwise the whole is counted and its parts are not.
    """
    boards = any(about.kind == "gpu" for about in sensors)
    chosen = [
        about for about in sensors if not (_outclassed(about, sensors) or (about.kind == "gpu-memory" and boards))
    ]
    kinds = {about.kind for about in chosen}
    wholes = [about for about in chosen if about.contains and not ("cpu" in about.contains and "cpu" in kinds)]
    # of several wholes the widest: a wall meter rather than psys
    whole = max(wholes, key=lambda about: len(about.contains), default=None)
    return tuple(about in chosen and _counts(about, whole) for about in sensors)


def _outclassed(about: SensorDescription, sensors: Sequence[SensorDescription]) -> bool:
    if about.quality is not Quality.ESTIMATED:
        return False
    return any(
        other.quality is not Quality.ESTIMATED and ("cpu" in other.contains or other.kind == "cpu") for other in sensors
    )


def _counts(about: SensorDescription, whole: SensorDescription | None) -> bool:
    if about.contains:
        # wholes side by side (two Grace-Hopper modules) each hold their own device
        return whole is not None and about.contains == whole.contains and about.kind == whole.kind
    return whole is None or about.kind not in whole.contains


def boundary_words(sensors: Sequence[SensorDescription]) -> str:
    """Return the words for the parts that the total contains and leaves out.

    >>> from ..records.energy_values import Quality
    >>> boundary_words([SensorDescription(
    ...     name="package-0", kind="cpu", source="powercap", quality=Quality.COUNTER, covers="CPU packages")])
    'CPU packages; without DRAM, board, power supply'
    >>> boundary_words([])
    'nothing'
    """
    inside = [about for about, counts in zip(sensors, counted(sensors), strict=True) if counts]
    if not inside:
        return "nothing"
    words = " + ".join(dict.fromkeys(about.covers for about in inside))
    held = {about.kind for about in inside}.union(*(about.contains for about in inside))
    if held & {"wall", "server"}:
        return words
    outside = [] if "dram" in held else ["DRAM"]
    if "cpu" not in held:
        outside.insert(0, "CPU packages")
    return f"{words}; without {', '.join([*outside, 'board', 'power supply'])}"
