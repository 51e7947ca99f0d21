"""Windows around the rounds of a loop, and windows that lie apart from those of a test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TypeVar

from .assemble import Measurement
from .ledger import Ledger, Snapshot
from .window import Window, WindowOwner

__all__ = ["ApartWindows", "each_in_window"]

_Item = TypeVar("_Item")


def each_in_window(
    window: Callable[[str], AbstractContextManager[object]], name: str, items: Iterable[_Item]
) -> Iterator[_Item]:
    """Yield each item while its window is open: ``name 1``, ``name 2`` and so on.

    The time in which ``items`` makes its next item lies between two windows. A loop that is left early closes its
    window, too.

    Args:
        window: returns a context manager that measures a part under a name.
        name: of the windows, such as ``epoch``.
        items: what the loop runs over.
    """
    for number, item in enumerate(items, 1):
        with window(f"{name} {number}"):
            yield item


class ApartWindows:
    """The windows of one meter that do not become parts of each other's and of a test's windows.

    Args:
        meter: its sensors are read.
    """

    def __init__(self, meter: WindowOwner) -> None:
        self._meter = meter
        self.open_windows: list[Window] = []
        """The windows of this group that are open, oldest first."""

    def ledger(self) -> Ledger:
        """Return the meter's account of readings."""
        return self._meter.ledger()

    def measurement(self, window: Window, ends: tuple[Snapshot, Snapshot]) -> Measurement:
        """Return the energy of a window between two snapshots."""
        return self._meter.measurement(window, ends)
