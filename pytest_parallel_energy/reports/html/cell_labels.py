"""Short names of cells: what tells them apart."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from ...statistics.grouping import Cell

__all__ = ["cell_labels", "shared_label"]

_PARAMETER = re.compile(r"-(?=[A-Za-z_][\w.]*=)")
"""The border between two parameters in a test's id; the minus in ``1e-05`` is none."""


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
    return [name if counts[name] == 1 else f"{name} ({cell.cell})" for name, cell in zip(names, cells, strict=True)]


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
    """
    test, _, parameters = name.partition("[")
    file, _, function = test.rpartition("::")
    return (file, function, *filter(None, _PARAMETER.split(parameters.removesuffix("]"))))
