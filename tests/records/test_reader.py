from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_parallel_energy.errors import RecordError
from pytest_parallel_energy.records.codec import NewerRecordError, encode
from pytest_parallel_energy.records.reader import read_records, records_file
from pytest_parallel_energy.records.record import Status


def _write(path: Path, *lines: bytes) -> Path:
    path.write_bytes(b"".join(lines))
    return path


def test_a_torn_last_line_is_reported_and_skipped(tmp_path, make_record):
    """A crash in the middle of a write costs that line alone, and the reader says which."""
    records = [make_record(), make_record()]
    lines = [encode(record) + b"\n" for record in records]
    found = read_records(_write(tmp_path / "records.jsonl", *lines, lines[0][:50]))
    assert found.records == tuple(records)
    (problem,) = found.problems
    assert str(problem).startswith(f"{tmp_path / 'records.jsonl'}:3: half-written last line, skipped")


@pytest.mark.parametrize("damage", [b"garbage\n", b"\0" * 4096 + b"\n", b'{"schema_version": 1}\n', b"\xff\xfe\n"])
def test_damage_in_the_middle_costs_its_line_alone(tmp_path, make_record, damage):
    """Records after a damaged line are read."""
    records = [make_record(), make_record()]
    lines = [encode(record) + b"\n" for record in records]
    found = read_records(_write(tmp_path / "records.jsonl", lines[0], damage, lines[1]))
    assert found.records == tuple(records)
    assert [problem.line for problem in found.problems] == [2]


def test_zeros_after_a_power_cut_are_reported(tmp_path, make_record):
    """A tail of zeros, as journaling file systems leave it, is one damaged last line."""
    found = read_records(_write(tmp_path / "records.jsonl", encode(make_record()) + b"\n", b"\0" * 4096))
    assert len(found.records) == 1
    assert "half-written" in found.problems[0].reason


def test_a_newer_record_is_refused_with_its_place(tmp_path, make_record):
    """A file that holds one newer record is not read half: the message names file, line and version."""
    newer = json.dumps({"schema_version": 3}).encode() + b"\n"
    path = _write(tmp_path / "records.jsonl", encode(make_record()) + b"\n", newer)
    with pytest.raises(NewerRecordError, match=r"records\.jsonl:2: .*version 3"):
        read_records(path)


def test_the_first_schema_is_read():
    """A stored sample of schema version 1 is read, with what it says."""
    found = read_records(Path(__file__).parent / "samples" / "records-v1.jsonl")
    assert found.problems == ()
    passed, crashed = found.records
    assert passed.energy.total_j == 1234.5
    assert passed.background[0].rounds_completed == 12
    assert crashed.status is Status.CRASHED
    assert crashed.energy.total_j is None


@pytest.mark.parametrize("name", ["absent", "."])
def test_no_records_says_what_to_name(tmp_path, name):
    """A path without records is an error that says what a good one looks like."""
    with pytest.raises(RecordError, match=r"no records at .*name a run's folder"):
        records_file(tmp_path / name)


def test_an_empty_run_is_no_error(tmp_path):
    """A run that was killed before its first record reads as no records."""
    assert read_records(_write(tmp_path / "records.jsonl")).records == ()
