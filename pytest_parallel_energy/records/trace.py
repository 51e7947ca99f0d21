"""Power traces: ``trace.csv.gz`` of an experiment, and fewer points of it for a chart."""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import RecordError
from .atomic_write import why

__all__ = ["TRACE_NAME", "Trace", "read_trace", "thin", "trace_csv_gz"]

TRACE_NAME = "trace.csv.gz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Watts (or degrees) over time: one series per column."""

    names: tuple[str, ...]
    """``package-0_w``, ``gpu-0_w``, ``gpu-0_celsius``: a domain with its unit."""
    offsets_s: tuple[float, ...]
    """Seconds since the window opened, ascending."""
    values: tuple[tuple[float | None, ...], ...]
    """One tuple a name, as long as ``offsets_s``; ``None`` where there was no reading."""


def trace_csv_gz(names: Sequence[str], points: Iterable[tuple[float, Sequence[float | None]]]) -> bytes:
    """Return the content of ``trace.csv.gz``: ``offset_s`` and one column per name; an unknown value is empty.

    The bytes depend on the values alone: no time stamp is in the archive.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["offset_s", *names])
    for offset_s, values in points:
        writer.writerow([f"{offset_s:.6f}", *("" if value is None else f"{value:.6g}" for value in values)])
    return gzip.compress(text.getvalue().encode(), mtime=0)


def read_trace(path: Path) -> Trace:
    """Read a trace from a file; a half-written end is left out.

    Raises:
        RecordError: no trace, or it cannot be read.
    """
    try:
        rows = list(csv.reader(io.StringIO(_unpacked(path.read_bytes()).decode("utf-8", "replace"))))
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {why(error)}") from error
    if not rows or rows[0][:1] != ["offset_s"]:
        raise RecordError(f"{path} is not a trace: its first column is not offset_s")
    width = len(rows[0])
    try:
        numbers = [[float(cell) if cell else None for cell in row] for row in rows[1:] if len(row) == width]
    except ValueError as error:
        raise RecordError(f"{path} is not a trace: {error}") from error
    whole = [row for row in numbers if row[0] is not None]
    columns = tuple(zip(*whole, strict=True)) or tuple(() for _ in range(width))
    return Trace(names=tuple(rows[0][1:]), offsets_s=tuple(v or 0.0 for v in columns[0]), values=columns[1:])


def _unpacked(data: bytes) -> bytes:
    """Return the part of an archive that can be unpacked: after a crash its end may be missing."""
    found = bytearray()
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            while block := file.read1(65536):
                found += block
    except (EOFError, gzip.BadGzipFile):
        pass  # what came before the break is the trace
    return bytes(found)


def thin(offsets_s: Sequence[float], values: Sequence[float | None], points: int) -> list[tuple[float, float]]:
    """Return at most ``points`` (4 or more) points that draw the same line: first, last, lowest, highest of each slice.

    M4 (Jugel et al. 2014, PVLDB 7:797): no peak is lost, and a line chart ``points / 4`` pixels wide stays the same.
    """
    known = [(offset, value) for offset, value in zip(offsets_s, values, strict=True) if value is not None]
    if len(known) <= points:
        return known
    slices = max(points // 4, 1)
    start, span = known[0][0], (known[-1][0] - known[0][0]) or 1.0
    groups: dict[int, list[tuple[float, float]]] = {}
    for point in known:
        groups.setdefault(min(math.floor((point[0] - start) / span * slices), slices - 1), []).append(point)
    kept = []
    for group in groups.values():
        chosen = {group[0], group[-1], min(group, key=_second), max(group, key=_second)}
        kept += sorted(chosen)
    return kept


def _second(point: tuple[float, float]) -> float:
    return point[1]
