"""The conditions that a load is held to while it runs (its share of time, its batch size), and its figures."""

from __future__ import annotations

from typing import Any

from .batch import Batch, ran_out_of_memory
from .duty import Duty
from .pulse import PULSE_S, Pulse

__all__ = ["Conditions"]


class Conditions:
    """The conditions of one load. Times are seconds on the monotonic clock.

    Args:
        spec: ``intensity target_gpu_percent batch nvml env marks``.
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        self._pulse = Pulse(spec)
        self._target_percent: float | None = spec["target_gpu_percent"]
        # A load that uses all of the GPU whenever it runs is at its target from the first moment.
        share = spec["intensity"] if self._target_percent is None else self._target_percent / 100
        self._duty = Duty(share) if share < 1 else None
        self._batch = Batch(spec["batch"]) if spec["batch"] is not None else None
        self._beat_s = 0.0

    @property
    def paced(self) -> bool:
        """``True`` for a load that is stopped and continued."""
        return self._duty is not None

    @property
    def stalled_s(self) -> float:
        """Seconds during which all processes of the load were stopped, and not by the guard."""
        return self._pulse.stalled_s

    def begin(self, now_s: float) -> float:
        """Begin to look at the load; return when to look first."""
        self._beat_s = now_s
        return now_s + PULSE_S

    def switch(self, now_s: float) -> tuple[bool | None, float]:
        """Return whether the load must be frozen now, ``None`` for no change, and when to ask again."""
        if self._duty is None:
            return None, now_s + PULSE_S
        before = self._duty.frozen
        self._duty.begin(now_s)
        next_s = self._duty.switch(now_s)
        if self._duty.frozen == before:
            return None, next_s
        return self._duty.frozen, next_s

    def look(self, now_s: float, pids: list[int], *, ready: bool) -> float:
        """Look at the load, and steer it once it is ready; return when to look again."""
        percent = self._pulse.beat(now_s - self._beat_s, pids, paced=self.paced)
        self._beat_s = now_s
        if self._duty is not None and self._target_percent is not None and percent is not None and ready:
            self._duty.steer(percent, self._target_percent)
        return now_s + PULSE_S

    def rest(self, now_s: float) -> None:
        """Hold nothing back between two rounds."""
        if self._duty is not None:
            self._duty.pause(now_s)
            self._duty.frozen = False

    def fit_batch(self) -> str:
        """Return the batch size of the next round; empty where none is fitted."""
        return "" if self._batch is None else str(self._batch.fit(self._pulse.free_bytes()))

    def learn(self, code: int, tail: bytes) -> bool:
        """Learn from a round that ended; return ``True`` when memory ran out and the next gets half of the batch."""
        if self._batch is None:
            return False
        self._batch.learn(self._pulse.take_round_bytes())
        return ran_out_of_memory(code, tail) and self._batch.halve()

    def freeze_batch(self) -> None:
        """Let the batch only shrink from now on."""
        if self._batch is not None:
            self._batch.freeze()

    def figures(self) -> dict[str, Any]:
        """Return fields of ``GuardStatus``."""
        return {
            "batch_sizes": self._batch.sizes if self._batch is not None else [],
            "share_ran": self._duty.reached() if self._duty is not None else None,
            **self._pulse.figures(),
        }
