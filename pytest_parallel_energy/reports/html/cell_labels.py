"""Short names of cells: what tells them apart."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from ...records.record import Record
from ...statistics.grouping import Cell

__all__ = ["CellNames", "cell_labels", "shared_label"]

_PARAMETER = re.compile(r"-(?=[A-Za-z_][\w.]*=)")
"""The border between two parameters in a test's id; the minus in ``1e-05`` is none."""


class CellNames:
    """The labels of cells, found by record and by hash.

    Args:
        cells: those on the page.
        labels: one per cell.
    """

    def __init__(self, cells: Sequence[Cell], labels: Sequence[str]) -> None:
        named = list(zip(cells, labels, strict=True))
        self._by_record = {record.record_id: (label, cell.key) for cell, label in named for record in cell.records}
        counts = Counter(cell.cell for cell in cells)
        self._by_hash = {cell.cell: label for cell, label in named if counts[cell.cell] == 1}

    def of(self, record: Record) -> tuple[str, str]:
        """Return the label and the key of a record's cell.

        Raises:
            KeyError: its cell is not on the page.
        """
        return self._by_record[record.record_id]

    def __contains__(self, record: Record) -> bool:
        return record.record_id in self._by_record

    def of_hash(self, cell: str) -> str | None:
        """Return the label of the only cell of this hash; ``None`` where there is none, or more than one."""
        return self._by_hash.get(cell)


def cell_labels(cells: Sequence[Cell]) -> list[str]:
    """Return one name per cell, unique: what differs among the cells, and the whole name where nothing does.

    Cells that share a name have their hash behind it.
    """
    parts = [_parts(cell.name) for cell in cells]
    shared = set(parts[0]).intersection(*parts[1:]) if len(parts) > 1 else set()
    one_file = len({part[0] for part in parts}) == 1
    names = []
    for cell, (file, test, *parameters) in zip(cells, parts, strict=True):
        differing = [part for part in (test, *parameters) if part not in shared] if len(cells) > 1 else []
        kept = differing or parameters or [test]
        names.append(("" if one_file or not file else f"{file}::") + ", ".join(kept) or cell.name)
    counts = Counter(names)
    return [name if counts[name] == 1 else f"{name} ({cell.key})" for name, cell in zip(names, cells, strict=True)]


def shared_label(cells: Sequence[Cell]) -> str:
    """Return what all cells have in common and their labels leave out, for titles; empty for a single cell."""
    if len(cells) < 2:  # noqa: PLR2004 - the label of a single cell says everything
        return ""
    parts = [_parts(cell.name) for cell in cells]
    shared = set(parts[0]).intersection(*parts[1:])
    return ", ".join(part for part in parts[0][1:] if part in shared)


def _parts(name: str) -> tuple[str, ...]:
    """Return the file, the test and each of its parameters.

    >>> _parts("t.py::test_a[lr=1e-05-bg=None]")
    ('t.py', 'test_a', 'lr=1e-05', 'bg=None')
    >>> _parts("t.py::test_a[lr=0.1] (code abc)")
    ('t.py', 'test_a', 'lr=0.1', 'code abc')
    """
    test, _, rest = name.partition("[")
    parameters, _, suffix = rest.rpartition("]")
    file, _, function = test.rpartition("::")
    found = list(filter(None, _PARAMETER.split(parameters or rest.removesuffix("]"))))
    return (file, function, *found, *filter(None, [suffix.strip().removeprefix("(").removesuffix(")")]))
