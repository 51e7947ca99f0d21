"""The moments at which a training printed certain lines: the ends of its epochs, and a metric that reached a value."""

from __future__ import annotations

import bisect
import itertools
import math
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct, field

from . import log_search
from .metrics import run_search

__all__ = ["EpochMarks", "EpochSpan", "LogMarks", "MarkedLog", "Reached", "Targets", "read_log_marks"]

_EPOCH = "epoch"
_LATE_RATIO = 0.5
"""A training that runs on for more than this share of an epoch after its last epoch's end has another kind of line."""


class EpochMarks(Struct, frozen=True, kw_only=True):
    """The lines of a log that name an epoch.

    Args:
        pattern: finds the line; its group is the number or name of the epoch.
        line: ``ends``: the last line that names an epoch is printed at its end; ``begins``: the first one is printed at
            its beginning.
    """

    pattern: re.Pattern[str]
    line: Literal["begins", "ends"] = "ends"


class EpochSpan(Struct, frozen=True, kw_only=True):
    """One epoch; its ends are seconds on the monotonic clock."""

    name: str
    """As the log writes it, such as ``3``."""
    start_s: float
    end_s: float


class Reached(Struct, frozen=True, kw_only=True):
    """A metric that should reach a value; ``at_s`` (monotonic clock) is ``None`` where it never did."""

    metric: str
    target: float
    at_s: float | None


class LogMarks(Struct, frozen=True, kw_only=True):
    """What the times of a log's lines tell about a training."""

    start_s: float = 0.0
    """The training's start, on the monotonic clock."""
    epochs: tuple[EpochSpan, ...] = ()
    reached: tuple[Reached, ...] = ()
    flags: tuple[str, ...] = field(default=())


class MarkedLog(Struct, frozen=True, kw_only=True):
    """A log with the file of its times, and the moments between which the training ran (monotonic clock).

    Args:
        log: the output.
        times: written by the guard.
        start_s: the training's start.
        end_s: its end.
    """

    log: Path
    times: Path
    start_s: float
    end_s: float


class Targets(Struct, frozen=True, kw_only=True):
    """Values that metrics should reach: patterns and targets by metric, and those of which lower is better."""

    patterns: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    lower: frozenset[str] = frozenset()


def read_log_marks(marked: MarkedLog, epoch: EpochMarks | None, targets: Targets) -> LogMarks:
    """Return the epochs and the reached values of a training that has ended; the search runs in a child process.

    A log or times that cannot be read become a flag.
    """
    patterns = {f"reach {name}": pattern.pattern for name, pattern in targets.patterns.items()}
    if epoch is not None:
        patterns[_EPOCH] = epoch.pattern.pattern
    if not patterns:
        return LogMarks(start_s=marked.start_s)
    job = {"log": str(marked.log.absolute()), "marks": patterns, "deadline_s": log_search.PATTERN_DEADLINE_S}
    try:
        found: dict[str, Any] = run_search(job)
        clock = _Clock.read(marked)
    except (OSError, ValueError, subprocess.SubprocessError) as problem:
        return LogMarks(start_s=marked.start_s, flags=(f"the epochs of the log are unknown: {problem}",))
    times = {name: [(clock.at_s(end), text) for end, text in marks] for name, marks in found["marks"].items()}
    flags = [f"{name}: its pattern was given up: it is too slow, or matches too many lines" for name in found["slow"]]
    spans: tuple[EpochSpan, ...] = ()
    if epoch is not None and _EPOCH not in found["slow"]:
        spans = _spans(times[_EPOCH], epoch, marked)
        flags += _epoch_flags(spans, epoch, marked)
    reached = []
    for name, value in targets.values.items():
        at_s = _first_reached(times[f"reach {name}"], value, lower=name in targets.lower)
        reached.append(Reached(metric=name, target=value, at_s=at_s))
    return LogMarks(start_s=marked.start_s, epochs=spans, reached=tuple(reached), flags=tuple(flags))


class _Clock:
    """Gives the time at which a byte of the log arrived."""

    def __init__(self, entries: Sequence[tuple[int, float]]) -> None:
        self._ends = [end for end, _ in entries]
        self._at_s = [at_s for _, at_s in entries]

    @classmethod
    def read(cls, marked: MarkedLog) -> _Clock:
        """Read the times of a log.

        Raises:
            OSError: a file cannot be read.
            ValueError: it holds no times, or the log is not complete.
        """
        entries = []
        for line in marked.times.read_text("ascii").splitlines():
            end, _, at_s = line.partition(" ")
            entries.append((int(end), float(at_s)))
        if not entries:
            raise ValueError("the training printed nothing")
        size = marked.log.stat().st_size
        if size < entries[-1][0]:
            raise ValueError(f"the log holds {size} of the {entries[-1][0]} bytes that the training printed")
        return cls(entries)

    def at_s(self, end_bytes: int) -> float:
        """Return the time of the piece of output that holds the byte before ``end_bytes``."""
        return self._at_s[min(bisect.bisect_left(self._ends, end_bytes), len(self._ends) - 1)]


def _spans(marks: Sequence[tuple[float, str]], epoch: EpochMarks, marked: MarkedLog) -> tuple[EpochSpan, ...]:
    """Return the epochs between the lines that name them; lines in a row that name the same epoch are one."""
    groups = [(name, [at_s for at_s, _ in group]) for name, group in itertools.groupby(marks, lambda mark: mark[1])]
    if not groups:
        return ()
    names = [name.strip() for name, _ in groups]
    if epoch.line == "begins":
        cuts = [*(times[0] for _, times in groups), marked.end_s]
    else:
        cuts = [marked.start_s, *(times[-1] for _, times in groups)]
    return tuple(
        EpochSpan(name=name, start_s=start, end_s=end)
        for name, (start, end) in zip(names, itertools.pairwise(cuts), strict=True)
    )


def _epoch_flags(spans: Sequence[EpochSpan], epoch: EpochMarks, marked: MarkedLog) -> list[str]:
    if not spans:
        return [f"no line of the log matches the epoch pattern {epoch.pattern.pattern!r}"]
    lengths_s = sorted(span.end_s - span.start_s for span in spans[1:])
    rest_s = marked.end_s - spans[-1].end_s
    if epoch.line == "begins" or not lengths_s or rest_s <= _LATE_RATIO * lengths_s[len(lengths_s) // 2]:
        return []
    sentence = (
        f"the training ran on for {rest_s:.1f} s after its last epoch line, which is long for an epoch of "
        f"{lengths_s[len(lengths_s) // 2]:.1f} s: if the line is printed at the beginning of an epoch, write "
        '"line": "begins" beside the epoch pattern in the registry'
    )
    return [sentence]


def _first_reached(marks: Sequence[tuple[float, str]], target: float, *, lower: bool) -> float | None:
    for at_s, text in marks:
        try:
            value = float(text.strip())
        except ValueError:
            continue
        if math.isfinite(value) and (value <= target if lower else value >= target):
            return at_s
    return None
