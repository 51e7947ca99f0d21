"""The memory that a load holds, and the memory that its next round could take."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

from .procfs import memory_bytes, proportional_bytes

__all__ = ["HeldMemory", "free_ram_bytes"]

_COST_RATIO = 0.01
"""Largest share of the time that reading the memory of processes may take."""


class HeldMemory:
    """The memory of a load's processes, in which pages that several of them share count once."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def read_bytes(self, pids: list[int]) -> int | None:
        """Return the memory of some processes; ``None`` where reading it so soon would cost too much time."""
        if len(pids) == 1:
            return memory_bytes(pids[0])  # what others share with it is small: libraries
        began_s = time.monotonic()
        if began_s < self._next_s:
            return None
        held = sum(map(proportional_bytes, pids))
        ended_s = time.monotonic()
        self._next_s = ended_s + (ended_s - began_s) / _COST_RATIO
        return held


def free_ram_bytes(
    meminfo: Path = Path("/proc/meminfo"),
    membership: Path = Path("/proc/self/cgroup"),
    cgroups: Path = Path("/sys/fs/cgroup"),
) -> int | None:
    """Return the memory that is free without swapping (proc(5), ``MemAvailable``), within the limits of the cgroups.

    ``None`` when it cannot be read.
    """
    try:
        found = re.search(r"^MemAvailable:\s*(\d+) kB", meminfo.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return None
    if found is None:
        return None
    return min([int(found[1]) * 1024, *_free_of_cgroups(membership, cgroups)])


def _free_of_cgroups(membership: Path, cgroups: Path) -> Iterator[int]:
    """Yield what each limited cgroup above this process has left; pages of files that it may drop count as free.

    Sources: Documentation/admin-guide/cgroup-v2.rst (memory.max, memory.current, memory.stat) and cgroup-v1/memory.rst.
    """
    try:
        lines = membership.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        names = ("memory.max", "memory.current", "inactive_file")
        mount = cgroups
        if controllers == "memory":
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            mount = cgroups / "memory"
        elif controllers:
            continue
        folder = mount / path.lstrip("/")
        for place in (folder, *folder.parents):
            if place != mount and mount not in place.parents:
                break
            free = _free_of_cgroup(place, *names)
            if free is not None:
                yield free


def _free_of_cgroup(folder: Path, limit_name: str, used_name: str, cache_name: str) -> int | None:
    try:
        limit, used = ((folder / name).read_text(encoding="ascii") for name in (limit_name, used_name))
        if not limit.strip().isdigit():  # "max"
            return None
        stat = (folder / "memory.stat").read_text(encoding="ascii")
    except OSError:  # outside of the container, or the root, which has no limit
        return None
    cache = re.search(rf"^{cache_name} (\d+)", stat, re.MULTILINE)
    return max(0, int(limit) - int(used) + (int(cache[1]) if cache else 0))
