"""The one way in which tests wait for something that another process or thread does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], timeout_s: float = 30.0, pause_s: float = 0.01) -> T:
    """Call ``condition`` until its result is true, and return that result.

    Raises:
        AssertionError: it was still false after ``timeout_s`` seconds; the message has the last result.
    """
    deadline_s = time.monotonic() + timeout_s
    while not (result := condition()):
        assert time.monotonic() < deadline_s, f"still {result!r} after {timeout_s:g} s"
        time.sleep(pause_s)
    return result
