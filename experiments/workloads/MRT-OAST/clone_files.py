"""MRT-OAST's files: functions with their trees, and pairs that are clones or not.

``*_with_AST+OAST.csv``: the columns index (which question it answers), file, code, AST, OAST.
``*_train*.csv``, ``*_valid*.csv``, ``*_test*.csv``: index and file of one function, of the other, and 1 for clones,
0 or −1 for others.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bracket_trees import Tree, read_tree
from data_errors import DataError

__all__ = ["Key", "Pair", "read_clones", "write_clones"]

_TREES = "_with_AST+OAST.csv"
_LONGEST_FIELD_BYTES = 1 << 27

Key = tuple[str, str]
"""Index and file, which identify a function."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two functions; ``clones`` is true if they are clones."""

    first: Key
    second: Key
    clones: bool


def read_clones(folder: Path) -> tuple[dict[Key, Tree], dict[str, list[Pair]]]:
    """Return the optimised trees, and the pairs of ``train``, ``valid`` and ``test``.

    Raises:
        DataError: a file is missing, more than one fits, or one is damaged; the message names file and row.
    """
    path = _only(folder, f"*{_TREES}")
    trees = {}
    for place, row in _rows(path, 5):
        try:
            trees[row[0], row[1]] = read_tree(row[4])
        except ValueError as error:
            raise DataError(f"{place}: the fifth column is not a tree written as 'A [ B C ]': {error}") from error
    stem = path.name.removesuffix(_TREES)
    return trees, {
        part: _read_pairs(_only(folder, f"{stem}_{part}*.csv"), trees) for part in ("train", "valid", "test")
    }


def write_clones(
    folder: Path, functions: Iterable[tuple[Key, str, str, str]], pairs: Mapping[str, Iterable[Pair]]
) -> None:
    """Write the functions (key, code, AST, OAST) and the pairs of each part, as the set ``Generated``."""
    _write(
        folder / f"Generated{_TREES}",
        ["index", "file", "code", "AST", "OAST"],
        ([*key, code, tree, small] for key, code, tree, small in functions),
    )
    for part, some in pairs.items():
        _write(
            folder / f"Generated_{part}.csv",
            ["index1", "file1", "index2", "file2", "label"],
            ([*pair.first, *pair.second, int(pair.clones)] for pair in some),
        )


def _read_pairs(path: Path, trees: Mapping[Key, Tree]) -> list[Pair]:
    pairs = []
    for place, row in _rows(path, 5):
        first, second = (row[0], row[1]), (row[2], row[3])
        for key in (first, second):
            if key not in trees:
                raise DataError(f"{place}: the function {'/'.join(key)} is not in the file of trees")
        if row[4] not in {"1", "0", "-1"}:
            raise DataError(f"{place}: expected the label 1, 0 or -1, found {row[4]!r}")
        pairs.append(Pair(first, second, row[4] == "1"))
    return pairs


def _rows(path: Path, columns: int) -> list[tuple[str, list[str]]]:
    csv.field_size_limit(_LONGEST_FIELD_BYTES)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [
                (f"{path}, row {number}", row) for number, row in enumerate(csv.reader(file, strict=True)) if number
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file with {columns} columns: {error}") from error
    if not rows:
        raise DataError(f"{path}: expected a line of titles and at least one row")
    for place, row in rows:
        if len(row) != columns:
            raise DataError(f"{place}: expected {columns} columns, found {len(row)}")
    return rows


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(path for path in folder.glob(pattern) if path.is_file())
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise DataError(f"{folder}: expected one file {pattern}, found {names}")
    return found[0]


def _write(path: Path, titles: list[str], rows: Iterable[list[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(titles)
        writer.writerows(rows)
