"""Parsers of option values: each takes text, or a value of the right type, and returns what ``Settings`` holds."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ConfigError, did_you_mean
from ..units import parse_joules, parse_seconds
from .order import ORDERS

if TYPE_CHECKING:
    from ..host.cooldown import CoolDown
    from ..host.lock import LockMode
    from ..reports.costs import Factor
    from ..reports.writers import ReportTarget
    from ..statistics.quantities import Threshold
    from .shards import Shard

__all__ = ["PARSERS", "Label"]

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off", ""})


class Label(NamedTuple):
    """One label of ``--energy-tag=KEY=VALUE``."""

    key: str
    value: str

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


def _text(given: object) -> str:
    if not isinstance(given, str):
        raise ConfigError(f"{given!r} is not text; write it in quotes")
    return given


def _flag(given: object) -> bool:
    if isinstance(given, bool):
        return given
    text = str(given).lower()
    if text not in _TRUE | _FALSE:
        raise ConfigError(f"{given!r} is neither true nor false; write 1 or 0")
    return text in _TRUE


def _devices(given: Any) -> str:
    from ..processes.visible_devices import device_list

    if isinstance(given, bool) or not isinstance(given, str | int | list | tuple):
        raise ConfigError(f"{given!r} names no GPUs: write an index, a UUID, or a list of them")
    return device_list(given)


def _folder(given: object) -> str:
    text = _text(given)
    if not text.strip():
        raise ConfigError("the folder's name is empty (an unset variable?); name a folder, such as energy-results")
    return text


def _number(given: object) -> float | None:
    """Return a number that is given as such or as text; ``None`` for anything else."""
    if isinstance(given, bool) or not isinstance(given, (int, float, str)):
        return None
    try:
        return float(given)
    except ValueError:
        return None


def _whole(given: object, least: int | None = None) -> int:
    try:
        whole = int(given) if isinstance(given, str) else given
    except ValueError:
        whole = None
    if isinstance(whole, bool) or not isinstance(whole, int) or (least is not None and whole < least):
        limit = "" if least is None else f" of {least} or more"
        raise ConfigError(f"{given!r} is not a whole number{limit}")
    return whole


def _seconds(given: object) -> float:
    if isinstance(given, str):
        return parse_seconds(given)
    seconds = _number(given)
    if seconds is None or seconds < 0:
        raise ConfigError(f"{given!r} is not a time of 0 seconds or more")
    return seconds


def _positive_seconds(given: object) -> float:
    if (seconds := _seconds(given)) <= 0:
        raise ConfigError(f"{given!r} is not a time above 0 seconds")
    return seconds


def _joules(given: object) -> float:
    if (joules := parse_joules(_text(given))) <= 0:
        raise ConfigError(f"{given!r} is not an energy above 0")
    return joules


def _ratio(given: object) -> float:
    ratio = _number(given)
    if ratio is None or not 0 <= ratio <= 1:
        raise ConfigError(f"{given!r} is not a fraction from 0 to 1")
    return ratio


def _names(given: object) -> tuple[str, ...]:
    names = tuple(name.strip() for name in _text(given).split(",") if name.strip())
    if not names:
        raise ConfigError(f"{given!r} holds no name; write names separated by commas")
    return names


def _label(given: object) -> Label:
    key, equals, value = _text(given).partition("=")
    if not key or not equals:
        raise ConfigError(f"{given!r} is not KEY=VALUE")
    return Label(key, value)


def _one_of(known: tuple[str, ...]) -> Callable[[object], Any]:
    def parse(given: object) -> str:
        if given not in known:
            raise ConfigError(f"invalid value {given!r}; {did_you_mean(str(given), known)}")
        return str(given)

    return parse


def _cool_down(given: object) -> CoolDown:
    from ..host.cooldown import CoolDown, parse_cool_down

    if isinstance(given, CoolDown):
        return given
    return parse_cool_down(given if isinstance(given, str) else f"{_seconds(given):g}")


def _lock_mode(given: object) -> LockMode:
    from ..host.lock import parse_lock_mode

    return parse_lock_mode(_text(given))


def _shard(given: object) -> Shard:
    from .shards import parse_shard

    return parse_shard(_text(given), os.environ)


def _threshold(given: object) -> Threshold:
    from ..statistics.quantities import parse_threshold

    return parse_threshold(_text(given))


def _report(given: object) -> ReportTarget:
    from ..reports.writers import parse_target

    return parse_target(_text(given))


def _baseline(given: object) -> str:
    from ..statistics.baseline import DEFAULT_NAME, check_name

    return check_name(_text(given) or DEFAULT_NAME)


def _carbon(given: object) -> Factor:
    from ..reports.costs import carbon_factor

    return carbon_factor(_text(given))


def _price(given: object) -> Factor:
    from ..reports.costs import price_factor

    return price_factor(_text(given))


def _pue(given: object) -> Factor:
    from ..reports.costs import pue_factor

    return pue_factor(_text(given))


PARSERS: Mapping[str, Callable[[object], Any]] = {
    "baseline": _baseline,
    "carbon": _carbon,
    "cool_down": _cool_down,
    "count": lambda given: _whole(given, least=0),
    "devices": _devices,
    "file": lambda given: Path(_text(given)),
    "flag": _flag,
    "folder": _folder,
    "joules": _joules,
    "keep": _one_of(("outputs", "failed", "none")),
    "label": _label,
    "lock_mode": _lock_mode,
    "names": _names,
    "order": _one_of(ORDERS),
    "positive_int": lambda given: _whole(given, least=1),
    "positive_seconds": _positive_seconds,
    "price": _price,
    "progress": _one_of(("auto", "line", "heartbeat", "off")),
    "pue": _pue,
    "ranks": _one_of(("node", "refuse")),
    "ratio": _ratio,
    "report": _report,
    "seconds": _seconds,
    "shard": _shard,
    "shared_memory": _one_of(("read-only", "writable")),
    "text": _text,
    "threshold": _threshold,
    "warn_or_fail": _one_of(("warn", "fail")),
    "whole": _whole,
}
"""The parser of each kind of option; it raises ``ConfigError`` for a value that the option cannot have."""
