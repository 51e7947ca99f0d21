"""Ranges of the numbers that govern a child process or a background load, each written once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from ..errors import ConfigError

__all__ = ["GRACE", "PERCENT", "SHARE", "SHARE_OR_NONE", "TIMEOUT", "Range"]


class Range(NamedTuple):
    """The values that a number may have."""

    words: str
    """The range as a message names it."""
    holds: Callable[[float], bool]

    def check(self, quantity: str, value: float) -> None:
        """Refuse a value outside of the range; ``quantity`` names it in the message.

        Raises:
            ConfigError: the value is outside of the range, or is not a number (NaN).
        """
        if not self.holds(value):
            raise ConfigError(f"{quantity} must be {self.words}, not {value}")


# Each comparison is false for NaN, which is thus outside of every range.
SHARE = Range("a share above 0, up to 1", lambda share: 0 < share <= 1)
SHARE_OR_NONE = Range("a share from 0 to 1", lambda share: 0 <= share <= 1)
PERCENT = Range("above 0 %, up to 100 %", lambda percent: 0 < percent <= 100)  # noqa: PLR2004 - percent
GRACE = Range("a time of 0 or more, finite", lambda seconds: 0 <= seconds < math.inf)
TIMEOUT = Range("a time above 0", lambda seconds: seconds > 0)
