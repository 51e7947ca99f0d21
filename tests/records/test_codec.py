from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_parallel_energy.errors import RecordError
from pytest_parallel_energy.records.codec import NewerRecordError, decode, encode, to_json_text
from pytest_parallel_energy.records.record import Record, Status, WindowResult, WorkloadPart

SAMPLES = Path(__file__).parent / "samples"


def _record(**fields):
    needed = {
        "record_id": "a",
        "run_id": "b",
        "nodeid": "c",
        "cell": "d",
        "status": Status.PASSED,
        "started_at": "2026-01-02T03:04:05+00:00",
        "duration_s": 1.0,
    }
    return Record(**(needed | fields))


def test_what_is_written_is_read_back(make_record):
    """A record with every part survives writing and reading, types included."""
    record = make_record(load=True, status=Status.TIMEOUT, reason="after 5 s", labels={"k": "v"})
    assert decode(encode(record)) == record


@given(
    text=st.text(),
    value=st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False)
    ),
)
def test_any_hyperparameter_survives(text, value):
    """Any name and any value of a hyperparameter comes back as it was, with its exact float."""
    part = WorkloadPart(repository="r", model="m", hyperparameters={text: value})
    back = decode(encode(_record(workload=part))).workload.hyperparameters[text]
    assert back == value
    assert type(back) is type(value)


def _keys(value, path=""):
    """The paths of all keys of a JSON value, list items by their number."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {f"{path}/{key}" for key, _ in items}.union(*(_keys(item, f"{path}/{key}") for key, item in items))


def _kept(new, old):
    """Reduce a value to the keys that an older value has; what newer code adds must be unknown there."""
    if isinstance(old, dict):
        assert not any(value for key, value in new.items() if key not in old)
        return {key: _kept(new[key], value) for key, value in old.items()}
    if isinstance(old, list):
        return [_kept(*pair) for pair in zip(new, old, strict=True)]
    return new


@pytest.mark.parametrize("version", [1, 2])
def test_a_stored_sample_keeps_its_values(version):
    """A stored record with every key is written again with the same values: no key was renamed or dropped."""
    line = (SAMPLES / f"every-key-v{version}.jsonl").read_bytes()
    assert decode(line).schema_version == version
    stored = json.loads(line)
    assert _kept(json.loads(encode(decode(line))), stored) == stored


def test_an_older_sample_keeps_its_keys():
    """Each key of a record that was stored before some keys existed is still there when it is written again."""
    for line in (SAMPLES / "records-v1.jsonl").read_bytes().splitlines():
        assert _keys(json.loads(line)) <= _keys(json.loads(encode(decode(line))))


def test_the_version_comes_first():
    """A reader that knows nothing else finds the schema version at the start of each line."""
    assert encode(_record()).startswith(b'{"schema_version":2,')


def test_a_record_is_one_line():
    """Line breaks inside values never break the line format."""
    assert b"\n" not in encode(_record(reason="one\ntwo\r\n\u2028three"))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_null(value):
    """A diverged loss is written as null, and the line stays readable."""
    line = encode(_record(metrics={"loss": value}))
    assert json.loads(line)["metrics"] == {"loss": None}
    assert decode(line).metrics == {"loss": None}


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("half \udc80 surrogate", "half \\udc80 surrogate"),
        (np.float64(0.25), 0.25),
        (np.int32(7), 7),
        (Path("/tmp/x"), "/tmp/x"),
        (b"bytes", "Ynl0ZXM="),
        (1 + 2j, "(1+2j)"),
    ],
)
def test_no_record_is_lost_for_an_odd_value(value, kept):
    """What JSON cannot hold is kept as a number or as text; the record is written in any case."""
    part = WorkloadPart(repository="r", model="m", hyperparameters={"odd": value})
    assert decode(encode(_record(workload=part))).workload.hyperparameters["odd"] == kept


@pytest.mark.parametrize("value", [2**64, 2**200, -(2**63) - 1])
def test_a_huge_integer_keeps_its_digits(value):
    """A seed beyond 64 bits comes back with all its digits, as an integer or (by older msgspec) as text."""
    part = WorkloadPart(repository="r", model="m", hyperparameters={"seed": value})
    assert str(decode(encode(_record(workload=part))).workload.hyperparameters["seed"]) == str(value)


def test_a_newer_record_is_refused_by_name():
    """A record of a later version names its version, what this one reads, and the way out."""
    line = json.dumps({"schema_version": 99, "all": "different"}).encode()
    with pytest.raises(NewerRecordError, match=r"schema version 99.*reads up to 2.*install a newer version"):
        decode(line)


def test_a_newer_record_that_would_fit_is_refused_too():
    """The version decides, not whether the fields happen to match."""
    line = encode(_record()).replace(b'"schema_version":2', b'"schema_version":3')
    with pytest.raises(NewerRecordError, match="version 3"):
        decode(line)


@pytest.mark.parametrize(
    "line", [b"", b"{", b"\0\0\0", b"[]", b"7", b'{"schema_version":1}', b"\xff\xfe", b"[" * 99999]
)
def test_what_is_no_record_says_so(line):
    """Damage of any kind is a RecordError, never another exception."""
    with pytest.raises(RecordError, match="not a record"):
        decode(line)


def test_unknown_fields_are_left_out():
    """A field that a later version added to this schema does not stop an earlier one from reading."""
    line = encode(_record()).replace(b'"run_id"', b'"added_later":[1],"run_id"')
    assert decode(line) == _record()


def test_the_text_for_people_holds_the_same_record():
    """experiment.json is the record, indented."""
    record = _record(energy=WindowResult(windows=(WindowResult(name="epoch-1"),)))
    text = to_json_text(record)
    assert json.loads(text) == json.loads(encode(record))
    assert text.endswith("}\n")
    assert "\n  " in text


def test_importing_the_wing_loads_no_heavy_package():
    """Packages that take long to import are imported where they are used."""
    heavy = ["numpy", "scipy", "altair", "psutil", "pandas"]
    code = (
        "import sys, pytest_parallel_energy.records.store, pytest_parallel_energy.reports.terminal_table\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
