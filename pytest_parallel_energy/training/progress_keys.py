"""The registry keys that describe the progress of a training: its epochs, its units of work, the values to reach."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..documents.node import Node, shown
from ..errors import ConfigError
from ..mutation.distributions import Value
from ..processes.visible_devices import device_list
from .hyperparameter import read_pattern
from .log_marks import EpochMarks

__all__ = ["WorkTerms", "amount_of", "epochs_in", "read_devices", "read_epoch", "read_reach", "read_work"]

_EPOCHS = ("epochs", "num_epochs", "n_epochs", "max_epochs", "total_epochs")
"""Names of the hyperparameter that the length of a training is proportional to."""

WorkTerms = tuple[str | float, ...]
"""Factors whose product is an amount of work: numbers, and names of metrics or hyperparameters."""


def read_devices(node: Node) -> str:
    """Return the GPUs of a training: an index, a text as ``CUDA_VISIBLE_DEVICES`` has it, or a list of them."""
    names: list[str | int] = []
    for item in node.array() if isinstance(node.value, list) else [node]:
        if isinstance(item.value, bool) or not isinstance(item.value, str | int):
            item.fail(f"{shown(item.value)} names no GPU", 'write [0, 1], or ["GPU-8a2c"]')
        names.append(item.value)
    try:
        return device_list(names if isinstance(node.value, list) else names[0])
    except ConfigError as problem:
        node.fail(str(problem))


def read_epoch(node: Node) -> EpochMarks:
    """Return the lines that name an epoch: a pattern, or an object with ``pattern`` and ``line``."""
    if not isinstance(node.value, dict):
        return EpochMarks(pattern=read_pattern(node))
    fields = node.object(("pattern", "line"))
    if "pattern" not in fields:
        node.fail('lacks "pattern"', 'for example {"pattern": "^Epoch (\\\\d+)", "line": "begins"}')
    line = fields["line"].one_of(("begins", "ends")) if "line" in fields else "ends"
    return EpochMarks(pattern=read_pattern(fields["pattern"]), line=line)  # type: ignore[arg-type]


def read_work(node: Node, names: Sequence[str]) -> dict[str, WorkTerms]:
    """Return the units of work of an entry: each a number, a name, or a list of them that are multiplied.

    Args:
        node: the value of ``work``.
        names: metrics and hyperparameters that may be named.
    """
    work: dict[str, WorkTerms] = {}
    for unit, given in node.entries().items():
        if not unit.isidentifier():
            given.fail(f"{shown(unit)} is not a unit", 'write one word in the singular, such as "sample"')
        terms = given.array() if isinstance(given.value, list) else [given]
        work[unit] = tuple(_term(term, names) for term in terms)
        if not work[unit]:
            given.fail("is empty", "name a metric or hyperparameter, or give a number")
    return work


def _term(node: Node, names: Sequence[str]) -> str | float:
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return node.one_of(tuple(names))
    if not (math.isfinite(value) and value > 0):
        node.fail(f"must be above 0, not {shown(value)}")
    return float(value)


def read_reach(node: Node, metrics: Sequence[str]) -> dict[str, float]:
    """Return the values that metrics should reach, by metric."""
    targets = {}
    for name, given in node.object(tuple(metrics)).items():
        value = given.value
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            given.fail(f"must be a number, not {shown(value)}")
        targets[name] = float(value)
    return targets


def amount_of(terms: WorkTerms, known: Mapping[str, Value]) -> float | None:
    """Return the product of the terms; ``None`` where one of them is unknown or the product is not above 0.

    >>> amount_of(("epochs", 50000.0), {"epochs": 2})
    100000.0
    """
    amount = 1.0
    for term in terms:
        value = known.get(term) if isinstance(term, str) else term
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        amount *= value
    return amount if math.isfinite(amount) and amount > 0 else None


def epochs_in(values: Mapping[str, object]) -> float | None:
    """Return the number of epochs among hyperparameters; ``None`` where there is none above 0.

    >>> epochs_in({"epochs": 10, "lr": 0.1}), epochs_in({"lr": 0.1})
    (10.0, None)
    """
    for name in _EPOCHS:
        value = values.get(name)
        if isinstance(value, int | float) and value > 0:
            return float(value)
    return None
