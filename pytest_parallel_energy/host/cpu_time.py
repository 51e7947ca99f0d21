"""The CPU time of the machine, the ancestry of processes, and whether a driver's pids are those of this process."""

from __future__ import annotations

import os
from pathlib import Path

from .cpu_info import BUSY_FIELDS, TICK_S

__all__ = ["BUSY_HOST_RATIO", "descends", "machine_busy_s", "pid_is_meant"]

_INITIAL_NAMESPACE = "pid:[4026531836]"
BUSY_HOST_RATIO = 0.05
"""A host is busy when its programs use more than this share of the CPU time. A convention: above it, the energy of
other programs is no longer small against the gain error of a RAPL counter (4 %, docs/accuracy.md)."""


def descends(pid: int, ancestor: int) -> bool:
    """Return whether a process is ``ancestor`` or one of its descendants; false for a process that has ended."""
    if pid == ancestor:
        return True
    import psutil

    try:
        return any(parent.pid == ancestor for parent in psutil.Process(pid).parents())
    except psutil.Error:
        return False


def pid_is_meant(pid: int, proc_root: Path = Path("/proc")) -> bool:
    """Return whether a pid that the NVIDIA driver reports is the process that has this pid here.

    In a PID namespace (most containers) it may be a pid of the host, and the process of that number here is another one
    or does not exist (kepler; HAMi-core issue 112; pynvml issue 36). There only a process counts that has one of the
    driver's devices open. The number of the machine's own namespace is fixed: ``PROC_PID_INIT_INO`` in
    ``include/linux/proc_ns.h``.
    """
    try:
        if str((proc_root / "self/ns/pid").readlink()) == _INITIAL_NAMESPACE:
            return True
        folder = proc_root / str(pid) / "fd"
        return any(str(entry.readlink()).startswith("/dev/nvidia") for entry in folder.iterdir())
    except OSError:
        return False


def machine_busy_s(proc_root: Path = Path("/proc")) -> float:
    """Return the CPU seconds that the machine has worked since it started: without idle, iowait and steal."""
    # psutil.cpu_times() returns the same sum, but its import takes 15 to 20 ms of CPU, which every process that opens
    # a meter would pay.
    fd = os.open(f"{proc_root}/stat", os.O_RDONLY)  # bare calls: twice per measured test
    try:
        line = os.read(fd, 1024).partition(b"\n")[0].split()
    finally:
        os.close(fd)
    return sum(int(line[field]) for field in BUSY_FIELDS) * TICK_S
