"""What stands beside an entry of an experiment file: its background loads and the conditions they run under."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..documents.node import Node, shown
from ..errors import ConfigError
from ..load.conditions import (
    AUTO_BATCH,
    CONDITIONS,
    check_command,
    check_together,
    first_batch,
    read_condition,
    read_count,
)
from ..plan.markers import LoadRequest, command_name
from .context import StudyContext
from .keys import BACKGROUND, MUTATE, SWEPT, open_fields

__all__ = ["Beside", "LoadReader"]

_Fields = Mapping[str, Node]
_MOST = 10_000
"""More experiments than anybody means are a slip of the pen, and would fill the memory."""
_COMMAND_REMEDY = '; a command is written {"command": ["program", "argument"]}, or as such a list in the list of loads'
_MUTATION_KEYS = frozenset({name for key in MUTATE for name in (key.name, *key.aliases)} | {"num_mutations"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What one experiment runs beside.

    Args:
        loads: in their order; empty for nothing.
        label: what is swept in them, as part of a test's name; empty where nothing is.
    """

    loads: tuple[LoadRequest, ...] = ()
    label: str = ""


_Settings = tuple[str, int, Mapping[str, Any]]
"""A label, how many, and the conditions of one load."""


class LoadReader:
    """Reads the loads of one entry.

    Args:
        reading: what the entries of a file share.
        base: the folder that commands run in.
        profile: where the file names one for the entry.
    """

    def __init__(self, reading: StudyContext, base: Path, profile: Node | None) -> None:
        self._reading = reading
        self._base = base
        self._profile = profile

    def read(self, node: Node | None) -> list[Beside]:
        """What each experiment of the entry runs beside, at least one: several where conditions list values.

        Args:
            node: the entry's ``background``.
        """
        if node is None or node.value in ({}, []):
            return [Beside()]
        each = [self._variants(one) for one in node.one_or_more()]
        if math.prod(map(len, each)) > _MOST:
            node.fail(f"lists values for more than {_MOST} experiments")
        return [
            Beside(loads=tuple(load for _, load in chosen), label="_".join(label for label, _ in chosen if label))
            for chosen in itertools.product(*each)
        ]

    def _variants(self, node: Node) -> list[tuple[str, LoadRequest]]:
        fields = _fields(node)
        if "mode" in fields and (mode := fields["mode"].text()) != "default":
            fields["mode"].fail(
                f"a background load cannot have the mode {shown(mode)}: what runs beside is part of the condition",
                'write "default", and fixed values under "hyperparameters"',
            )
        load = self._command(node, fields) if "command" in fields else self._training(node, fields)
        return [
            (label, replace(load, n=n, conditions={**load.conditions, **conditions}))
            for label, n, conditions in _settings(node, fields)
        ]

    def _command(self, node: Node, fields: _Fields) -> LoadRequest:
        words = tuple(map(_word, fields["command"].array()))
        others = [name for name in fields if name not in {"command", "batch_size", "n", *CONDITIONS}]
        conditions = {AUTO_BATCH: True} if "batch_size" in fields else {}
        place = next((fields[name] for name in (*others, "batch_size") if name in fields), fields["command"])
        _ask(place if words else node, check_command, words, conditions, others)
        return LoadRequest(name=command_name(words), command=words, cwd=self._base, conditions=conditions)

    def _training(self, node: Node, fields: _Fields) -> LoadRequest:
        if "name" in fields:
            if also := next((fields[key] for key in ("repository", "model") if key in fields), None):
                also.fail(f'stands beside "name": {shown(fields["name"].value)}', "keep one of them")
            workload = self._reading.named(fields["name"].text(), fields["name"], or_else=_COMMAND_REMEDY)
        else:
            workload = self._reading.workload(fields, node)
        own = fields["hyperparameters"].entries() if "hyperparameters" in fields else {}
        batch = _auto_batch(fields, own)
        named = fields.get("profile") or self._profile
        profile = None if named is None else named.text()
        nodes = {name: one for name, one in own.items() if one is not batch}
        values = self._reading.values(workload, nodes, profile, place=named or node)
        if batch is not None:
            all_values = workload.values(self._reading.in_force(profile), **values)
            _ask(batch, first_batch, workload.name, all_values)
        conditions = {} if batch is None else {AUTO_BATCH: True}
        return LoadRequest(name=workload.name, hyperparameters=values, profile=profile, conditions=conditions)


def _fields(node: Node) -> _Fields:
    """The members of a load; a text is its name, a list its command."""
    if isinstance(node.value, str):
        return {"name": node}
    if isinstance(node.value, list):
        return {"command": node}
    if not isinstance(node.value, dict):
        node.fail(
            f"a background load cannot be {shown(node.value)}",
            'write "repository/model", a command as a list of words, or an object {…} with its conditions',
        )
    for name, child in node.entries().items():
        if name in _MUTATION_KEYS:
            child.fail(
                "the hyperparameters of a background load are not mutated: what runs beside is part of the condition",
                f'fix them under "hyperparameters"; a list of values can be given for {", ".join(SWEPT)}',
            )
    return open_fields(node, BACKGROUND)


def _word(node: Node) -> str:
    if not isinstance(node.value, str):
        node.fail(f"a word of a command must be a text, not {shown(node.value)}", "put it in quotes")
    return node.value


def _auto_batch(fields: _Fields, own: _Fields) -> Node | None:
    """Where ``batch_size`` says ``"auto"``: at the load, or among its hyperparameters."""
    node, among = fields.get("batch_size"), own.get("batch_size")
    if node is None:
        return among if among is not None and among.value == "auto" else None
    if among is not None:
        among.fail("batch_size stands at the load and among its hyperparameters", "keep one of them")
    if node.value != "auto":
        node.fail(
            f'batch_size of a load is "auto", not {shown(node.value)}', 'write a size of your own in "hyperparameters"'
        )
    return node


def _settings(node: Node, fields: _Fields) -> list[_Settings]:
    """How often and under which conditions a load runs: one of them for each combination of the values listed."""
    names = [name for name in ("n", *CONDITIONS) if name in fields]
    choices = [_values(name, fields[name]) for name in names]
    if math.prod(map(len, choices)) > _MOST:
        node.fail(f"lists values for more than {_MOST} experiments")
    return [
        _setting(node, [label for label, _ in chosen], dict(zip(names, (value for _, value in chosen), strict=True)))
        for chosen in itertools.product(*choices)
    ]


def _setting(node: Node, labels: Sequence[str], values: dict[str, Any]) -> _Settings:
    n = values.pop("n", 1)
    conditions = {CONDITIONS[name].field: value for name, value in values.items()}
    _ask(node, check_together, conditions)
    return "_".join(filter(None, labels)), n, conditions


def _values(name: str, node: Node) -> list[tuple[str, Any]]:
    """The values of a key, as they are understood; each with a label where the key lists several."""
    if not isinstance(node.value, list) or name == "devices":
        return [("", _value(name, node))]
    if name not in SWEPT:
        node.fail(
            f"{name} is one value, not a list: it is not swept",
            f"a list of values can be given for {', '.join(SWEPT)}; write a further entry for another {name}",
        )
    if not node.value:
        node.fail("lists no value", "name one, or take the key out")
    values: list[tuple[str, Any]] = []
    for one in node.array():
        value = _value(name, one)
        if any(value == other for _, other in values):
            one.fail(f"{shown(one.value)} is listed twice", "keep one of them")
        values.append((_label(name, value), value))
    return values


def _value(name: str, node: Node) -> Any:
    if name == "n":
        return _ask(node, read_count, node.value)
    return _ask(node, read_condition, name, node.value)


def _ask(place: Node, rule: Callable[..., Any], *arguments: Any) -> Any:
    """What a rule that markers share gives; its refusal names the place in the file too."""
    try:
        return rule(*arguments)
    except ConfigError as error:
        place.fail(str(error))


def _label(name: str, value: float) -> str:
    """A value of a condition as part of a test's name.

    >>> _label("intensity", 0.5)
    'intensity_0_5'
    """
    return re.sub(r"\W+", "_", f"{name}_{value:g}")
