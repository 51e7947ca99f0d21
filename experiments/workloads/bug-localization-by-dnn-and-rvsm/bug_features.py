"""The data of bug localisation: ``features.csv`` with one row per bug report and source file.

Columns: report_id, file, rVSM_similarity, collab_filter, classname_similarity, bug_recency, bug_frequency, match (1:
the file was fixed for this report). The five features are those of Lam et al. 2017, "Bug localization with combination
of deep learning and information retrieval", and Ye et al. 2014 before it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from data_errors import DataError

__all__ = ["FEATURES", "BugFeatures", "read_features", "write_features"]

FEATURES = ("rVSM_similarity", "collab_filter", "classname_similarity", "bug_recency", "bug_frequency")
_COLUMNS = ("report_id", "file", *FEATURES, "match")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BugFeatures:
    """Candidates: pairs of a report and a file that may have caused it.

    Args:
        reports: (N,), the report of each row, numbered from 0 in the order of their first rows.
        values: (N, 5), floats, in the order of :data:`FEATURES`.
        matches: (N,), true where the file was fixed for the report.
    """

    reports: np.ndarray
    values: np.ndarray
    matches: np.ndarray


def read_features(path: Path) -> BugFeatures:
    """Return the rows of a file, or of ``features.csv`` in a folder.

    Raises:
        DataError: the file is missing or damaged; the message names the file and the row.
    """
    if path.is_dir():
        path /= "features.csv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = sorted(set(_COLUMNS) - set(reader.fieldnames or ()))
            if missing:
                raise DataError(f"{path}: expected the columns {', '.join(_COLUMNS)}; missing: {', '.join(missing)}")
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a features.csv: {error}") from error
    numbers: dict[str, int] = {}
    for row in rows:
        numbers.setdefault(row["report_id"], len(numbers))
    values = np.array([_numbers(f"{path}, row {number}", row) for number, row in enumerate(rows, 1)])
    if not len(values) or not values[:, -1].any():
        raise DataError(f"{path}: expected at least one row whose 'match' is 1")
    return BugFeatures(
        reports=np.array([numbers[row["report_id"]] for row in rows]),
        values=values[:, :-1],
        matches=values[:, -1] == 1,
    )


def write_features(path: Path, rows: list[tuple[object, ...]]) -> None:
    """Write rows in the order of the columns above."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows(rows)


def _numbers(place: str, row: dict[str, str]) -> list[float]:
    numbers = []
    for name in (*FEATURES, "match"):
        try:
            number = float(row[name])
        except (TypeError, ValueError) as error:
            raise DataError(f"{place}: expected a number in {name!r}, found {row[name]!r}") from error
        if not np.isfinite(number) or (name == "match" and number not in {0, 1}):
            raise DataError(
                f"{place}: expected {'0 or 1' if name == 'match' else 'a finite number'} in {name!r}, found {number}"
            )
        numbers.append(number)
    return numbers
