"""Search for readiness patterns in a load's output, with a limit on the CPU time that it takes.

A regular expression can take longer than the age of the universe for one line (``^(a+)+$``), and the guard has to
notice the end of its owner within milliseconds. Python's matcher looks for signals while it works, so that a timer
ends it.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from types import FrameType

__all__ = ["PatternSearch"]

_LIMIT_S = 0.05
"""Of CPU time, per piece of output: a common pattern needs a hundredth of it."""
_MOST_FAILURES = 20
_LINE_KEPT_BYTES = 1 << 12
_PIECE_BYTES = 1 << 16
_COLOUR = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]")
"""Colours and cursor moves (ECMA-48): a user writes the pattern for what a terminal shows."""


class _TooSlowError(Exception):
    """The search took its limit of CPU time."""


class PatternSearch:
    """The search for the first match of any of several patterns within lines; ``^`` and ``$`` match at their ends.

    Args:
        patterns: regular expressions, at least one.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self.problem = ""
        """Why the search was given up; empty while it was not."""
        self._patterns = [re.compile(pattern.encode(), re.MULTILINE) for pattern in patterns]
        self._rest = b""
        self._failures = 0
        self._found = False

    def restart(self) -> None:
        """Look for a first match again: a new round begins, and the load was not ready in the one before."""
        self._found, self._rest = False, b""

    def feed(self, data: bytes) -> bool:
        """Look at what was printed; return ``True`` once, when a pattern was seen for the first time."""
        for start in range(0, len(data), _PIECE_BYTES):
            if self._found or not self._patterns:
                break
            text = self._rest + data[start : start + _PIECE_BYTES].replace(b"\r", b"\n")
            # The end of an unfinished line is kept: its rest may complete the pattern.
            self._rest = text[text.rfind(b"\n") + 1 :][-_LINE_KEPT_BYTES:]
            plain = _COLOUR.sub(b"", text) if b"\x1b" in text else text
            self._found = any(self._is_in(plain, pattern) for pattern in list(self._patterns))
            if self._found:
                return True
        return False

    def _is_in(self, text: bytes, pattern: re.Pattern[bytes]) -> bool:
        before = signal.signal(signal.SIGVTALRM, _give_up)
        signal.setitimer(signal.ITIMER_VIRTUAL, _LIMIT_S)
        try:
            return pattern.search(text) is not None
        except _TooSlowError:
            self._rest = b""
            self._failures += 1
            if self._failures >= _MOST_FAILURES:
                self._patterns = [other for other in self._patterns if other is not pattern]
                self._failures = 0
                source = pattern.pattern.decode("utf-8", "replace")
                self.problem = (
                    f"the readiness pattern {source!r} needs too long on the load's output, and is no longer "
                    "looked for; write it without nested repetitions such as (a+)+ or .*.*"
                )
            return False
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, before)


def _give_up(_number: int, _frame: FrameType | None) -> None:
    raise _TooSlowError
