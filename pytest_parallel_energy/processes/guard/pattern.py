"""Search for a readiness pattern in a load's output, with a limit on the CPU time that it takes.

A regular expression can take longer than the age of the universe for one line (``^(a+)+$``), and the guard has to
notice the end of its owner within milliseconds. Python's matcher looks for signals while it works, so that a timer
ends it.
"""

from __future__ import annotations

import re
import signal
from types import FrameType

__all__ = ["PatternSearch"]

_LIMIT_S = 0.05
"""Of CPU time, per piece of output: a common pattern needs a hundredth of it."""
_MOST_FAILURES = 20
_LINE_KEPT_BYTES = 1 << 12
_PIECE_BYTES = 1 << 16


class _TooSlowError(Exception):
    """The search took its limit of CPU time."""


class PatternSearch:
    """The search for one pattern within lines; ``^`` and ``$`` match at their ends.

    Args:
        pattern: a regular expression.
    """

    def __init__(self, pattern: str) -> None:
        self.problem = ""
        """Why the search was given up; empty while it was not."""
        self._source = pattern
        self._pattern = re.compile(pattern.encode(), re.MULTILINE)
        self._rest = b""
        self._failures = 0
        self._found = False

    def feed(self, data: bytes) -> bool:
        """Look at what was printed; return ``True`` once, when the pattern was seen for the first time."""
        for start in range(0, len(data), _PIECE_BYTES):
            if self._found or self.problem:
                break
            text = self._rest + data[start : start + _PIECE_BYTES].replace(b"\r", b"\n")
            # The end of an unfinished line is kept: its rest may complete the pattern.
            self._rest = text[text.rfind(b"\n") + 1 :][-_LINE_KEPT_BYTES:]
            self._found = self._is_in(text)
            if self._found:
                return True
        return False

    def _is_in(self, text: bytes) -> bool:
        before = signal.signal(signal.SIGVTALRM, _give_up)
        signal.setitimer(signal.ITIMER_VIRTUAL, _LIMIT_S)
        try:
            return self._pattern.search(text) is not None
        except _TooSlowError:
            self._rest = b""
            self._failures += 1
            if self._failures == _MOST_FAILURES:
                self.problem = (
                    f"the readiness pattern {self._source!r} needs too long on the load's output, and is no longer "
                    "looked for; write it without nested repetitions such as (a+)+ or .*.*"
                )
            return False
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, before)


def _give_up(_number: int, _frame: FrameType | None) -> None:
    raise _TooSlowError
