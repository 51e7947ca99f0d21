"""Changed copies of values."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

import msgspec

__all__ = ["replace"]

_T = TypeVar("_T")


def replace(value: _T, **changes: Any) -> _T:
    """Return a copy of a struct or a data class with some of its fields changed."""
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(value, **changes)
    return dataclasses.replace(value, **changes)
