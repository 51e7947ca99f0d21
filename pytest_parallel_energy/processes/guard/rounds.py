"""Tally of the rounds: counts, times, and how long to wait before the next one."""

from __future__ import annotations

from typing import Any

__all__ = ["Rounds"]

_KEPT_EXIT_CODES = 1000
_KEPT_SPANS = 500


class Rounds:
    """The tally of one load. Times are seconds on the monotonic clock.

    A round is *bad* when it fails, or ends so soon that it cannot have done anything. After bad rounds in a row the
    next one is put off for longer and longer, up to a limit (as s6-supervise does by its death tally).
    """

    def __init__(self, *, min_round_s: float, backoff_s: float, backoff_max_s: float) -> None:
        self.number = 0
        self.completed = 0
        self.failed = 0
        self.bad_in_a_row = 0
        self.began_s: float | None = None
        """When the present round began; ``None`` between rounds."""
        self.last_code: int | None = None
        self._exit_codes: list[int] = []
        self._spans_s: list[tuple[float, float]] = []
        self._min_round_s = min_round_s
        self._backoff_s = backoff_s
        self._backoff_max_s = backoff_max_s
        self._ended_s: float | None = None
        self._ran_s = 0.0
        self._ran_until_bad_s = 0.0
        self._broken_off_s = 0.0
        self._gap_s: float | None = None
        self._stopped = False
        self._longest_s = 0.0
        self._shortest_s: float | None = None

    def begin(self, now_s: float) -> None:
        """Note that a round begins."""
        self.number += 1
        self.began_s = now_s
        if self._ended_s is not None:
            self._gap_s = max(self._gap_s or 0.0, now_s - self._ended_s)

    def end(self, now_s: float, code: int) -> None:
        """Note the exit code of the present round; do nothing between rounds."""
        if self.began_s is None:
            return
        took_s = now_s - self.began_s
        self._keep_span(self.began_s, now_s)
        self._ran_s += took_s
        self._longest_s = max(self._longest_s, took_s)
        self._shortest_s = took_s if self._shortest_s is None else min(self._shortest_s, took_s)
        self.began_s, self._ended_s, self.last_code = None, now_s, code
        if code == 0:
            self.completed += 1
        else:
            self.failed += 1
        if len(self._exit_codes) < _KEPT_EXIT_CODES:
            self._exit_codes.append(code)
        self.bad_in_a_row = self.bad_in_a_row + 1 if code != 0 or took_s < self._min_round_s else 0
        if self.bad_in_a_row:
            self._ran_until_bad_s = self._ran_s

    def break_off(self, now_s: float) -> None:
        """Note that the load is stopped: the present round is neither completed nor failed, and no gap follows."""
        self._gap_s = self._longest_gap_s(now_s)
        self._stopped = True
        if self.began_s is not None:
            self._ran_s += now_s - self.began_s
            self._broken_off_s += now_s - self.began_s
            self._keep_span(self.began_s, now_s)
            self.began_s, self._ended_s = None, now_s

    def _keep_span(self, began_s: float, ended_s: float) -> None:
        if len(self._spans_s) < _KEPT_SPANS:
            self._spans_s.append((began_s, ended_s))

    def spans_s(self, now_s: float) -> list[tuple[float, float]]:
        """Return begin and end of each of the first 500 rounds; the present one goes up to now."""
        running = [] if self.began_s is None else [(self.began_s, now_s)]
        return [*self._spans_s, *running][:_KEPT_SPANS]

    def delay_s(self) -> float:
        """Return how long to wait before the next round: 0 after a good one."""
        if not self.bad_in_a_row:
            return 0.0
        return min(self._backoff_max_s, self._backoff_s * 2.0 ** min(self.bad_in_a_row - 1, 30))

    def ran_s(self, now_s: float) -> float:
        """Return the seconds during which a round ran, up to now."""
        return self._ran_s + (0.0 if self.began_s is None else now_s - self.began_s)

    def good_s(self, now_s: float) -> float | None:
        """Return the seconds of rounds since the last bad one ended, up to now; ``None`` between rounds."""
        return None if self.began_s is None else self.ran_s(now_s) - self._ran_until_bad_s

    def _longest_gap_s(self, now_s: float) -> float | None:
        if self._stopped or self.began_s is not None or self._ended_s is None:
            return self._gap_s
        return max(self._gap_s or 0.0, now_s - self._ended_s)

    def figures(self, now_s: float) -> dict[str, Any]:
        """Return fields of ``GuardStatus``."""
        return {
            "round": self.number,
            "completed": self.completed,
            "failed": self.failed,
            "exit_codes": self._exit_codes,
            "ran_s": self.ran_s(now_s),
            "gap_s": self._longest_gap_s(now_s),
            "ended_s": self._ran_s - self._broken_off_s,
            "longest_s": self._longest_s if self._exit_codes else None,
            "shortest_s": self._shortest_s,
        }
