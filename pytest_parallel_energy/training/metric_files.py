"""Metrics from the files that a training leaves in its output folder: JSON, JSON lines and CSV."""

from __future__ import annotations

import csv
import json
import math
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

__all__ = ["PICKS", "SUFFIXES", "MetricFile", "Pick", "read_metric_files"]

Pick = Literal["last", "first", "min", "max", "mean"]
PICKS: dict[Pick, Callable[[list[float]], float]] = {
    "last": lambda values: values[-1],
    "first": lambda values: values[0],
    "min": min,
    "max": max,
    "mean": statistics.fmean,
}
"""The ways in which one metric is chosen from the values of all lines."""
SUFFIXES = (".csv", ".json", ".jsonl")

_MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFile:
    """The place of one metric.

    Args:
        file: relative to the output folder; its suffix tells the format.
        key: dotted key in a JSON object or in each line of a ``.jsonl`` file; the title of a column in a ``.csv`` file.
        pick: the value that counts where a file has several: lines, or a list in a JSON file.
    """

    file: str
    key: str
    pick: Pick = "last"


def read_metric_files(output_dir: Path, wanted: Mapping[str, MetricFile]) -> tuple[dict[str, float], list[str]]:
    """Return the metrics, all finite, and a flag for each one that cannot be read.

    A line that is cut off, as a killed training leaves it, is passed over. Files above 64 MiB are refused.
    """
    metrics, flags = {}, []
    for name, place in wanted.items():
        try:
            metrics[name] = _metric(output_dir, place)
        except (OSError, ValueError, TypeError, RecursionError, csv.Error) as problem:
            flags.append(f"{name}: {place.file} in the output folder cannot be read: {problem}")
    return metrics, flags


def _metric(output_dir: Path, place: MetricFile) -> float:
    values = [float(value) for value in _values(output_dir, place)]
    if not values:
        raise ValueError(f"it has no {place.key!r}")
    metric = PICKS[place.pick](values)
    if not math.isfinite(metric):
        raise ValueError(f"its {place.key!r} is {metric}, which is not a finite number")
    return metric


def _values(output_dir: Path, place: MetricFile) -> Iterable[Any]:
    path = output_dir / place.file
    if not path.resolve().is_relative_to(output_dir.resolve()):
        raise ValueError("it is a link to a place outside the output folder")
    if not path.exists():
        raise ValueError("there is no such file")
    if not path.is_file():
        raise ValueError("it is not a plain file")
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"it has {path.stat().st_size} bytes, more than {_MOST_BYTES}")
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    if path.suffix == ".csv":
        rows = csv.DictReader(text.splitlines(), skipinitialspace=True)
        return [value for row in rows if (value := row.get(place.key)) not in {None, ""}]
    if path.suffix == ".jsonl":
        return [value for line in text.splitlines() for value in _found(_parsed(line), place.key)]
    return _found(json.loads(text), place.key)


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _found(document: Any, key: str) -> list[Any]:
    """Return the value of a dotted key as a list; a list below the key gives its items."""
    for name in key.split("."):
        if not isinstance(document, dict) or name not in document:
            return []
        document = document[name]
    values = document if isinstance(document, list) else [document]
    return [value for value in values if value is not None and not isinstance(value, bool)]
