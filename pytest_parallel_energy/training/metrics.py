"""The metrics that a training reported in its log, and the values that it really applied."""

from __future__ import annotations

import json
import math
import re
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from msgspec import Struct, field

from ..errors import ConfigError
from ..mutation.distributions import Value
from . import log_search
from .hyperparameter import Hyperparameter

__all__ = ["LogMetric", "LogReading", "read_log_file", "run_search"]

_WHOLE_DEADLINE_S = 60.0
"""Seconds after which the reading of a log is given up, whatever it is busy with."""
_RELATIVE = 1e-6
"""Two floats that differ by less are the same value: a float32 keeps seven digits."""
_DIGITS_ENOUGH = 3
"""A log that shows so many significant digits of a value shows that value; fewer only show something near it."""


class LogMetric(NamedTuple):
    """A metric of the log: its pattern, and which of the matches counts.

    ``each`` keeps them all in the record; the last one is the metric.
    """

    pattern: re.Pattern[str]
    pick: Literal["last", "first", "min", "max", "mean", "each"] = "last"


class LogReading(Struct, frozen=True, kw_only=True):
    """The findings in one log.

    Args:
        metrics: the last match of each pattern as a finite number, or what its ``pick`` says.
        series: all numbers of the metrics whose pick is ``each``, the first 1000.
        applied: the first match of each hyperparameter's *applied* pattern.
        flags: remarks for the reader: a value that was asked for and not applied, a metric that is not a number.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    series: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    applied: Mapping[str, Value] = field(default_factory=dict)
    flags: tuple[str, ...] = ()


def read_log_file(
    log: Path,
    patterns: Mapping[str, re.Pattern[str] | LogMetric],
    hyperparameters: Mapping[str, Hyperparameter],
    values: Mapping[str, Value],
    *,
    deadline_s: float = log_search.PATTERN_DEADLINE_S,
) -> LogReading:
    """Return what a log says. The search runs in a child process and ends within a minute.

    A metric is the *last* match of its pattern unless its ``pick`` says otherwise, because trainings print it again in
    each epoch. An applied value is
    the *first* match, because a schedule changes it afterwards. A flag names a pattern that ran out of time, lines
    that were shortened, and a log of which only both ends were read.

    Args:
        log: the file; one that cannot be read becomes a flag.
        patterns: one per metric, with one group that holds a number.
        hyperparameters: those of the workload; the ones with an *applied* pattern are compared.
        values: the requested values; ``None`` was left to the training, and is not compared.
        deadline_s: seconds of search per pattern.
    """
    wanted = {name: LogMetric(some) if isinstance(some, re.Pattern) else some for name, some in patterns.items()}
    compared = {name: some for name, some in hyperparameters.items() if some.applied is not None}
    job = {
        "log": str(log.absolute()),
        "first": {name: some.applied.pattern for name, some in compared.items() if some.applied},
        "last": {name: metric.pattern.pattern for name, metric in wanted.items()},
        "deadline_s": deadline_s,
    }
    try:
        status = log.stat()
        if not stat.S_ISREG(status.st_mode):
            return LogReading(flags=(f"the log cannot be read: {log} is not a plain file",))
        nothing: dict[str, Any] = {"first": {}, "last": {}, "numbers": {}, "slow": [], "shortened": 0}
        found: dict[str, Any] = run_search(job) if job["first"] or job["last"] else nothing
    except (OSError, ValueError, subprocess.SubprocessError) as problem:
        return LogReading(flags=(f"the log cannot be read: {problem}",))
    flags = _search_flags(found, status.st_size, deadline_s)
    metrics: dict[str, float] = {}
    for name, text in found["last"].items():
        pick, numbers = wanted[name].pick, found["numbers"].get(name)
        number = _number(text) if pick in {"last", "each"} or numbers is None else numbers[pick]
        if number is None:
            flags.append(f"{name}: the log shows {text!r}, which is not a finite number")
        else:
            metrics[name] = number
    applied: dict[str, Value] = {}
    for name, hyperparameter in compared.items():
        if ["first", name] not in found["slow"]:
            flags.extend(_compare(hyperparameter, found["first"].get(name), values.get(name), applied))
    series = {name: tuple(those["series"]) for name, those in found["numbers"].items() if wanted[name].pick == "each"}
    return LogReading(metrics=metrics, series=series, applied=applied, flags=tuple(flags))


def run_search(job: dict[str, Any]) -> Any:
    """Run a job of ``log_search`` in a process of its own, and return its result.

    Raises:
        OSError: a file cannot be read, or the process failed.
        subprocess.TimeoutExpired: the job took more than a minute.
    """
    command = [sys.executable, "-I", "-S", log_search.__file__]
    done = subprocess.run(
        command, input=json.dumps(job), capture_output=True, text=True, timeout=_WHOLE_DEADLINE_S, check=False
    )
    if done.returncode != 0:
        raise OSError((done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])
    return json.loads(done.stdout)


def _search_flags(found: dict[str, Any], size: int, deadline_s: float) -> list[str]:
    flags = [
        f"{name}: its {'applied' if kind == 'first' else 'metric'} pattern was stopped after {deadline_s:g} s of search"
        f" in the log; write a pattern that begins with fixed text, without nested repetition such as (a+)+"
        for kind, name in found["slow"]
    ]
    if found["shortened"]:
        count, longest = found["shortened"], log_search.LONGEST_LINE
        flags.append(f"only the first {longest} characters of long lines in the log were searched (number: {count})")
    if size > log_search.MOST_BYTES:
        half = log_search.MOST_BYTES // 2
        flags.append(f"the log has {size} bytes; only its first and last {half} bytes were searched")
    return flags


def _number(text: str | None) -> float | None:
    try:
        number = float((text or "").strip())
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _compare(
    hyperparameter: Hyperparameter, found: str | None, requested: Value, applied: dict[str, Value]
) -> list[str]:
    """Return the flags of one hyperparameter, and put the value that the log shows into ``applied``."""
    name = hyperparameter.name
    if found is None:
        return [] if requested is None else [f"{name}: the log does not show which value was applied"]
    text = found.strip()
    try:
        value = hyperparameter.parsed(text)
    except ConfigError:
        return [f"{name}: the log shows {text!r}, which is not a value of type {hyperparameter.kind}"]
    applied[name] = value
    if requested is None or _same(requested, value, text):
        return []
    return [f"{name}: asked for {requested!r}, applied {text}"]


def _same(requested: Value, value: Value, text: str) -> bool:
    if requested == value or not isinstance(requested, float) or not isinstance(value, float):
        return requested == value
    if math.isclose(requested, value, rel_tol=_RELATIVE):
        return True
    digits = len(re.sub(r"[eE].*|\D", "", text).lstrip("0"))
    return digits >= _DIGITS_ENOUGH and f"{requested:.{digits - 1}e}" == f"{value:.{digits - 1}e}"
