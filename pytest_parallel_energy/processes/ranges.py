"""Ranges of the numbers that govern a child process or a background load, each written once."""

from __future__ import annotations

import math
from typing import NamedTuple

from ..errors import ConfigError

__all__ = ["GRACE", "PERCENT", "SHARE", "SHARE_OR_NONE", "TIMEOUT", "Range"]


class Range(NamedTuple):
    """The values that a number may have, from ``low`` to ``high``."""

    words: str
    """The range as a message names it."""
    low: float
    high: float
    low_is_inside: bool = False
    high_is_inside: bool = True

    def holds(self, value: float) -> bool:
        """Return true for a value inside the range; NaN is outside of every range."""
        above = value >= self.low if self.low_is_inside else value > self.low
        return above and (value <= self.high if self.high_is_inside else value < self.high)

    def check(self, quantity: str, value: float) -> None:
        """Refuse a value outside of the range; ``quantity`` names it in the message.

        Raises:
            ConfigError: the value is outside of the range, or is not a number (NaN).
        """
        if not self.holds(value):
            raise ConfigError(f"{quantity} must be {self.words}, not {value}")


SHARE = Range("a share above 0, up to 1", 0, 1)
SHARE_OR_NONE = Range("a share from 0 to 1", 0, 1, low_is_inside=True)
PERCENT = Range("above 0 %, up to 100 %", 0, 100)
# An endless grace would let a load that ignores SIGTERM run for ever; an endless time to become ready is a choice.
GRACE = Range("a time of 0 or more, finite", 0, math.inf, low_is_inside=True, high_is_inside=False)
TIMEOUT = Range("a time above 0", 0, math.inf)
