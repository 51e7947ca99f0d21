"""Power traces: ``trace.csv.gz`` of an experiment, and fewer points of it for a chart."""

from __future__ import annotations

import csv
import gzip
import io
import math
import os
import stat
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from ..errors import RecordError
from .atomic_write import why

__all__ = ["TRACE_NAME", "Trace", "read_trace", "thin", "trace_csv_gz"]

TRACE_NAME = "trace.csv.gz"
_MOST_BYTES = 32 << 20
"""A week of samples each second of eight domains."""


class Trace(Struct, frozen=True, kw_only=True):
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
    """Read a trace from a file; a damaged or half-written end is left out.

    Args:
        path: the file, a plain one.

    Raises:
        RecordError: the file is not a trace, cannot be read, or is larger than any trace.
    """
    try:
        text = _unpacked(path)
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {why(error)}") from error
    try:
        rows = csv.reader(io.StringIO(text))
        names = next(rows, [])
        if names[:1] != ["offset_s"]:
            raise RecordError(f"{path} is not a trace: its first column is not offset_s")
        numbers = [[_number(cell) for cell in row] for row in rows if len(row) == len(names)]
    except (ValueError, csv.Error) as error:
        raise RecordError(f"{path} is not a trace: {error}") from error
    whole = [row for row in numbers if row[0] is not None]
    columns = tuple(zip(*whole, strict=True)) or tuple(() for _ in names)
    return Trace(names=tuple(names[1:]), offsets_s=tuple(v or 0.0 for v in columns[0]), values=columns[1:])


def _number(cell: str) -> float | None:
    number = float(cell) if cell else math.nan
    return number if math.isfinite(number) else None


def _unpacked(path: Path) -> str:
    """Return the text of the part of an archive that can be unpacked: after a crash its end may be missing.

    Raises:
        OSError: it cannot be read, or is not a plain file.
        RecordError: the text is larger than any trace, as that of an archive made to fill the memory.
    """
    found = bytearray()
    # Without O_NONBLOCK a FIFO would wait here for a writer.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    with open(fd, "rb") as packed:  # noqa: PTH123 - a descriptor
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise RecordError(f"{path} cannot be read: it is not a plain file")
        try:
            with gzip.GzipFile(fileobj=packed) as file:
                while block := file.read1(65536):
                    found += block
                    if len(found) > _MOST_BYTES:
                        raise RecordError(f"{path} is not read: unpacked it has more than {_MOST_BYTES >> 20} MiB")
        except (EOFError, gzip.BadGzipFile, zlib.error):
            pass  # what came before the break is the trace
    return found.rstrip(b"\0").decode("utf-8", "replace")


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
