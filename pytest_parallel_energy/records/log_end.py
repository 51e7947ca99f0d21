"""The end of a log, for messages: the last lines, or the one line that says most."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["log_end", "telling_line"]

_READ_BYTES = 64 << 10
_LINES = 20
_WIDEST = 200
_CONTROL = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
_WORD = re.compile(r"\w")
_EXCEPTION = re.compile(r"(?:\[rank\d+\]:\s*)?[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit)\b(?::.*)?")
"""The last line of a Python traceback; torch puts the rank before it."""
_CONDA = re.compile(r"^ERROR conda\.cli\.main_run:.*?` failed\. \(See above for error\)$", re.DOTALL | re.MULTILINE)
"""The words of ``conda run`` after a program that failed; they repeat its arguments, which may have several lines."""


def log_end(log: Path, lines: int = _LINES) -> str:
    """Return the last lines of a log, without empty lines at its end and colours; why not if it cannot be read."""
    try:
        return "\n".join(line[:_WIDEST] for line in _last_lines(log)[-lines:])
    except OSError as problem:
        return f"(the log cannot be read: {problem})"


def telling_line(log: Path) -> str:
    """Return the line that says most about a failure: the last one of a traceback, else the last one with a word.

    The frame of equals signs that launchers such as ``torchrun`` print says nothing, and neither does their summary
    where a rank printed its own error, nor what ``conda run`` prints after the program.
    """
    try:
        lines = [line.strip() for line in _CONDA.sub("", "\n".join(_last_lines(log))).split("\n")]
    except OSError as problem:
        return f"(the log cannot be read: {problem})"
    errors = [line for line in lines if _EXCEPTION.fullmatch(line) and "ChildFailedError" not in line]
    worded = [line for line in lines if _WORD.search(line)]
    return next(iter([*errors[-1:], *worded[-1:]]), "(it is empty)")[:_WIDEST]


def _last_lines(log: Path) -> list[str]:
    with log.open("rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - _READ_BYTES))
        text = stream.read().decode("utf-8", "replace")
    return _CONTROL.sub("", text).replace("\r\n", "\n").replace("\r", "\n").rstrip().split("\n")
