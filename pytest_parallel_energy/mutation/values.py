"""Values of hyperparameters: their type, how they are compared, and the checks that all distributions share."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..errors import ConfigError

__all__ = ["Value", "check_bounds", "check_number", "checked_options", "value_key"]

Value = str | int | float | bool | None
"""A hyperparameter's value; ``None`` is "not passed to the training"."""


def value_key(value: Value) -> tuple[bool, Value]:
    """Return the key by which two values are compared: 10 equals 10.0, and neither equals ``True``.

    >>> value_key(10) == value_key(10.0), value_key(1) == value_key(True)
    (True, False)
    """
    return isinstance(value, bool), value


def check_number(name: str, quantity: str, value: object) -> float | int:
    """Return a finite number; ``quantity`` names it in the message of the ``ConfigError`` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{name}: {quantity} must be a number, not {value!r}")
    try:
        finite = math.isfinite(value)
    except OverflowError:  # a whole number beyond the largest double
        finite = False
    if not finite:
        raise ConfigError(f"{name}: {quantity} must be finite, not {value!r}")
    return value


def check_bounds(name: str, lo: object, hi: object) -> None:
    """Refuse bounds that are not finite numbers, or that are reversed."""
    low, high = check_number(name, "the lower bound", lo), check_number(name, "the upper bound", hi)
    if low > high:
        raise ConfigError(
            f"{name}({lo!r}, {hi!r}): the lower bound is above the upper one; write {name}({hi!r}, {lo!r})"
        )


def checked_options(name: str, options: Sequence[Value]) -> tuple[Value, ...]:
    """Return the values of a list.

    Raises:
        ConfigError: it is not a list, is empty, lists a value twice, or holds anything but finite plain values.
    """
    if isinstance(options, str) or not isinstance(options, Sequence):
        raise ConfigError(f"{name}: the values must be a list, not {options!r}")
    if not options:
        raise ConfigError(f"{name}: the list of values is empty; name at least one")
    seen = set()
    for option in options:
        if option is not None and not isinstance(option, str | int | float | bool):
            raise ConfigError(f"{name}: a value must be a number, a text, true, false or nothing, not {option!r}")
        if isinstance(option, float) and not math.isfinite(option):
            raise ConfigError(f"{name}: a value must be finite, not {option!r}")
        if value_key(option) in seen:
            raise ConfigError(f"{name}: {option!r} is listed twice; each value runs as often as the repeats say")
        seen.add(value_key(option))
    return tuple(options)
