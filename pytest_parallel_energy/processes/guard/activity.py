"""Whether a load that runs does anything: one that hangs uses no CPU and no GPU."""

from __future__ import annotations

from collections import deque

from .procfs import read_stat

__all__ = ["Activity"]

_LOOKS = 3
"""Looks (one per second) that decide: a shorter pause, for input or output, is no hang."""
_LEAST_RATIO = 0.01
"""A load that uses less than this share of its usual CPU time hangs. One that is starved by the lowest priority (nice
19) gets 1.5 % of a CPU next to a program of normal priority (weights 15 and 1024, sched-nice-design of Linux)."""
_LEAST_CORES = 0.05
"""Nothing can be said about a load that never used more of a CPU."""
_LEAST_GPU_PERCENT = 1.0


class Activity:
    """The CPU time of a load from look to look, against its usual one."""

    def __init__(self) -> None:
        self._cpu_s: dict[tuple[int, int], float] = {}
        self._recent: deque[tuple[float, float]] = deque(maxlen=_LOOKS)
        self._active_s = 0.0
        self._active_cpu_s = 0.0
        self._hangs = False

    def look(self, passed_s: float, pids: list[int], gpu_percent: float | None) -> float:
        """Look at the processes of a load, and return the seconds for which it hung that were not returned before.

        Args:
            passed_s: since the last look.
            pids: of the load.
            gpu_percent: the GPU utilisation of its processes; ``None`` where it is not known.
        """
        cpu_s = self._used_s(pids)
        self._recent.append((passed_s, cpu_s))
        seconds, used_s = (sum(values) for values in zip(*self._recent, strict=True))
        usual = self._active_cpu_s / self._active_s if self._active_s > 0 else 0.0
        idle = usual >= _LEAST_CORES and used_s < _LEAST_RATIO * usual * seconds
        hangs = idle and len(self._recent) == _LOOKS and (gpu_percent or 0.0) < _LEAST_GPU_PERCENT
        began, self._hangs = hangs and not self._hangs, hangs
        if not hangs:
            self._active_s += passed_s
            self._active_cpu_s += cpu_s
            return 0.0
        return seconds if began else passed_s

    def _used_s(self, pids: list[int]) -> float:
        """Return the CPU seconds of processes since the last look, with those of children they waited for."""
        stats = {pid: stat for pid in pids if (stat := read_stat(pid)) is not None}
        now_s = {(pid, stat.start_ticks): stat.cpu_s for pid, stat in stats.items()}
        used_s = sum(max(0.0, cpu_s - self._cpu_s.get(key, 0.0)) for key, cpu_s in now_s.items())
        self._cpu_s = now_s
        return used_s
