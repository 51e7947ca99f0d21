"""Environment variables of pytest's own process that are set for a while."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

__all__ = ["own_variables"]


@contextmanager
def own_variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set the variables until the context ends, and restore the former values."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
