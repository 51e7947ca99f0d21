"""Reader of the background loads of an entry, and of the conditions that they run under."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..documents.node import Node, shown
from ..errors import ConfigError
from ..load.conditions import CONDITIONS, LoadConditions, check_command, first_batch, read_condition, read_count
from ..plan.markers import LoadRequest
from ..processes.command import command_name
from .context import StudyContext
from .forms import EntryForm, LoadForm
from .keys import SWEPT

__all__ = ["LoadReader", "LoadSet"]

_MOST = 10_000
"""More experiments than this are a typing mistake, and would fill the memory."""
_COMMAND_REMEDY = '; a command is written {"command": ["program", "argument"]}, or as such a list in the list of loads'


class LoadSet(Struct, frozen=True, kw_only=True):
    """The background loads of one experiment.

    Args:
        loads: in their order; empty for none.
        label: the values that differ from the other experiments of the entry, as part of a test's name.
    """

    loads: tuple[LoadRequest, ...] = ()
    label: str = ""


class LoadReader:
    """Reads the loads of one entry.

    Args:
        context: the state that the entries of a file share.
        base: the folder that commands run in.
        profile: the node that names a profile for the entry, if there is one.
    """

    def __init__(self, context: StudyContext, base: Path, profile: Node | None) -> None:
        self._context = context
        self._base = base
        self._profile = profile

    def read(self, entry: EntryForm) -> list[LoadSet]:
        """Return the loads of each experiment of the entry: one set, or several where conditions list values."""
        variants = [self._variants(form) for form in entry.loads]
        if math.prod(map(len, variants)) > _MOST:
            entry.node.fail(f"lists values for more than {_MOST} experiments")
        return [
            LoadSet(loads=tuple(load for _, load in chosen), label="_".join(label for label, _ in chosen if label))
            for chosen in itertools.product(*variants)
        ]

    def _variants(self, form: LoadForm) -> list[tuple[str, LoadRequest]]:
        """Return a labelled request for each combination of the values that the load lists."""
        load = self._command(form) if "command" in form.fields else self._training(form)
        names = [name for name in ("n", *CONDITIONS) if name in form.fields]
        choices = [_values(name, form.fields[name]) for name in names]
        if math.prod(map(len, choices)) > _MOST:
            form.node.fail(f"lists values for more than {_MOST} experiments")
        variants = []
        for chosen in itertools.product(*choices):
            values = dict(zip(names, (value for _, value in chosen), strict=True))
            n = values.pop("n", 1)
            fields = {CONDITIONS[name].field: value for name, value in values.items()}
            conditions = _ask(form.node, replace, load.conditions, **fields)
            label = "_".join(label for label, _ in chosen if label)
            variants.append((label, replace(load, n=n, conditions=conditions)))
        return variants

    def _command(self, form: LoadForm) -> LoadRequest:
        fields = form.fields
        words = tuple(map(_word, fields["command"].array()))
        others = [name for name in fields if name not in {"command", "batch_size", "n", *CONDITIONS}]
        conditions = LoadConditions(auto_batch=True if "batch_size" in fields else None)
        place = next((fields[name] for name in (*others, "batch_size") if name in fields), fields["command"])
        _ask(place if words else form.node, check_command, words, conditions, others)
        return LoadRequest(name=command_name(words), command=words, cwd=self._base, conditions=conditions)

    def _training(self, form: LoadForm) -> LoadRequest:
        fields = form.fields
        if "name" in fields:
            if also := next((fields[key] for key in ("repository", "model") if key in fields), None):
                also.fail(f'is written together with "name": {shown(fields["name"].value)}', "keep one of them")
            workload = self._context.named(fields["name"].text(), fields["name"], or_else=_COMMAND_REMEDY)
        else:
            workload = self._context.workload(fields, form.node)
        self._context.check_notes(form.notes, workload)
        named = fields.get("profile") or self._profile
        profile = None if named is None else named.text()
        values = self._context.values(workload, form.hyperparameters, profile, place=named or form.node)
        batch = fields.get("batch_size")
        if batch is not None:
            all_values = workload.values(self._context.in_force(profile), **values)
            _ask(batch, first_batch, workload.name, all_values)
        conditions = LoadConditions(auto_batch=None if batch is None else True)
        return LoadRequest(name=workload.name, hyperparameters=values, profile=profile, conditions=conditions)


def _word(node: Node) -> str:
    if not isinstance(node.value, str):
        node.fail(f"a word of a command must be a text, not {shown(node.value)}", "put it in quotes")
    return node.value


def _values(name: str, node: Node) -> list[tuple[str, Any]]:
    """Return the values of a key; each has a label where the key lists several."""
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
    for item in node.array():
        value = _value(name, item)
        if any(value == other for _, other in values):
            item.fail(f"{shown(item.value)} is listed twice", "keep one of them")
        values.append((_label(name, value), value))
    return values


def _value(name: str, node: Node) -> Any:
    if name == "n":
        return _ask(node, read_count, node.value)
    return _ask(node, read_condition, name, node.value)


def _ask(place: Node, rule: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """Return the result of a rule that markers share; its refusal then names the place in the file too."""
    try:
        return rule(*arguments, **keywords)
    except ConfigError as error:
        place.fail(str(error))


def _label(name: str, value: float) -> str:
    """Return a value of a condition as part of a test's name.

    >>> _label("intensity", 0.5)
    'intensity_0_5'
    """
    return re.sub(r"\W+", "_", f"{name}_{value:g}")
