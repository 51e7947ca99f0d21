"""Search of a log for patterns, in a process of its own with a deadline per pattern.

A regular expression can need exponential time on a short line, and Python cannot stop it from another thread. This
file is therefore also run as a script: it imports only the standard library, reads a job as JSON from its standard
input and prints the matches as JSON. Memory is bounded by the size of one block, whatever the size of the log.
"""

from __future__ import annotations

import json
import math
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

__all__ = [
    "LONGEST_LINE",
    "MOST_BYTES",
    "MOST_MARKS",
    "PATTERN_DEADLINE_S",
    "blocks",
    "lines",
    "plain_text",
    "search",
    "search_marks",
    "search_sample",
]

LONGEST_LINE = 8192
"""Characters of a line that are searched: ``.*x`` needs time that grows with the square of a line's length."""
MOST_BYTES = 64 * 1024 * 1024
"""Of a larger log the first and the last half of this are searched."""
MOST_KEPT = 1000
"""Numbers of one metric that are kept in a record, where the registry asks for all of them."""
PATTERN_DEADLINE_S = 5.0
"""Seconds of search per pattern, for the whole log."""

MOST_MARKS = 200_000
"""Lines that name an epoch, in one log."""
_BLOCK_BYTES = 1 << 20
_LINE = re.compile(rb"[^\r\n]+")
_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")


class _DeadlineError(Exception):
    """The time of a pattern is over."""


def plain_text(text: str) -> str:
    """Return a log as its patterns see it: without colour codes, each redrawn progress line on a line of its own."""
    return _ANSI.sub("", text).replace("\r\n", "\n").replace("\r", "\n")


def blocks(log: Path) -> Iterator[tuple[str, int]]:
    """Yield parts of a log, each of whole lines, with the number of its lines that were shortened.

    Raises:
        OSError: the file cannot be read.
    """
    with log.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(0)
        if size <= MOST_BYTES:
            yield from _blocks(stream, size)
            return
        yield from _blocks(stream, MOST_BYTES // 2)
        stream.seek(size - MOST_BYTES // 2)
        yield from _blocks(stream, MOST_BYTES // 2)


def _blocks(stream: BinaryIO, count: int) -> Iterator[tuple[str, int]]:
    rest = b""
    while count > 0 and (raw := stream.read(min(_BLOCK_BYTES, count))):
        count -= len(raw)
        raw = rest + raw
        end = max(raw.rfind(b"\n"), raw.rfind(b"\r")) + 1
        # A line longer than a block is shortened in any case: the rest of it counts as the next line.
        end = end or len(raw)
        rest, raw = raw[end:], raw[:end]
        yield _shortened(raw)
    if rest:
        yield _shortened(rest)


def _shortened(raw: bytes) -> tuple[str, int]:
    text = plain_text(raw.decode("utf-8", "replace"))
    lines = text.split("\n")
    long = sum(len(line) > LONGEST_LINE for line in lines)
    return ("\n".join(line[:LONGEST_LINE] for line in lines) if long else text), long


class Numbers:
    """The finite numbers among the matches of one pattern: what can be told without keeping them all."""

    def __init__(self) -> None:
        self.count = 0
        self.first = self.min = self.max = self.mean = 0.0
        self.series: list[float] = []
        """The first 1000."""

    def add(self, text: str) -> None:
        """Count a match, if it is a finite number."""
        try:
            number = float(text.strip())
        except ValueError:
            return
        if not math.isfinite(number):
            return
        if self.count == 0:
            self.first = self.min = self.max = number
        self.count += 1
        self.min, self.max = min(self.min, number), max(self.max, number)
        self.mean += (number - self.mean) / self.count
        if len(self.series) < MOST_KEPT:
            self.series.append(number)


def search(log: Path, first: dict[str, str], last: dict[str, str], deadline_s: float) -> dict[str, Any]:
    """Return the matches of all patterns; call this in the main thread of a process that nothing else uses.

    Args:
        log: the file.
        first: name to pattern, of which the first match counts.
        last: name to pattern, of which the last match counts, or what :class:`Numbers` makes of all matches.
        deadline_s: seconds per pattern.

    Returns:
        ``first`` and ``last`` (name to the text of group 1), ``numbers`` (name of a pattern in ``last`` to the fields
        of :class:`Numbers`), ``slow`` (patterns that were given up, as ``[kind, name]``) and ``shortened`` (number of
        lines).
    """
    signal.signal(signal.SIGALRM, _raise_deadline)
    wanted = {("first", name): re.compile(text, re.MULTILINE) for name, text in first.items()}
    wanted |= {("last", name): re.compile(text, re.MULTILINE) for name, text in last.items()}
    left_s = dict.fromkeys(wanted, deadline_s)
    found: dict[tuple[str, str], str] = {}
    numbers = {name: Numbers() for name in last}
    slow, shortened = [], 0
    for text, long in blocks(log):
        shortened += long
        for key in list(left_s):
            started = time.monotonic()
            try:
                match = _match(wanted[key], text, left_s[key], None if key[0] == "first" else numbers[key[1]])
            except _DeadlineError:
                slow.append(list(key))
                found.pop(key, None)
                numbers.pop(key[1] if key[0] == "last" else "", None)
                del left_s[key]
                continue
            left_s[key] = max(left_s[key] - (time.monotonic() - started), 0.001)
            if match is not None:
                found[key] = match.group(1) or ""
                if key[0] == "first":
                    del left_s[key]
    return {
        "first": {name: text for (kind, name), text in found.items() if kind == "first"},
        "last": {name: text for (kind, name), text in found.items() if kind == "last"},
        "numbers": {name: vars(those) for name, those in numbers.items() if those.count},
        "slow": slow,
        "shortened": shortened,
    }


def lines(log: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a log that are not empty, each with the number of bytes up to its end.

    A carriage return ends a line, too. Of a log that is too large its two halves are read, as for :func:`blocks`.

    Raises:
        OSError: the file cannot be read.
    """
    with log.open("rb") as stream:
        size = stream.seek(0, 2)
        parts = [(0, size)] if size <= MOST_BYTES else [(0, MOST_BYTES // 2), (size - MOST_BYTES // 2, size)]
        for place, end in parts:
            stream.seek(place)
            rest, at = b"", place
            while at < end and (raw := stream.read(min(_BLOCK_BYTES, end - at))):
                start, at = at - len(rest), at + len(raw)
                raw = rest + raw
                cut = max(raw.rfind(b"\n"), raw.rfind(b"\r")) + 1 if at < end else len(raw)
                cut = cut or len(raw)
                for found in _LINE.finditer(raw, 0, cut):
                    text = plain_text(found.group()[:LONGEST_LINE].decode("utf-8", "replace"))
                    yield start + found.end(), text
                rest = raw[cut:]


def search_marks(log: Path, patterns: dict[str, str], deadline_s: float) -> dict[str, Any]:
    """Return every line that matches a pattern, in order; call this as :func:`search` is called.

    Args:
        log: the file.
        patterns: name to pattern, searched for in each line.
        deadline_s: seconds per pattern.

    Returns:
        ``marks`` (name to a list of ``[bytes up to the line's end, text of group 1]``) and ``slow`` (names of patterns
        that were given up, or matched too many lines).
    """
    signal.signal(signal.SIGALRM, _raise_deadline)
    marks: dict[str, list[tuple[int, str]]] = {}
    slow = []
    for name, pattern_text in patterns.items():
        pattern, found = re.compile(pattern_text), marks.setdefault(name, [])
        signal.setitimer(signal.ITIMER_REAL, deadline_s)
        try:
            for end, line in lines(log):
                if (match := pattern.search(line)) is not None:
                    found.append((end, match.group(1) or ""))
                    if len(found) > MOST_MARKS:
                        break
        except _DeadlineError:
            slow.append(name)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    many = [name for name, found in marks.items() if len(found) > MOST_MARKS]
    return {"marks": marks, "slow": [*slow, *many]}


def search_sample(sample: dict[str, Any], deadline_s: float) -> dict[str, Any]:
    """Return how patterns fare in a sample log; call this as :func:`search` is called.

    Args:
        sample: ``logs`` (paths of files that count as one log), ``patterns`` (name to pattern) and ``numbers`` (names
            of the patterns whose matches must all be numbers).
        deadline_s: seconds per pattern.

    Returns:
        ``missing`` (names of patterns without a match), ``slow`` (names of patterns that were given up) and ``odd``
        (name to a match that is not a number).
    """
    signal.signal(signal.SIGALRM, _raise_deadline)
    missing, slow, odd = [], [], {}
    for name, pattern_text in sample["patterns"].items():
        pattern, count = re.compile(pattern_text, re.MULTILINE), 0
        signal.setitimer(signal.ITIMER_REAL, deadline_s)
        try:
            for match in (
                found for log in sample["logs"] for text, _ in blocks(Path(log)) for found in pattern.finditer(text)
            ):
                count += 1
                if name not in sample["numbers"]:
                    break
                if not _is_number(match.group(1) or ""):
                    odd[name] = match.group(1) or ""
                    break
        except _DeadlineError:
            slow.append(name)
            continue
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if not count:
            missing.append(name)
    return {"missing": missing, "slow": slow, "odd": odd}


def _is_number(text: str) -> bool:
    try:
        float(text.strip())
    except ValueError:
        return False
    return True


def _match(pattern: re.Pattern[str], text: str, seconds: float, numbers: Numbers | None) -> re.Match[str] | None:
    # The regular-expression engine looks for signals while it backtracks, so an alarm ends it.
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        if numbers is None:
            return pattern.search(text)
        match = None
        for match in pattern.finditer(text):
            numbers.add(match.group(1) or "")
        return match
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _raise_deadline(_number: int, _frame: object) -> None:
    raise _DeadlineError


if __name__ == "__main__":
    job = json.load(sys.stdin)
    if "marks" in job:
        json.dump(search_marks(Path(job["log"]), job["marks"], job["deadline_s"]), sys.stdout)
    elif "samples" in job:
        json.dump([search_sample(sample, job["deadline_s"]) for sample in job["samples"]], sys.stdout)
    else:
        json.dump(search(Path(job["log"]), job["first"], job["last"], job["deadline_s"]), sys.stdout)
