"""C functions labelled safe or vulnerable: the files of D2A and of Devign.

D2A (Zheng et al., arXiv 2102.07995): ``d2a_lbv1_function_train.csv`` and ``…_dev.csv`` with the columns ``code`` and
``label``. Devign (Zhou et al., arXiv 1909.03496): ``function.json``, one list of objects with ``func`` and ``target``,
and the index files ``train.txt`` and ``valid.txt`` with one row number per line.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data_errors import DataError

__all__ = ["READERS", "Functions", "read_d2a", "read_devign", "write_d2a", "write_devign"]

_D2A = {part: f"d2a_lbv1_function_{part}.csv" for part in ("train", "dev")}
_DEVIGN_INDEX = {"train": ("train.txt",), "dev": ("valid.txt", "val.txt", "dev.txt")}
_LONGEST_FIELD_BYTES = 1 << 27


@dataclass(frozen=True, slots=True, kw_only=True)
class Functions:
    """Functions with their labels.

    Args:
        code: the source of each.
        labels: 1 for vulnerable, 0 for safe, as many as ``code``.
    """

    code: tuple[str, ...]
    labels: tuple[int, ...]


def read_d2a(folder: Path) -> tuple[Functions, Functions]:
    """Return the training and the development functions.

    Raises:
        DataError: a file is missing or damaged, or a row has no code or no label 0 or 1; the message names file and
            row.
    """
    return _read_d2a_file(folder / _D2A["train"]), _read_d2a_file(folder / _D2A["dev"])


def read_devign(folder: Path) -> tuple[Functions, Functions]:
    """Return the training and the validation functions that the index files select.

    Raises:
        DataError: a file is missing or damaged; the message names it.
    """
    path = _first_file(folder, ("function.json", "Devign.json", "devign.json"))
    try:
        rows = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a JSON list of functions: {error}") from error
    if not isinstance(rows, list) or not rows:
        raise DataError(f"{path}: expected one JSON list of objects with 'func' and 'target'")
    pairs = [_devign_row(path, number, row) for number, row in enumerate(rows)]
    train, dev = (_read_index(_first_file(folder, _DEVIGN_INDEX[part]), len(pairs)) for part in ("train", "dev"))
    return _functions([pairs[number] for number in train]), _functions([pairs[number] for number in dev])


def write_d2a(folder: Path, train: Functions, dev: Functions) -> None:
    """Write both files of D2A."""
    for part, functions in (("train", train), ("dev", dev)):
        with (folder / _D2A[part]).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "label", "code"])
            writer.writerows(zip(range(len(functions.code)), functions.labels, functions.code, strict=True))


def write_devign(folder: Path, train: Functions, dev: Functions) -> None:
    """Write the JSON list and both index files of Devign."""
    code, labels = train.code + dev.code, train.labels + dev.labels
    rows = [{"func": func, "target": target} for func, target in zip(code, labels, strict=True)]
    (folder / "function.json").write_text(json.dumps(rows), "utf-8")
    edge = len(train.code)
    for name, numbers in (("train.txt", range(edge)), ("valid.txt", range(edge, len(code)))):
        (folder / name).write_text("".join(f"{number}\n" for number in numbers), "utf-8")


READERS: dict[str, Callable[[Path], tuple[Functions, Functions]]] = {"d2a": read_d2a, "devign": read_devign}
"""The reader of each data set that ``-d`` names."""


def _read_d2a_file(path: Path) -> Functions:
    csv.field_size_limit(_LONGEST_FIELD_BYTES)  # functions are longer than the module's default of 128 KiB
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if not {"code", "label"} <= set(reader.fieldnames or ()):
                raise DataError(f"{path}: expected the columns 'code' and 'label', found {reader.fieldnames}")
            pairs = [
                (row["code"], _label(f"{path}, row {number}", row["label"])) for number, row in enumerate(reader, 1)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a D2A file (a CSV with 'code' and 'label'): {error}") from error
    if not pairs or not all(code for code, _ in pairs):
        raise DataError(f"{path}: expected at least one row, and code in every row")
    return _functions(pairs)


def _devign_row(path: Path, number: int, row: object) -> tuple[str, int]:
    place = f"{path}, entry {number}"
    if not isinstance(row, dict) or not isinstance(row.get("func"), str):
        raise DataError(f"{place}: expected an object with the text 'func' and the label 'target'")
    return row["func"], _label(place, row.get("target"))


def _label(place: str, value: object) -> int:
    if str(value) not in {"0", "1"}:
        raise DataError(f"{place}: expected the label 0 or 1, found {value!r}")
    return int(str(value))


def _read_index(path: Path, count: int) -> list[int]:
    try:
        numbers = [int(line) for line in path.read_text("utf-8").split()]
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected one row number per line: {error}") from error
    if not numbers or not all(0 <= number < count for number in numbers):
        raise DataError(f"{path}: expected row numbers from 0 to {count - 1}, at least one")
    return numbers


def _first_file(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"{folder} holds none of {', '.join(names)}, which Devign consists of")


def _functions(pairs: list[tuple[str, int]]) -> Functions:
    return Functions(code=tuple(code for code, _ in pairs), labels=tuple(label for _, label in pairs))
