"""Remarks on the rounds of a load: what its guard saw of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..processes.outcome import GuardStatus
from ..processes.rules import Ready
from ..records.left_running import left_running_remarks
from ..records.log_end import log_end
from .tally import since

__all__ = ["completed_rounds", "failed_rounds_only", "rounds_in_words", "spans_in_window", "status_remarks"]

_FACTOR = 3.0
"""A round next to a busy training takes up to about twice as long as one next to an idle machine."""
_LONG_S = 1.0
"""Rounds that are all shorter are mostly start-up, which scatters."""


def completed_rounds(status: GuardStatus) -> list[int]:
    """Return the numbers of the rounds that ended with exit code 0, of the first 1000."""
    return [number for number, code in enumerate(status.exit_codes, 1) if code == 0]


def failed_rounds_only(before: GuardStatus, now: GuardStatus, log_dir: Path) -> str | None:
    """Return that rounds failed and none was completed between two moments, in words with the end of the last log.

    A round that ran out of memory, and whose batch was halved for the next one, does not count. ``None`` where it is
    not so.
    """
    between = since(before, now)
    if between.completed or between.failed <= max(0, len(now.batch_sizes) - len(before.batch_sizes)):
        return None
    codes = {number: code for number, code in enumerate(now.exit_codes, 1) if code}
    number = max(codes, default=now.round)  # of the first 1000 rounds
    log = log_dir / f"round-{number}.log"
    return (
        f"{between.failed} of {between.failed} rounds in the window failed, the last one with exit code "
        f"{codes.get(number)}; --energy-coverage-min=0 allows it. Its log {log} ends with:\n"
        f"{log_end(log) or '(nothing)'}"
    )


def rounds_in_words(status: GuardStatus) -> str:
    """Return counts of rounds, the longest gap between two, and the time for which signals stopped the load."""
    gap = "" if status.gap_s is None else f", longest gap {status.gap_s:.1f} s"
    stall = f", stopped by a signal for {status.stalled_s:.1f} s" if status.stalled_s else ""
    hang = f", hung (no CPU or GPU use) for {status.hung_s:.1f} s" if status.hung_s else ""
    return f"{status.completed} rounds completed, {status.failed} failed{gap}{stall}{hang}"


def spans_in_window(status: GuardStatus, opened_s: float, closed_s: float | None) -> tuple[tuple[float, float], ...]:
    """Return begin and end of the rounds that overlap the window, in seconds since it opened.

    Args:
        status: with its spans.
        opened_s: on the monotonic clock.
        closed_s: as well; ``None`` for a window that is open.
    """
    end_s = float("inf") if closed_s is None else closed_s
    touching = (span for span in status.spans_s if span[1] > opened_s and span[0] < end_s)
    return tuple((round(begin - opened_s, 4), round(end - opened_s, 4)) for begin, end in touching)


def status_remarks(status: GuardStatus, ready: Ready) -> Iterator[str]:
    """Yield what a reader of the record must know about the rounds, one sentence each."""
    yield from left_running_remarks(status.left_running, of_rounds=True)
    lengths_s = [
        end_s - begin_s for (begin_s, end_s), code in zip(status.spans_s, status.exit_codes, strict=False) if code == 0
    ]
    if lengths_s and max(lengths_s) >= max(_LONG_S, _FACTOR * min(lengths_s)):
        yield (
            f"its completed rounds took from {min(lengths_s):.2g} s to {max(lengths_s):.2g} s: a training that resumes "
            "from a checkpoint does less from its second round on"
        )
    if ready.kind == "training" and status.ready and status.matched_s is None:
        yield (
            "none of its metric or applied patterns matched in its log; it counted as ready because it was seen working"
        )
