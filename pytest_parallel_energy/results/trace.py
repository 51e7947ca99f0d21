"""``trace.csv.gz``: the power of each domain through an attempt."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Sequence

__all__ = ["TRACE_NAME", "trace_csv"]

TRACE_NAME = "trace.csv.gz"


def trace_csv(columns: Sequence[str], points: Iterable[tuple[float, Sequence[float | None]]]) -> bytes:
    r"""A gzipped CSV: ``offset_s``, then the mean watts of each domain since the row before; unknown is empty.

    Args:
        columns: a domain's name each.
        points: seconds since the window opened, and one value a column.

    >>> gzip.decompress(trace_csv(["package-0"], [(1.0, [42.5]), (2.0, [None])])).decode()
    'offset_s,package-0_w\n1.0,42.5\n2.0,\n'
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["offset_s", *(f"{name}_w" for name in columns)])
    writer.writerows([round(offset_s, 6), *watts] for offset_s, watts in points)
    # mtime 0: the same trace gives the same bytes
    return gzip.compress(text.getvalue().encode(), mtime=0)
