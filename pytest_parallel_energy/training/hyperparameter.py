"""One hyperparameter of a workload: type, default, range, and the way in which its value reaches the training."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from ..documents.node import Node, shown
from ..errors import ConfigError, did_you_mean
from ..mutation.distributions import DISTRIBUTIONS, Choice, Distribution, Grid, IntUniform, LogUniform, Uniform, Value

__all__ = ["Hyperparameter", "Kind", "check_variable", "read_hyperparameter", "read_pattern", "text_of"]

Kind = Literal["float", "int", "str", "bool"]
_KINDS = ("float", "int", "str", "bool")
_KEYS = (
    *("flag", "type", "default", "range", "choices", "distribution", "zero_probability", "limits", "applied"),
    *("false_flag", "env", "config", "positional", "list"),
)
_WAYS = ("flag", "env", "config", "positional")
_WORDS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False, "on": True, "off": False}


class Hyperparameter(Struct, frozen=True, kw_only=True):
    """A value that a training takes from outside.

    Args:
        name: what records and markers call it.
        flag: the flag before the value; one that ends in ``=`` (``--lr=``, Hydra's ``optim.lr=``) is joined with it.
        kind: type of its values.
        default: the published value; ``None`` leaves the flag out.
        distribution: what it may become in a sweep; ``None`` where the registry gives no range.
        limits: least and greatest value that may be asked for at all; ``None`` is no limit.
        choices: the only values that may be asked for; empty is no limit.
        applied: finds in the log the value that the training really used (group 1).
        false_flag: the flag of a ``bool`` that is false, such as ``--no-amp``; ``None`` passes nothing.
        env: the environment variable that holds the value instead of a flag.
        config: the dotted key of the workload's config file that holds the value instead of a flag.
        positional: the value is an argument without a flag.
        listed: a text such as ``0.9,0.999`` is several values: ``words`` follow one flag, ``repeat`` writes the flag
            before each.
    """

    name: str
    flag: str = ""
    kind: Kind
    default: Value = None
    distribution: Distribution | None = None
    limits: tuple[float, float] | None = None
    choices: tuple[Value, ...] = ()
    applied: re.Pattern[str] | None = None
    false_flag: str | None = None
    env: str | None = None
    config: str | None = None
    positional: bool = False
    listed: Literal["words", "repeat"] | None = None

    def checked(self, value: object) -> Value:
        """Return the value in this hyperparameter's type: whole floats become ints, ints floats; a text never a number.

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
        if self.positional and isinstance(converted, str) and converted.startswith("-"):
            raise ConfigError(f"{self.name} has no flag, so the training would take {shown(converted)} for an option")
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
        """Return the value that a log or a CSV file shows, such as ``10.000000`` for 10.

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
        """Return the arguments for a value; each text is one argument, which the training takes literally.

        >>> Hyperparameter(name="lr", flag="--lr", kind="float").arguments(1e-05)
        ('--lr', '1e-05')
        """
        if value is None or self.env or self.config or not (self.flag or self.positional):
            return ()
        if isinstance(value, bool) and self.flag and not self.flag.endswith("="):
            return (self.flag,) if value else (self.false_flag,) if self.false_flag else ()
        if self.listed is not None:
            items = str(value).split(",")
            if self.listed == "repeat":
                return tuple(word for item in items for word in self._flagged(item))
            return (self.flag, *items) if self.flag else tuple(items)
        return self._flagged(text_of(value))

    def _flagged(self, text: str) -> tuple[str, ...]:
        if self.positional:
            return (text,)
        if self.flag.endswith("="):
            return (f"{self.flag}{text}",)
        if text.startswith("-") and self.flag.startswith("--"):
            return (f"{self.flag}={text}",)  # otherwise argparse takes the value for another option
        return (self.flag, text)

    def adapted(self, distribution: Distribution) -> Distribution:
        """Return a distribution as this hyperparameter can draw from it: whole numbers for an ``int``.

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


def text_of(value: Value) -> str:
    """Return a value as text: floats in their shortest exact form.

    >>> text_of(1e-05), text_of(True)
    ('1e-05', 'True')
    """
    return repr(value) if isinstance(value, float) else str(value)


def _whole(name: str, bound: float) -> int:
    if bound != int(bound):
        raise ConfigError(f"{name} is a whole number; its range cannot begin or end at {bound!r}")
    return int(bound)


def read_pattern(node: Node) -> re.Pattern[str]:
    """Return a regular expression; refuse one that does not have exactly one group, which holds the value."""
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


def read_hyperparameter(
    name: str, node: Node, fields: Mapping[str, Node], *, in_command: bool = False
) -> Hyperparameter:
    """Return one hyperparameter of a registry.

    Args:
        name: what it is called.
        node: where it stands, for messages.
        fields: its members: those of the entry, with those of a profile or of one model laid over them.
        in_command: the command of the workload has a placeholder for the value.
    """
    for key, field in fields.items():
        if key not in _KEYS:
            field.fail(f"{shown(key)} is not a key of a hyperparameter", did_you_mean(key, _KEYS))
    if "type" not in fields:
        node.fail('lacks "type"', "each hyperparameter needs a type, and a flag or another way to the training")
    ways = [key for key in _WAYS if key in fields]
    if len(ways) > 1 or not (ways or in_command):
        node.fail(
            f"must have exactly one of {', '.join(map(shown, _WAYS))}" if ways else 'lacks "flag"',
            f'give the value a flag, an environment variable ("env"), a key of the config file, "positional": true, or'
            f" the placeholder {{{name}}} in the command",
        )
    if "list" in fields and not {"flag", "positional"} & set(ways):
        fields["list"].fail('belongs to "flag" or "positional"')
    kind = fields["type"].one_of(_KINDS)
    if "limits" in fields and kind not in {"int", "float"}:
        fields["limits"].fail(f"a hyperparameter of type {kind} has no limits", "list its choices instead")
    plain = Hyperparameter(
        name=name,
        flag=fields["flag"].text() if "flag" in fields else "",
        env=check_variable(fields["env"], fields["env"].text()) if "env" in fields else None,
        config=fields["config"].text() if "config" in fields else None,
        positional=fields["positional"].boolean() if "positional" in fields else False,
        listed=fields["list"].one_of(("words", "repeat")) if "list" in fields else None,  # type: ignore[arg-type]
        kind=kind,  # type: ignore[arg-type]
        limits=_read_pair(fields["limits"]) if "limits" in fields else None,
        applied=read_pattern(fields["applied"]) if "applied" in fields else None,
        false_flag=fields["false_flag"].text() if "false_flag" in fields else None,
    )
    choices = tuple(_checked(plain, item) for item in fields["choices"].array()) if "choices" in fields else ()
    limited = replace(plain, choices=choices)
    default = _checked(limited, fields["default"]) if "default" in fields else None
    return replace(limited, default=default, distribution=_read_distribution(limited, node, fields))


def check_variable(node: Node, name: str) -> str:
    """Return the name of an environment variable; refuse one that the plugin sets itself, and what is not a name."""
    if not name or "=" in name or "\0" in name:
        node.fail(f"{shown(name)} is not the name of a variable")
    if name.startswith("PARALLEL_ENERGY_"):
        node.fail(
            f"the variable {shown(name)} is reserved: the plugin sets it for each training", "choose another name"
        )
    return name


def _checked(hyperparameter: Hyperparameter, node: Node) -> Value:
    value = node.scalar()
    try:
        return hyperparameter.checked(value)
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


def _read_distribution(hyperparameter: Hyperparameter, node: Node, fields: Mapping[str, Node]) -> Distribution | None:
    name = fields["distribution"].one_of(DISTRIBUTIONS) if "distribution" in fields else None
    if "zero_probability" in fields and name != "log_uniform":
        fields["zero_probability"].fail("belongs to the distribution log_uniform alone")
    zero = fields["zero_probability"].number(0, 1) if "zero_probability" in fields else 0.0
    bounds = _read_pair(fields["range"]) if "range" in fields else None
    if bounds is None and name not in {None, "choice"}:
        fields["distribution"].fail(f'the distribution {shown(name)} needs "range": [least, greatest]')
    try:
        if name == "choice" or (name is None and hyperparameter.choices and bounds is None):
            return Choice(hyperparameter.choices)
        return hyperparameter.adapted(_ranged(name, bounds, zero)) if bounds is not None else None
    except ConfigError as problem:
        (fields.get("range") or fields.get("choices") or node).fail(str(problem))


def _ranged(name: str | None, bounds: tuple[float, float], zero_probability: float) -> Distribution:
    lo, hi = bounds
    if name == "log_uniform":
        return LogUniform(lo, hi, zero_probability)
    if name == "int_uniform":
        return IntUniform(_whole(name, lo), _whole(name, hi))
    return Uniform(lo, hi)
