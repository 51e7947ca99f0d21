"""The order in which cells run: declared, random or blocked, from a seed and equal in every process."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

__all__ = ["ORDERS", "Order", "Slot", "arrange"]

Order = Literal["declared", "random", "blocked"]
ORDERS: tuple[Order, ...] = ("declared", "random", "blocked")


class Slot(Struct, frozen=True, kw_only=True):
    """One planned repetition.

    Args:
        cell: the cell that it repeats: the test's id without the repetition.
        repetition: counts from 0; warm-ups are counted apart.
        warmup: true for a warm-up.
    """

    cell: str
    repetition: int = 0
    warmup: bool = False


def arrange(slots: Sequence[Slot], order: Order, seed: int) -> list[int]:
    """Return the indices into ``slots`` in the order in which they run.

    ``random`` shuffles all measured repetitions. ``blocked`` runs the first repetition of every cell, shuffled, then
    the second of every cell, shuffled anew, and so on: a drift over hours affects all cells alike. Warm-ups stay
    directly before the first measured repetition of their cell.

    The position of a slot is a hash of seed and name, not a draw from a generator: leaving cells out (a resumed run,
    ``-k``) does not move the others.

    >>> arrange([Slot(cell="a"), Slot(cell="a", repetition=1), Slot(cell="b")], "declared", 0)
    [0, 1, 2]
    """
    if order == "declared":
        return list(range(len(slots)))
    measured = [index for index, slot in enumerate(slots) if not slot.warmup]
    warmups: dict[str, list[int]] = {}
    for index, slot in enumerate(slots):
        if slot.warmup:
            warmups.setdefault(slot.cell, []).append(index)

    def place(index: int) -> tuple[int, bytes, int]:
        slot = slots[index]
        block = slot.repetition if order == "blocked" else 0
        name = f"{seed}\0{slot.repetition}\0{slot.cell}".encode("utf-8", "surrogatepass")
        return block, hashlib.sha256(name).digest(), index

    arranged: list[int] = []
    for index in sorted(measured, key=place):
        arranged += [*warmups.pop(slots[index].cell, []), index]
    return arranged + [index for left in warmups.values() for index in left]
