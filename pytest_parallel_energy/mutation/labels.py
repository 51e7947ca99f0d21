"""Names of mutations that a user can read and type after ``-k``; the values themselves are never rounded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .values import Value

__all__ = ["distinct_labels", "value_label", "values_label"]

_FEW_DIGITS = 4
_ALL_DIGITS = 17
"""So many significant digits tell any two doubles apart."""
_LONGEST = 40
_UNTYPABLE = re.compile(r"[^\w.+/@%-]+", re.ASCII)


def value_label(value: Value, *, digits: int = _FEW_DIGITS) -> str:
    """Return one value as short text: floats to ``digits`` significant digits, without characters that need quoting.

    >>> [value_label(v) for v in (0.012345678, 1e-05, 10.0, 200, True, None, "a b")]
    ['0.01235', '1e-05', '10', '200', 'true', 'unset', 'a_b']
    """
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.{digits}g}" if digits < _ALL_DIGITS else repr(value)
    return _UNTYPABLE.sub("_", str(value))[:_LONGEST] or "empty"


def values_label(values: Mapping[str, Value], *, digits: int = _FEW_DIGITS) -> str:
    """Return ``name=value`` pairs joined by ``-``; ``default`` for no values at all.

    >>> values_label({"learning_rate": 0.0123, "epochs": 2})
    'learning_rate=0.0123-epochs=2'
    """
    return "-".join(f"{name}={value_label(value, digits=digits)}" for name, value in values.items()) or "default"


def distinct_labels(cells: Sequence[Mapping[str, Value]]) -> tuple[str, ...]:
    """Return one label per cell, with as many digits as are needed to tell cells apart.

    The labels depend on the cells alone, so that every process gives a cell the same name.

    >>> distinct_labels([{"lr": 0.1}, {"lr": 0.100001}, {"lr": 0.2}])
    ('lr=0.1', 'lr=0.100001', 'lr=0.2')
    """
    labels = [values_label(cell) for cell in cells]
    for digits in (6, 9, 12, _ALL_DIGITS):
        alike: dict[str, list[int]] = {}
        for index, label in enumerate(labels):
            alike.setdefault(label, []).append(index)
        doubles = [group for group in alike.values() if len(group) > 1]
        if not doubles:
            break
        for group in doubles:
            for index in group:
                labels[index] = values_label(cells[index], digits=digits)
    return tuple(labels)
