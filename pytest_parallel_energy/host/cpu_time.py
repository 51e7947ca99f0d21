"""CPU seconds of process trees, children that have exited included; and of the whole machine.

Source: proc(5), ``/proc/pid/stat``: utime and stime of the process, cutime and cstime of its children that were waited
for. Fields are counted behind the last ``)``, because a program's name may hold anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .cpu_info import BUSY_FIELDS, TICK_S

__all__ = ["ProcessTimes", "descends", "machine_busy_s", "process_times", "tree_cpu_s"]

_PARENT, _TIMES = 1, slice(11, 15)
"""Behind the name: state, parent, …; utime, stime, cutime, cstime are fields 14 to 17 of proc(5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessTimes:
    """One process: its parent, and the CPU time of itself and of its reaped children."""

    parent: int
    cpu_s: float


def process_times(proc_root: Path = Path("/proc")) -> dict[int, ProcessTimes]:
    """Every process that can be seen; one that ends while it is looked at is left out."""
    table = {}
    for entry in os.scandir(proc_root):
        if entry.name.isdecimal():
            times = _times_of(Path(entry.path) / "stat")
            if times is not None:
                table[int(entry.name)] = times
    return table


def tree_cpu_s(roots: Iterable[int], table: Mapping[int, ProcessTimes]) -> float:
    """CPU seconds of the roots and all that descends from them, each process once."""
    children: dict[int, list[int]] = {}
    for pid, times in table.items():
        children.setdefault(times.parent, []).append(pid)
    waiting, seen, total_s = list(roots), set[int](), 0.0
    while waiting:
        pid = waiting.pop()
        if pid in table and pid not in seen:
            seen.add(pid)
            total_s += table[pid].cpu_s
            waiting.extend(children.get(pid, ()))
    return total_s


def descends(pid: int, ancestor: int, table: Mapping[int, ProcessTimes]) -> bool:
    """Whether a process is another, or descends from it."""
    seen = set[int]()
    while pid in table and pid not in seen:
        if pid == ancestor:
            return True
        seen.add(pid)
        pid = table[pid].parent
    return pid == ancestor


def machine_busy_s(proc_root: Path = Path("/proc")) -> float:
    """CPU seconds of the whole machine since it started, idle, iowait and steal left out."""
    line = (proc_root / "stat").read_text(encoding="ascii").partition("\n")[0].split()
    return sum(int(line[field]) for field in BUSY_FIELDS) * TICK_S


def _times_of(stat: Path) -> ProcessTimes | None:
    try:
        fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    if len(fields) < _TIMES.stop:
        return None
    return ProcessTimes(parent=int(fields[_PARENT]), cpu_s=sum(int(ticks) for ticks in fields[_TIMES]) * TICK_S)
