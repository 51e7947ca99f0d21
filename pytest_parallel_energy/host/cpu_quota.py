"""The part of the machine's processors that this process may use."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["usable_threads"]


def usable_threads(proc_root: Path = Path("/proc"), cgroup_root: Path = Path("/sys/fs/cgroup")) -> float:
    """Return the hardware threads that this process may use at a time: CPU affinity, and quotas of its cgroups.

    A quota is ``cpu.max`` (version 2: two numbers, or ``max``) or ``cpu.cfs_quota_us`` over ``cpu.cfs_period_us``
    (version 1: -1 for none), of the cgroup of the process or of one above it (Linux
    Documentation/admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst).
    """
    return min([float(len(os.sched_getaffinity(0))), *_quotas(proc_root, cgroup_root)])


def _quotas(proc_root: Path, cgroup_root: Path) -> list[float]:
    try:
        lines = (proc_root / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    quotas = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = cgroup_root / controllers if controllers else cgroup_root
        # inside a container its own cgroup is mounted as the root, and the path is that of the host
        folder = top / path.strip("/")
        while folder != top:
            quotas += _quota(folder)
            folder = folder.parent
        quotas += _quota(top)
    return quotas


def _quota(folder: Path) -> list[float]:
    """Return the quota of one cgroup in threads, in a list; an empty one where it has none."""
    for name, period_name in (("cpu.max", None), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            words = (folder / name).read_text(encoding="ascii").split()
            if period_name is not None:
                words += (folder / period_name).read_text(encoding="ascii").split()
            quota, period = float(words[0]), float(words[1])
        except (OSError, ValueError, IndexError):  # "max" is not a number: no quota
            continue
        if quota > 0 and period > 0:
            return [quota / period]
    return []
