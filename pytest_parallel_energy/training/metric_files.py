"""Metrics from the files that a training leaves in its output folder: JSON, CSV, TensorBoard, MLflow, wandb."""

from __future__ import annotations

import csv
import json
import math
import statistics
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from .wandb_file import WANDB_SUFFIX, wandb_documents

__all__ = ["PICKS", "SUFFIXES", "MetricFile", "Pick", "is_known_format", "needs_key", "read_metric_files"]

Pick = Literal["last", "first", "min", "max", "mean"]
PICKS: dict[Pick, Callable[[list[float]], float]] = {
    "last": lambda values: values[-1],
    "first": lambda values: values[0],
    "min": min,
    "max": max,
    "mean": statistics.fmean,
}
"""The ways in which one metric is chosen from the values of all lines."""
SUFFIXES = (".csv", ".json", ".jsonl", WANDB_SUFFIX)
_EVENTS = "tfevents"
"""Part of the names of TensorBoard's event files."""
_MLFLOW = "metrics"
"""Name of the folder in which MLflow's file store has one file per metric, without a suffix."""

_MOST_BYTES = 64 * 1024 * 1024


class MetricFile(Struct, frozen=True, kw_only=True):
    """The place of one metric.

    Args:
        file: relative to the output folder, or a pattern such as ``lightning_logs/version_*/metrics.csv``, of which the
            newest match counts. The suffix tells the format; ``*tfevents*`` are TensorBoard's event files, and a file
            without a suffix in a folder ``metrics`` is one of MLflow's.
        key: dotted key in a JSON object or in each line of a ``.jsonl`` file; the title of a column in a ``.csv`` file;
            the tag of a scalar in event files; the key of a logged value, else of the summary, in a file of wandb, with
            dots between the keys of objects in objects; nothing in a file of MLflow.
        pick: the value that counts where a file has several: lines, or a list in a JSON file.
    """

    file: str
    key: str
    pick: Pick = "last"


def is_known_format(file: str) -> bool:
    """Return whether the name tells a format that can be read."""
    return Path(file).suffix in SUFFIXES or _EVENTS in Path(file).name or _is_mlflow(Path(file))


def needs_key(file: str) -> bool:
    """Return whether a file of that name holds several metrics."""
    return not _is_mlflow(Path(file))


def _is_mlflow(path: Path) -> bool:
    return path.parent.name == _MLFLOW and not path.suffix


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
    found = _newest_first(output_dir, place.file)
    if _EVENTS not in Path(place.file).name:
        return _values_in(output_dir, found[0], place.key)
    for path in found:  # a writer may spread its tags over several files
        _check_file(output_dir, path)
        if values := _event_values(path, place.key):
            return values
    return []


def _newest_first(output_dir: Path, pattern: str) -> list[Path]:
    if not any(sign in pattern for sign in "*?["):
        return [output_dir / pattern]
    found = sorted(output_dir.glob(pattern), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    if not found:
        raise ValueError("no file has such a name")
    return found


def _event_values(path: Path, tag: str) -> list[float]:
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from tensorboard.util.tensor_util import make_ndarray
    except ImportError as problem:
        raise ValueError(f"TensorBoard is needed; run: pip install tensorboard ({problem})") from problem

    events = EventAccumulator(str(path), size_guidance={"scalars": 0, "tensors": 0})  # 0: all of them
    events.Reload()
    tags = events.Tags()
    if tag in tags["scalars"]:
        return [event.value for event in events.Scalars(tag)]
    if tag in tags["tensors"]:  # TensorFlow 2 writes scalars as tensors
        return [float(make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)]
    return []


def _check_file(output_dir: Path, path: Path) -> None:
    if not path.resolve().is_relative_to(output_dir.resolve()):
        raise ValueError("it is a link to a place outside the output folder")
    if not path.exists():
        raise ValueError("there is no such file")
    if not path.is_file():
        raise ValueError("it is not a plain file")
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"it has {path.stat().st_size} bytes, more than {_MOST_BYTES}")


def _values_in(output_dir: Path, path: Path, key: str) -> Iterable[Any]:
    _check_file(output_dir, path)
    if path.suffix == WANDB_SUFFIX:
        return _wandb_values(path.read_bytes(), key)
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    if _is_mlflow(path):  # lines of time stamp, value and step
        return [words[1] for line in text.splitlines() if len(words := line.split()) > 1]
    if path.suffix == ".csv":
        rows = csv.DictReader(text.splitlines(), skipinitialspace=True)
        return [value for row in rows if (value := row.get(key)) not in {None, ""}]
    if path.suffix == ".jsonl":
        return [value for line in text.splitlines() for value in _found(_parsed(line), key)]
    return _found(json.loads(text), key)


def _wandb_values(content: bytes, key: str) -> list[Any]:
    logged = [value for document in wandb_documents(content, "history") for value in _found(document, key)]
    if logged:
        return logged
    updates = [value for document in wandb_documents(content, "summary") for value in _found(document, key)]
    return updates[-1:]  # the last one replaces those before it


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _found(document: Any, key: str) -> list[Any]:
    """Return the value of a dotted key as a list; a list below the key gives its items."""
    for name in [key] if isinstance(document, dict) and key in document else key.split("."):
        if not isinstance(document, dict) or name not in document:
            return []
        document = document[name]
    values = document if isinstance(document, list) else [document]
    return [value for value in values if value is not None and not isinstance(value, bool)]
