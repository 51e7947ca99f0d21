"""What a training's log says: the metrics it reported, and the values it really applied."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ConfigError
from ..mutation.distributions import Value
from .hyperparameter import Hyperparameter

__all__ = ["LogReading", "read_log", "read_log_file"]

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_MOST_BYTES = 64 * 1024 * 1024
_RELATIVE = 1e-6
"""Two floats that differ by less are the same value: a float32 keeps seven digits."""
_DIGITS_ENOUGH = 3
"""A log that shows so many significant digits of a value shows that value; fewer only show something near it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReading:
    """What was found in one log.

    Args:
        metrics: the last match of each pattern, as a finite number.
        applied: the first match of each hyperparameter's *applied* pattern.
        flags: what a person should know: a value that was asked for and not applied, a metric that is not a number.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    applied: Mapping[str, Value] = field(default_factory=dict)
    flags: tuple[str, ...] = ()


def plain_text(text: str) -> str:
    """A log as its patterns see it: without colour codes, and with each redrawn progress line on a line of its own."""
    return _ANSI.sub("", text).replace("\r\n", "\n").replace("\r", "\n")


def read_log_file(
    log: Path,
    patterns: Mapping[str, re.Pattern[str]],
    hyperparameters: Mapping[str, Hyperparameter],
    values: Mapping[str, Value],
) -> LogReading:
    """``read_log`` for a file; of a huge one the first and the last 32 MiB count, and a flag says so."""
    try:
        size = log.stat().st_size
        with log.open("rb") as stream:
            raw = stream.read(_MOST_BYTES // 2 if size > _MOST_BYTES else _MOST_BYTES)
            if size > _MOST_BYTES:
                stream.seek(-(_MOST_BYTES // 2), 2)
                raw += b"\n" + stream.read(_MOST_BYTES // 2)
    except OSError as problem:
        return LogReading(flags=(f"the log cannot be read: {problem}",))
    reading = read_log(raw.decode("utf-8", "replace"), patterns, hyperparameters, values)
    if size > _MOST_BYTES:
        note = f"the log has {size} bytes; its first and last {_MOST_BYTES // 2} were read"
        return LogReading(metrics=reading.metrics, applied=reading.applied, flags=(*reading.flags, note))
    return reading


def read_log(
    text: str,
    patterns: Mapping[str, re.Pattern[str]],
    hyperparameters: Mapping[str, Hyperparameter],
    values: Mapping[str, Value],
) -> LogReading:
    """What a log says.

    A metric is the *last* match of its pattern, because trainings print it again each epoch. An applied value is the
    *first* match, because a schedule moves it afterwards.

    Args:
        text: the log.
        patterns: one a metric, with one group that holds a number.
        hyperparameters: those of the workload; the ones with an *applied* pattern are compared.
        values: what was asked for; ``None`` was left to the training, and is not compared.
    """
    text, flags = plain_text(text), []
    metrics: dict[str, float] = {}
    for name, pattern in patterns.items():
        found = None
        for found in pattern.finditer(text):  # noqa: B007 - the last one is wanted
            pass
        if found is None:
            continue
        number = _number(found.group(1))
        if number is None:
            flags.append(f"{name}: the log shows {found.group(1)!r}, which is not a finite number")
        else:
            metrics[name] = number
    applied: dict[str, Value] = {}
    for name, one in hyperparameters.items():
        if one.applied is not None:
            flags.extend(_compare(one, one.applied.search(text), values.get(name), applied))
    return LogReading(metrics=metrics, applied=applied, flags=tuple(flags))


def _number(text: str | None) -> float | None:
    try:
        number = float((text or "").strip())
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _compare(one: Hyperparameter, found: re.Match[str] | None, asked: Value, applied: dict[str, Value]) -> list[str]:
    if found is None:
        return [] if asked is None else [f"{one.name}: the log does not show which value was applied"]
    text = (found.group(1) or "").strip()
    try:
        value = one.parsed(text)
    except ConfigError:
        return [f"{one.name}: the log shows {text!r}, which is not a value of type {one.kind}"]
    applied[one.name] = value
    if asked is None or _same(asked, value, text):
        return []
    return [f"{one.name}: asked for {asked!r}, applied {text}"]


def _same(asked: Value, value: Value, text: str) -> bool:
    if asked == value or not isinstance(asked, float) or not isinstance(value, float):
        return asked == value
    if math.isclose(asked, value, rel_tol=_RELATIVE):
        return True
    digits = len(re.sub(r"[eE].*|\D", "", text).lstrip("0"))
    return digits >= _DIGITS_ENOUGH and f"{asked:.{digits - 1}e}" == f"{value:.{digits - 1}e}"
