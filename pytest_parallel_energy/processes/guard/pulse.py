"""A look at the load once per second: whether a signal stopped it, and its memory and GPU utilisation."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from .activity import Activity
from .duty import LevelTally
from .gpu import Gpus, open_gpus
from .memory import HeldMemory, free_ram_bytes
from .procfs import read_stat

__all__ = ["PULSE_S", "Pulse"]

PULSE_S = 1.0
_DRIVER = Path("/proc/driver/nvidia/version")


class Pulse:
    """The figures of a load that are seen from outside.

    Args:
        spec: ``nvml``: NVIDIA's library, empty to look only where a driver is loaded; ``env`` of the load; ``marks``:
            of a command that is not a loop script only the time for which it was stopped is kept.
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        self._spec = spec
        self.round_bytes = 0
        """Most memory held in the present round: of the GPUs where there are some, else of the machine's."""
        self._stalled_s = 0.0
        self._hung_s = 0.0
        self._activity = Activity()
        self._was_stopped = False
        self._memory_bytes = 0
        self._held = HeldMemory()
        self._gpu_bytes: int | None = None
        self._gpu = LevelTally()

    @functools.cached_property
    def gpus(self) -> Gpus | None:
        """The GPUs that the load may see, opened when they are first asked for; ``None`` without any."""
        visible = self._spec["env"].get("CUDA_VISIBLE_DEVICES")
        if self._spec["nvml"]:
            return open_gpus(visible, self._spec["nvml"])
        return open_gpus(visible) if _DRIVER.exists() else None

    def beat(self, passed_s: float, pids: list[int], *, paced: bool) -> float | None:
        """Look at the load, and return its GPU utilisation in percent; ``None`` when there is no reading.

        Args:
            passed_s: since the last look.
            pids: of the load.
            paced: whether the guard itself stops and continues it: then the stop of another process does not last.
        """
        stopped = not paced and _are_stopped(pids)
        # The stop began or ended somewhere between two looks: half of the time is right on average.
        self._stalled_s += passed_s * (stopped + self._was_stopped) / 2
        self._was_stopped = stopped
        if not self._spec["marks"]:
            return None
        percent = self._measure(pids)
        if not stopped:
            self._hung_s += self._activity.look(passed_s, pids, percent)
        return percent

    def _measure(self, pids: list[int]) -> float | None:
        held = self._held.read_bytes(pids) or 0
        self._memory_bytes = max(self._memory_bytes, held)
        if self.gpus is None:
            self.round_bytes = max(self.round_bytes, held)
            return None
        use = self.gpus.use(set(pids))
        self._gpu_bytes = max(self._gpu_bytes or 0, use.memory_bytes)
        self.round_bytes = max(self.round_bytes, use.memory_bytes)
        if use.percent is not None:
            self._gpu.add(use.percent)
        return use.percent

    def free_bytes(self) -> int | None:
        """Return the memory that the next round could take: of the GPUs where there are some, else of the machine."""
        return free_ram_bytes() if self.gpus is None else self.gpus.free_bytes()

    def take_round_bytes(self) -> int:
        """Return the most memory held in the round that ended, and count anew."""
        held, self.round_bytes = self.round_bytes, 0
        return held

    @property
    def stalled_s(self) -> float:
        """Seconds during which all its processes were stopped, and not by the guard."""
        return self._stalled_s

    def figures(self) -> dict[str, Any]:
        """Return fields of ``GuardStatus``."""
        return {
            "stalled_s": self._stalled_s,
            "hung_s": self._hung_s,
            "memory_bytes": self._memory_bytes or None,
            "gpu_memory_bytes": self._gpu_bytes,
            "gpu_percent": self._gpu.mean(),
            "gpu_u95_percent": self._gpu.u95(),
        }


def _are_stopped(pids: list[int]) -> bool:
    """Return whether there are living processes, and a signal or a debugger stops all of them."""
    states = [stat.state for stat in map(read_stat, pids) if stat is not None and stat.state not in "ZX"]
    return bool(states) and all(state in "Tt" for state in states)
