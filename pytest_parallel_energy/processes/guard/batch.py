"""The batch size of a load, fitted to the memory that is free before each round.

The size that was asked for is the ceiling: the load starts before the training under measurement, whose need is
not known yet, and must not take the memory that this one will want. Below it the size follows the memory, down and
up to the window, and only down after it: it is part of the measured condition.
"""

from __future__ import annotations

import re

__all__ = ["Batch", "ran_out_of_memory"]

_SHARE = 0.9  # of what is free; the rest is for fragments and for what grows later
_KILLED = 137  # as a shell tells SIGKILL: what the kernel does when memory runs out
_WORDS = re.compile(
    rb"out of memory|OutOfMemoryError|MemoryError|Cannot allocate memory|std::bad_alloc|CUBLAS_STATUS_ALLOC_FAILED"
    rb"|not enough memory",
    re.IGNORECASE,
)


class Batch:
    """The batch size of one load.

    Args:
        first: the size asked for, 1 or more: the ceiling.
    """

    def __init__(self, first: int) -> None:
        self.size = first
        self.sizes = [first]
        """All sizes so far, in order, each change once."""
        self._most = first
        self._frozen = False
        self._held: dict[int, int] = {}

    def fit(self, free_bytes: int | None) -> int:
        """Return the size for the next round, with ``free_bytes`` free between rounds (``None``: unknown)."""
        if free_bytes is None or not self._held:
            return self.size
        fixed, slope = self._line()
        if slope > 0:
            fits = int((_SHARE * free_bytes - fixed) // slope)
            self._set(max(1, min(self._most, fits)))
        return self.size

    def _line(self) -> tuple[float, float]:
        """Return the bytes that are held whatever the size, and the bytes for one more sample.

        From one size alone all of it counts as growing with the size: smaller sizes then look cheaper than they are,
        and the next round, which gives the second point, shows it.
        """
        (small, few), *rest = sorted(self._held.items())
        if not rest:
            return 0.0, few / small
        large, many = rest[-1]
        slope = max(0.0, (many - few) / (large - small))
        return max(0.0, few - slope * small), slope

    def learn(self, held_bytes: int) -> None:
        """Note the most memory that a round of the present size held."""
        if held_bytes > 0:
            self._held[self.size] = max(held_bytes, self._held.get(self.size, 0))

    def halve(self) -> bool:
        """Halve the size, which is the ceiling from now on, after a round out of memory; return ``False`` at 1."""
        if self.size == 1:
            return False
        self._most = max(1, self.size // 2)
        self._set(self._most)
        return True

    def freeze(self) -> None:
        """Let the size only shrink from now on: the window opened."""
        self._most, self._frozen = self.size, True

    def _set(self, size: int) -> None:
        if self._frozen:
            self._most = min(self._most, size)
        if size != self.size:
            self.size = size
            self.sizes.append(size)


def ran_out_of_memory(code: int, tail: bytes) -> bool:
    """Return whether a round's exit code and the end of its log look like memory that ran out."""
    return code == _KILLED or (code != 0 and _WORDS.search(tail) is not None)
