"""The identity of a cell, which a repetition repeats, and the class of a host."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from .record import HostPart, Value

__all__ = ["CELL_DIGITS", "CellIdentity", "cell_id", "host_class", "values_id"]

CELL_DIGITS = 12
"""Hexadecimal digits of a cell's name: 48 bits, so that among a million cells a clash has odds of 1 to 500."""

_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=str)


class CellIdentity(Struct, frozen=True, kw_only=True):
    """The identity of a cell, and of its parts: names from :func:`cell_id`."""

    cell: str
    foreground: str
    """The training without its test and its loads."""
    loads: str


def cell_id(
    workload: str,
    hyperparameters: Mapping[str, Value],
    background: Sequence[Mapping[str, Any]],
    host_class: str,
    setting: Mapping[str, Any] | None = None,
) -> str:
    """Return the name of a cell: 12 hexadecimal digits, the same in each process and each version of Python.

    Args:
        workload: ``repository/model``, with ``@profile`` where one is used; a test that trains by itself gives its id.
        hyperparameters: all values, mutated or not; their order does not matter, and ``1`` equals ``1.0``.
        background: one mapping a load (its workload or command, and its values); their order does not matter.
        host_class: from :func:`host_class`.
        setting: everything else that tells cells apart; records of schema version 1 have none.

    >>> cell_id("toy/net", {"epochs": 2, "lr": 0.1}, [], "x") == cell_id("toy/net", {"lr": 0.1, "epochs": 2.0}, [], "x")
    True
    """
    loads = sorted(_canonical(load) for load in background)
    text = _canonical([workload, dict(hyperparameters), loads, host_class, *([setting] if setting else [])])
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:CELL_DIGITS]


def values_id(*values: Mapping[str, Value]) -> str:
    """Return a hash of values, 12 hexadecimal digits: exact to the last bit of a float, the same on each host."""
    return hashlib.sha256(_canonical([dict(each) for each in values]).encode("ascii")).hexdigest()[:CELL_DIGITS]


def host_class(host: HostPart) -> str:
    """Return the class of machines whose joules may be pooled: the same processor, sockets, threads and GPUs, in words.

    >>> host_class(HostPart(cpu="EPYC 7763", sockets=2, threads=256))
    '2 x EPYC 7763, 256 threads'
    """
    processor = host.cpu or "unknown processor"
    if host.sockets is not None:
        processor = f"{host.sockets} x {processor}"
    parts = [processor]
    if host.threads is not None:
        parts.append(f"{host.threads} threads")
    parts += sorted(gpu.name for gpu in host.gpus)
    return ", ".join(parts)


def _canonical(value: Any) -> str:
    return _ENCODER.encode(_plain(value))


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int):  # first, because a mapping takes long to tell
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)  # a file's 16 and a default's 16.0 are one batch size
    return value
