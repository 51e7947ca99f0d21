"""The times at which a child printed: one entry per piece of output, of bounded number and precision."""

from __future__ import annotations

import contextlib
import os
from array import array

__all__ = ["OutputTimes"]

_MOST_ENTRIES = 1 << 17
_FIRST_GAP_S = 0.001


class OutputTimes:
    """The times of a child's output, in memory until its end: the disk is left alone while the child is measured.

    Pieces that arrive within a millisecond share an entry, with the time of the last one. When the entries
    are full, every second one is dropped and that time doubles.
    """

    def __init__(self) -> None:
        self._ends_bytes = array("q")
        self._at_s = array("d")
        self._gap_s = _FIRST_GAP_S
        self._first_s = 0.0  # when the first piece of the last entry arrived

    def note(self, total_bytes: int, now_s: float) -> None:
        """Note that the child has printed ``total_bytes`` since its start, the last of them now."""
        if self._at_s and now_s - self._first_s < self._gap_s:
            self._ends_bytes[-1], self._at_s[-1] = total_bytes, now_s
            return
        self._first_s = now_s
        self._ends_bytes.append(total_bytes)
        self._at_s.append(now_s)
        if len(self._at_s) > _MOST_ENTRIES:
            # of each two the later one, which holds the bytes of both; the number is odd, so that the last one stays
            self._ends_bytes, self._at_s = self._ends_bytes[::2], self._at_s[::2]
            self._gap_s *= 2

    def write(self, path: str) -> None:
        """Write one line per entry: bytes up to its end, and seconds on the monotonic clock. A full disk takes none."""
        lines = (f"{end} {at_s:.6f}\n" for end, at_s in zip(self._ends_bytes, self._at_s, strict=True))
        with contextlib.suppress(OSError), open(path, "wb") as file:  # noqa: PTH123 - pathlib would be one more import
            file.write("".join(lines).encode())
            os.fsync(file.fileno())
