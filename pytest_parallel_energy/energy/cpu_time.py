"""CPU seconds of process trees, children that have exited included; and of the whole machine.

Source: proc(5), ``/proc/pid/stat``: utime and stime of the process, cutime and cstime of its children that were waited
for. Fields are counted behind the last ``)``, because a program's name may hold anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CpuShares", "ProcessTimes", "machine_busy_s", "process_times", "tree_cpu_s"]

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PARENT, _TIMES = 1, slice(11, 15)
"""Behind the name: state, parent, …; utime, stime, cutime, cstime are fields 14 to 17 of proc(5)."""
_BUSY_FIELDS = (1, 2, 3, 6, 7)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessTimes:
    """One process: its parent, and the CPU time of itself and of its reaped children."""

    parent: int
    cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuShares:
    """CPU seconds of the machine, and of some trees, at one moment; the difference of two is a window."""

    busy_s: float
    trees_s: Mapping[str, float]

    @classmethod
    def now(cls, trees: Mapping[str, Iterable[int]], *, proc_root: Path = Path("/proc")) -> CpuShares:
        """Read the machine's time and that of each named set of root processes.

        Raises:
            OSError: ``/proc/stat`` cannot be read.
        """
        table = process_times(proc_root)
        return cls(
            busy_s=machine_busy_s(proc_root),
            trees_s={name: tree_cpu_s(roots, table) for name, roots in trees.items()},
        )

    def ratio_since(self, before: CpuShares, name: str) -> float | None:
        """A tree's share of the machine's busy time since another moment, 0 to 1; ``None`` when nothing was busy."""
        busy_s = self.busy_s - before.busy_s
        if busy_s <= 0:
            return None
        used_s = self.trees_s.get(name, 0.0) - before.trees_s.get(name, 0.0)
        return min(1.0, max(0.0, used_s / busy_s))


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


def machine_busy_s(proc_root: Path = Path("/proc")) -> float:
    """CPU seconds of the whole machine since it started, idle, iowait and steal left out."""
    line = (proc_root / "stat").read_text(encoding="ascii").partition("\n")[0].split()
    return sum(int(line[field]) for field in _BUSY_FIELDS) * _TICK_S


def _times_of(stat: Path) -> ProcessTimes | None:
    try:
        fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    if len(fields) < _TIMES.stop:
        return None
    return ProcessTimes(parent=int(fields[_PARENT]), cpu_s=sum(int(ticks) for ticks in fields[_TIMES]) * _TICK_S)
