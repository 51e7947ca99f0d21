"""Power traces that are damaged, too large, or not files at all."""

from __future__ import annotations

import gzip
import os
import random
import time
import tracemalloc

import pytest

from pytest_parallel_energy.errors import RecordError
from pytest_parallel_energy.records.trace import read_trace, trace_csv_gz

ROWS = 20_000
WHOLE = trace_csv_gz(["package-0_w"], [(float(number), [random.Random(number).random()]) for number in range(ROWS)])


@pytest.fixture
def file(tmp_path):
    return tmp_path / "trace.csv.gz"


@pytest.mark.parametrize(
    ("content", "least_points"),
    [
        (WHOLE[: len(WHOLE) // 2], 1000),
        (WHOLE[: len(WHOLE) // 2] + bytes(4096), 1000),
        (WHOLE[: len(WHOLE) // 2] + b"\xff" * 4096, 1000),
        (WHOLE + bytes(4096), ROWS),
        (gzip.compress(b"offset_s,a_w\n0.0,1.0\n1.0,nan\ninf,2.0\n" + bytes(100)), 2),
    ],
    ids=["cut", "zeros inside", "garbage inside", "zeros behind", "zeros in the text"],
)
def test_a_damaged_end_is_left_out(file, content, least_points):
    """A power cut leaves zeros or half a file; what came before is the trace."""
    file.write_bytes(content)
    trace = read_trace(file)
    assert len(trace.offsets_s) >= least_points
    assert len(trace.values[0]) == len(trace.offsets_s)


@pytest.mark.parametrize(
    "content",
    [bytes(500), b"", WHOLE[:3], gzip.compress(b'offset_s,a_w\n0.0,"' + b"x" * 200_000), gzip.compress(b"a,b\n")],
    ids=["zeros", "empty", "three bytes", "a cell too long", "another table"],
)
def test_what_is_no_trace_is_one_error(file, content):
    """It is the package's own error, which a report turns into a remark."""
    file.write_bytes(content)
    with pytest.raises(RecordError, match="is not a trace"):
        read_trace(file)


def test_an_archive_that_unpacks_to_gigabytes_is_refused(file):
    """Memory and time stay bounded."""
    with gzip.open(file, "wb", compresslevel=9) as stream:
        stream.write(b"offset_s,a_w\n")
        block = b"0.000001,1.0\n" * 80_000
        for _ in range(200):
            stream.write(block)
    tracemalloc.start()
    started_s = time.monotonic()
    try:
        with pytest.raises(RecordError, match="more than 32 MiB"):
            read_trace(file)
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started_s < 20


def test_a_fifo_a_device_and_a_folder_are_no_traces(file):
    """None of them is waited for."""
    for make in (lambda: os.mkfifo(file), lambda: file.symlink_to("/dev/zero"), file.mkdir):
        make()
        with pytest.raises(RecordError, match=r"not a plain file|[Ii]s a directory"):
            read_trace(file)
        file.rmdir() if file.is_dir() else file.unlink()
