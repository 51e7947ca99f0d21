"""Values from the file of a Weights & Biases run, ``run-ID.wandb``, which an offline run leaves; read without wandb.

Sources: LevelDB, ``doc/log_format.md``, whose blocks and fragments wandb writes after a header of seven bytes; Protocol
Buffers, "Encoding"; ``wandb_internal.proto``: ``Record`` has ``history`` (2) and ``summary`` (3), whose items have the
fields ``key`` (1), ``nested_key`` (2) and ``value_json`` (16). wandb 0.16.6 and 0.31.0 write the same format, and in
offline mode neither of them writes the logged values to ``wandb-summary.json``.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Literal

__all__ = ["WANDB_SUFFIX", "WandbRecords", "wandb_documents"]

WandbRecords = Literal["history", "summary"]
WANDB_SUFFIX = ".wandb"
"""Of the files of wandb's runs."""
_HEADER = b":W&B\xe1\xbe\x00"
"""Name, magic number and version of the format."""
_BLOCK_BYTES = 32 * 1024
_FRAGMENT = struct.Struct("<IHB")
"""Check sum, bytes and kind of a fragment."""
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_FIELDS: dict[WandbRecords, int] = {"history": 2, "summary": 3}
"""Fields of a record."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
"""Kinds of values in Protocol Buffers."""
_MORE = 0x80
"""The bit of a byte of a whole number which says that another byte follows."""
_ITEMS, _KEY, _NESTED_KEY, _VALUE_JSON = 1, 1, 2, 16


def wandb_documents(content: bytes, kind: WandbRecords) -> list[dict[str, Any]]:
    """Return what each record of a kind holds, in their order, as objects with the keys that wandb was given.

    ``history`` is what each step logged, ``summary`` each update of the values that stand for the run. The end of a run
    that was killed is passed over: a record that is cut off.

    Raises:
        ValueError: the content is not that of such a file.
    """
    if not content.startswith(_HEADER):
        raise ValueError("it does not begin as the file of a wandb run does")
    wanted = _FIELDS[kind]
    try:
        return [
            _document(value) for record in _records(content) for number, value in _fields(record) if number == wanted
        ]
    except (IndexError, TypeError, AttributeError) as problem:
        raise ValueError(f"it is not a readable file of a wandb run: {problem}") from problem


def _records(content: bytes) -> Iterator[bytes]:
    place, fragments = len(_HEADER), b""
    while place + _FRAGMENT.size <= len(content):
        left = _BLOCK_BYTES - place % _BLOCK_BYTES
        if left < _FRAGMENT.size:  # the rest of a block is filled up
            place += left
            continue
        checksum, size, kind = _FRAGMENT.unpack_from(content, place)
        end = place + _FRAGMENT.size + size
        if kind not in {_FULL, _FIRST, _MIDDLE, _LAST} or end > len(content):
            return
        fragment = content[place + _FRAGMENT.size : end]
        if zlib.crc32(fragment, zlib.crc32(bytes([kind]))) != checksum:
            raise ValueError(f"the check sum of its bytes from {place} on is wrong: the file is damaged")
        fragments = fragment if kind in {_FULL, _FIRST} else fragments + fragment
        place = end
        if kind in {_FULL, _LAST}:
            yield fragments


def _document(message: Any) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for number, item in _fields(message):
        if number != _ITEMS:
            continue
        keys: list[str] = []
        text = b"null"
        for part, value in _fields(item):
            if part in {_KEY, _NESTED_KEY}:
                keys.append(value.decode())
            elif part == _VALUE_JSON:
                text = value
        place = document
        for key in keys[:-1]:
            place = _inner(place, key)
        if keys:
            place[keys[-1]] = json.loads(text)
    return document


def _inner(document: dict[str, Any], key: str) -> dict[str, Any]:
    inner = document.setdefault(key, {})
    return inner if isinstance(inner, dict) else {}


def _fields(message: bytes) -> Iterable[tuple[int, Any]]:
    """Return the number and value of each field: a whole number, or bytes."""
    place = 0
    while place < len(message):
        tag, place = _whole_number(message, place)
        kind = tag & 7
        if kind == _VARINT:
            value, place = _whole_number(message, place)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            size, place = _whole_number(message, place)
        else:
            size = {_FIXED64: 8, _FIXED32: 4}.get(kind, len(message) + 1)
        if place + size > len(message):
            raise IndexError("a field is longer than its message")
        yield tag >> 3, message[place : place + size]
        place += size


def _whole_number(message: bytes, place: int) -> tuple[int, int]:
    """Return a number of seven bits per byte, the lowest first, and the place after it."""
    number = shift = 0
    while True:
        byte = message[place]
        place += 1
        number |= (byte & ~_MORE) << shift
        if not byte & _MORE:
            return number, place
        shift += 7
