"""One hyperparameter of a workload: its flag, its type, its default, and what it may become."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ..documents.node import Node, shown
from ..errors import ConfigError, did_you_mean
from ..mutation.distributions import DISTRIBUTIONS, Choice, Distribution, Grid, IntUniform, LogUniform, Uniform, Value

__all__ = ["Hyperparameter", "Kind", "read_hyperparameter", "read_pattern"]

Kind = Literal["float", "int", "str", "bool"]
_KINDS = ("float", "int", "str", "bool")
_KEYS = (
    *("flag", "type", "default", "range", "choices", "distribution", "zero_probability", "limits", "applied"),
    "false_flag",
)
_WORDS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False, "on": True, "off": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameter:
    """A value that a training takes from outside.

    Args:
        name: what records and markers call it.
        flag: how the training takes it; one that ends in ``=`` is joined with its value.
        kind: type of its values.
        default: the published value; ``None`` leaves the flag out.
        distribution: what it may become in a sweep; ``None`` where the registry gives no range.
        limits: least and greatest value that may be asked for at all; ``None`` is no limit.
        choices: the only values that may be asked for; empty is no limit.
        applied: finds in the log the value that the training really used (group 1).
        false_flag: what a ``bool`` passes when it is false; ``None`` passes nothing.
    """

    name: str
    flag: str
    kind: Kind
    default: Value = None
    distribution: Distribution | None = None
    limits: tuple[float, float] | None = None
    choices: tuple[Value, ...] = ()
    applied: re.Pattern[str] | None = None
    false_flag: str | None = None

    def checked(self, value: object) -> Value:
        """The value in this hyperparameter's type: whole floats become ints, ints become floats; never a text a number.

        Raises:
            ConfigError: another type, not finite, outside the limits, or not among the choices.
        """
        if value is None:
            return None
        converted = self._typed(value)
        if self.limits is not None and not self.limits[0] <= converted <= self.limits[1]:  # type: ignore[operator]
            raise ConfigError(
                f"{self.name} must be from {self.limits[0]:g} to {self.limits[1]:g}, not {shown(converted)}"
            )
        if self.choices and converted not in self.choices:
            known = ", ".join(shown(option) for option in self.choices)
            raise ConfigError(f"{self.name} must be one of {known}, not {shown(converted)}")
        return converted

    def _typed(self, value: object) -> Value:
        if self.kind == "bool" and isinstance(value, bool):
            return value
        if self.kind == "str" and isinstance(value, str):
            return value
        if self.kind in {"int", "float"} and isinstance(value, int | float) and not isinstance(value, bool):
            if not -_LARGEST <= value <= _LARGEST:
                raise ConfigError(f"{self.name} must be a finite number, not {shown(value)}")
            if self.kind == "float":
                return float(value)
            if value == int(value):
                return int(value)
        wanted = {"float": "a number", "int": "a whole number", "str": "a text", "bool": "true or false"}[self.kind]
        raise ConfigError(f"{self.name} must be {wanted}, not {shown(value)}")

    def parsed(self, text: str) -> Value:
        """The value that a log or a CSV file shows, such as ``10.000000`` for 10.

        Raises:
            ConfigError: the text is not such a value.
        """
        text = text.strip()
        try:
            if self.kind == "str":
                return text
            if self.kind == "bool":
                return _WORDS[text.lower()]
            return self._typed(float(text))
        except (KeyError, ValueError) as problem:
            raise ConfigError(f"{self.name}: {shown(text)} is not a value of type {self.kind}") from problem

    def arguments(self, value: Value) -> tuple[str, ...]:
        """What stands on the command line for a value, each text one argument, taken literally by the training.

        >>> Hyperparameter(name="lr", flag="--lr", kind="float").arguments(1e-05)
        ('--lr', '1e-05')
        """
        if value is None:
            return ()
        if isinstance(value, bool):
            return (self.flag,) if value else (self.false_flag,) if self.false_flag else ()
        text = repr(value) if isinstance(value, float) else str(value)
        if self.flag.endswith("="):
            return (f"{self.flag}{text}",)
        if text.startswith("-") and self.flag.startswith("--"):
            return (f"{self.flag}={text}",)  # otherwise argparse takes the value for another option
        return (self.flag, text)

    def adapted(self, distribution: Distribution) -> Distribution:
        """A distribution as this hyperparameter can draw from it: whole numbers for an ``int``.

        Raises:
            ConfigError: it gives values that this hyperparameter cannot take.
        """
        if isinstance(distribution, Choice):
            options = tuple(self.checked(option) for option in distribution.options)
            return Grid(options) if isinstance(distribution, Grid) else Choice(options)
        if self.kind not in {"int", "float"}:
            raise ConfigError(f"{self.name} is of type {self.kind}; give choice([…]) or a list of values")
        if isinstance(distribution, IntUniform | Uniform | LogUniform):
            for bound in (distribution.lo, distribution.hi):
                self._within_limits(bound)
        if self.kind == "int" and isinstance(distribution, Uniform):
            return IntUniform(_whole(self.name, distribution.lo), _whole(self.name, distribution.hi))
        if self.kind == "int" and isinstance(distribution, LogUniform):
            return LogUniform(distribution.lo, distribution.hi, distribution.zero_probability, integer=True)
        return distribution

    def _within_limits(self, bound: float) -> None:
        if self.limits is not None and not self.limits[0] <= bound <= self.limits[1]:
            raise ConfigError(
                f"{self.name}: the range must lie within {self.limits[0]:g} to {self.limits[1]:g}, not reach {bound!r}"
            )


_LARGEST = 1.7976931348623157e308
"""The largest double."""


def _whole(name: str, bound: float) -> int:
    if bound != int(bound):
        raise ConfigError(f"{name} is a whole number; its range cannot begin or end at {bound!r}")
    return int(bound)


def read_pattern(node: Node) -> re.Pattern[str]:
    """A regular expression with exactly one group, which holds the value."""
    try:
        pattern = re.compile(node.text(), re.MULTILINE)
    except (re.error, OverflowError, RecursionError) as problem:
        node.fail(f"{shown(node.value)} is not a regular expression: {problem}")
    if pattern.groups != 1:
        node.fail(
            f"{shown(node.value)} has {pattern.groups} groups; it must have one, around the value",
            "write (?:…) for groups that only hold things together",
        )
    return pattern


def read_hyperparameter(name: str, node: Node, fields: Mapping[str, Node]) -> Hyperparameter:
    """What a registry says about one hyperparameter.

    Args:
        name: what it is called.
        node: where it stands, for messages.
        fields: its members: those of the entry, with those of a profile or of one model laid over them.
    """
    for key, field in fields.items():
        if key not in _KEYS:
            field.fail(f"{shown(key)} is not a key of a hyperparameter", did_you_mean(key, _KEYS))
    for key in ("flag", "type"):
        if key not in fields:
            node.fail(f"lacks {shown(key)}", "each hyperparameter needs at least a flag and a type")
    kind = fields["type"].one_of(_KINDS)
    if "limits" in fields and kind not in {"int", "float"}:
        fields["limits"].fail(f"a hyperparameter of type {kind} has no limits", "list its choices instead")
    plain = Hyperparameter(
        name=name,
        flag=fields["flag"].text(),
        kind=kind,  # type: ignore[arg-type]
        limits=_read_pair(fields["limits"]) if "limits" in fields else None,
        applied=read_pattern(fields["applied"]) if "applied" in fields else None,
        false_flag=fields["false_flag"].text() if "false_flag" in fields else None,
    )
    choices = tuple(_checked(plain, item) for item in fields["choices"].array()) if "choices" in fields else ()
    limited = replace(plain, choices=choices)
    default = _checked(limited, fields["default"]) if "default" in fields else None
    return replace(limited, default=default, distribution=_read_distribution(limited, node, fields))


def _checked(one: Hyperparameter, node: Node) -> Value:
    value = node.scalar()
    try:
        return one.checked(value)
    except ConfigError as problem:
        node.fail(str(problem))


def _read_pair(node: Node) -> tuple[float, float]:
    bounds = node.array()
    if len(bounds) != 2:  # noqa: PLR2004 - a pair
        node.fail(f"must be [least, greatest], not {shown(node.value)}")
    least, greatest = (bound.number() for bound in bounds)
    if least > greatest:
        node.fail(f"{shown(node.value)} is reversed", f"write [{greatest!r}, {least!r}]")
    return least, greatest


def _read_distribution(one: Hyperparameter, node: Node, fields: Mapping[str, Node]) -> Distribution | None:
    name = fields["distribution"].one_of(DISTRIBUTIONS) if "distribution" in fields else None
    if "zero_probability" in fields and name != "log_uniform":
        fields["zero_probability"].fail("belongs to the distribution log_uniform alone")
    zero = fields["zero_probability"].number(0, 1) if "zero_probability" in fields else 0.0
    bounds = _read_pair(fields["range"]) if "range" in fields else None
    if bounds is None and name not in {None, "choice"}:
        fields["distribution"].fail(f'the distribution {shown(name)} needs "range": [least, greatest]')
    try:
        if name == "choice" or (name is None and one.choices and bounds is None):
            return Choice(one.choices)
        return one.adapted(_ranged(name, bounds, zero)) if bounds is not None else None
    except ConfigError as problem:
        (fields.get("range") or fields.get("choices") or node).fail(str(problem))


def _ranged(name: str | None, bounds: tuple[float, float], zero_probability: float) -> Distribution:
    lo, hi = bounds
    if name == "log_uniform":
        return LogUniform(lo, hi, zero_probability)
    if name == "int_uniform":
        return IntUniform(_whole(name, lo), _whole(name, hi))
    return Uniform(lo, hi)
