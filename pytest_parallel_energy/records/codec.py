"""Records as JSON and back."""

from __future__ import annotations

import functools
import numbers
import os
from typing import Any

import msgspec

from ..errors import RecordError
from .record import SCHEMA_VERSION, Record

__all__ = ["NewerRecordError", "decode", "encode", "encode_value", "to_json_text"]

_LARGEST_INT = 2**64 - 1
_SMALLEST_INT = -(2**63)
"""The range that msgspec can write as a JSON integer; a value beyond is kept as text."""


class NewerRecordError(RecordError):
    """A record was written by a newer version of this package, which may mean other things by its fields."""


def encode(record: Record) -> bytes:
    """Return one line of JSON without its newline, ``schema_version`` first.

    Numbers that are not finite become ``null`` (JSON has none). A value that JSON cannot hold (text that is no Unicode,
    an integer beyond 64 bits, an object) is kept as text: no record is lost for one odd value.
    """
    return encode_value(record)


def encode_value(value: Any) -> bytes:
    """Return the JSON of structs, data classes, mappings, sequences and scalars, by the rules of :func:`encode`."""
    try:
        return _encoder().encode(value)
    except (UnicodeEncodeError, OverflowError):
        return _encoder().encode(_repaired(msgspec.to_builtins(value, enc_hook=_as_builtin)))


def decode(line: bytes) -> Record:
    """Return the record in one line of ``records.jsonl``; fields that this version does not know are left out.

    Raises:
        NewerRecordError: the line's ``schema_version`` is above :data:`~.record.SCHEMA_VERSION`.
        RecordError: not a record: damaged, or something else.
    """
    try:
        record = _decoder().decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _refuse_newer(_schema_version(line))
        raise RecordError(f"not a record: {error}") from error
    _refuse_newer(record.schema_version)
    return record


def to_json_text(record: Record) -> str:
    """Return the record as indented JSON for people, with a newline at its end: the text of ``experiment.json``."""
    return msgspec.json.format(encode(record), indent=2).decode() + "\n"


def _refuse_newer(version: int) -> None:
    if version > SCHEMA_VERSION:
        raise NewerRecordError(
            f"the record has schema version {version}, this version of pytest-parallel-energy reads up to "
            f"{SCHEMA_VERSION}: install a newer version of the package"
        )


def _schema_version(line: bytes) -> int:
    """Return the schema version in a line, 0 when it has none."""
    try:
        claimed = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0
    version = claimed.get("schema_version") if isinstance(claimed, dict) else None
    return version if isinstance(version, int) else 0


@functools.cache
def _encoder() -> msgspec.json.Encoder:
    return msgspec.json.Encoder(enc_hook=_as_builtin)


@functools.cache
def _decoder() -> msgspec.json.Decoder[Record]:
    return msgspec.json.Decoder(Record)


def _as_builtin(value: Any) -> Any:
    """Return the JSON value for an object that msgspec does not know: numpy scalars, paths, anything."""
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return repr(value)


def _repaired(value: Any) -> Any:
    """Return the same tree with each scalar that JSON cannot hold as text."""
    if isinstance(value, dict):
        return {_repaired(key): _repaired(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_repaired(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int) and not _SMALLEST_INT <= value <= _LARGEST_INT:
        return str(value)
    return value
