"""Translation of experiment files: every variant in use becomes one form, whose values keep their place in the file.

The rest of the package reads that form alone. A refusal names the user's own file, key and value, never the form.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Sequence
from typing import Literal

from ..documents.node import Node, shown
from ..errors import did_you_mean
from .forms import EntryForm, LoadForm, StudyForm
from .keys import BACKGROUND, ENTRY, FOREGROUND, GLOBAL, MUTATE, SETTINGS, STRATEGIES, SWEPT, TOP, FileKey
from .modes import check_loads, mutates_of

__all__ = ["Translator"]

_Fields = dict[str, Node]
_PLACEHOLDER = "placeholder"
_MUTATION_KEYS = frozenset({name for key in MUTATE for name in (key.name, *key.aliases)} | {"num_mutations"})
_NEAR_RATIO = 0.7
"""Similarity (``difflib``) from which an unknown key counts as misspelt: below it, ``epochs`` resembles ``repo``."""


class Translator:
    """Translates one file.

    Args:
        workloads: names of the registered workloads; a note does not name one of them.
        strict: refuse every unknown key, also one that is far from every known key.
    """

    def __init__(self, workloads: Collection[str], *, strict: bool = False) -> None:
        self._workloads = workloads
        self._strict = strict
        self._notes: list[Node] = []

    def study(self, document: Node) -> StudyForm:
        """Translate a document.

        Raises:
            ConfigError: it is not an experiment file, has a misspelt key, or contradicts itself.
        """
        is_list = isinstance(document.value, list)
        if not is_list and not isinstance(document.value, dict):
            document.fail(f'must be an object with "experiments", or a list of entries, not {shown(document.value)}')
        top = {} if is_list else self._fields(document, TOP)
        if not is_list and not {"experiments", "include"} & top.keys():
            document.fail('has no "experiments"', 'an experiment file is {"experiments": [{…}]}')
        around = [self._fields(top["global_settings"], GLOBAL)] if "global_settings" in top else []
        around.append(top)
        nodes = document.array() if is_list else top["experiments"].array() if "experiments" in top else []
        # A text between the entries is a heading.
        entries = [self._entry(node, around) for node in nodes if not isinstance(node.value, str)]
        return StudyForm(
            name=top.get("experiment_name"),
            includes=tuple(top["include"].one_or_more() if "include" in top else ()),
            entries=tuple(entry for entry in entries if entry is not None),
            notes=tuple(self._notes),
        )

    # --- keys --------------------------------------------------------------------------------------------------------

    def _fields(self, node: Node, keys: Sequence[FileKey]) -> _Fields:
        """Return the members of an object by today's names; ``null`` counts as absent."""
        known = {alias: key.name for key in keys for alias in (key.name, *key.aliases)}
        fields: _Fields = {}
        for written, child in node.entries().items():
            if written not in known:
                self._take_note(child, written, known)
                continue
            name = known[written]
            if child.value is None:
                continue
            if name in fields and fields[name].value != child.value:
                other = shown(fields[name].path[-1])
                child.fail(f"{shown(written)} and {other} say different things", "keep one of them")
            fields.setdefault(name, child)
        return fields

    def _take_note(self, node: Node, key: str, known: Collection[str]) -> None:
        """Accept an unknown key that is certainly a note, and refuse any other one."""
        remedy = did_you_mean(key, known)
        words = set(re.split(r"[\W_]+", key.lower())) - {""}
        alike = difflib.get_close_matches(key.lower(), known, n=1, cutoff=_NEAR_RATIO)
        if not alike and (alike := [name for name in known if words <= set(name.split("_"))][:1]):
            remedy = f"did you mean {alike[0]!r}? {remedy}"
        if self._strict or self._names_a_load(node.value):
            alike = [key]
        elif len(node.path) == 1 and key == "background":
            return  # files explain themselves under this key at the top
        if alike:
            node.fail(f"{shown(key)} is not a key that is known here", remedy)
        self._notes.append(node)

    def _names_a_load(self, value: object) -> bool:
        if isinstance(value, dict):
            return (
                bool({"repo", "repository", "model", "command"} & value.keys()) or value.get("name") in self._workloads
            )
        if isinstance(value, list):
            return any(self._names_a_load(item) for item in value if not isinstance(item, list))
        return value in self._workloads

    # --- entries -----------------------------------------------------------------------------------------------------

    def _entry(self, node: Node, around: Sequence[_Fields]) -> EntryForm | None:
        """Translate an entry; ``None`` for an entry of comments alone."""
        first_note = len(self._notes)
        outer = self._fields(node, ENTRY)
        inner = self._fields(outer["foreground"], FOREGROUND) if "foreground" in outer else {}
        notes = tuple(self._notes[first_note:])
        if outer.keys() <= {"name"}:
            return None
        background = outer.get("background")
        has_loads = background is not None and background.value not in ({}, [])
        loads = tuple(self._load(load) for load in background.one_or_more()) if background and has_loads else ()
        check_loads(node, outer, has_loads=has_loads)
        fields = _own_fields(outer, inner) | _settings([outer, inner, *around])
        mutates = mutates_of(node, fields, [outer, inner, *around], has_loads=has_loads)
        strategy = fields.pop("mutate_strategy", None)
        return EntryForm(
            node=node,
            trained=outer.get("foreground") or node,
            fields=_counted(fields, mutates=mutates),
            mutates=mutates,
            vary=_vary(strategy) if strategy and mutates else "all",
            loads=loads,
            notes=notes,
        )

    # --- loads -------------------------------------------------------------------------------------------------------

    def _load(self, node: Node) -> LoadForm:
        """Translate a load; a text is its name, a list its command."""
        if isinstance(node.value, str):
            return LoadForm(node=node, fields={"name": node}, hyperparameters={})
        if isinstance(node.value, list):
            return LoadForm(node=node, fields={"command": node}, hyperparameters={})
        if not isinstance(node.value, dict):
            node.fail(
                f"a background load cannot be {shown(node.value)}",
                'write "repository/model", a command as a list of words, or an object {…} with its conditions',
            )
        for name, child in node.entries().items():
            if name in _MUTATION_KEYS:
                child.fail(
                    "the hyperparameters of a background load are not mutated: the load is part of the condition",
                    f'fix them under "hyperparameters"; a list of values can be given for {", ".join(SWEPT)}',
                )
        first_note = len(self._notes)
        fields = self._fields(node, BACKGROUND)
        if (mode := fields.pop("mode", None)) and mode.text() != "default":
            mode.fail(
                f"a background load cannot have the mode {shown(mode.value)}: the load is part of the condition",
                'write "default", and fixed values under "hyperparameters"',
            )
        hyperparameters = {}
        if "command" not in fields and "hyperparameters" in fields:
            hyperparameters = fields.pop("hyperparameters").entries()
        if "command" not in fields:
            _lift_auto_batch(fields, hyperparameters)
        notes = tuple(self._notes[first_note:])
        return LoadForm(node=node, fields=fields, hyperparameters=hyperparameters, notes=notes)


def _own_fields(outer: _Fields, inner: _Fields) -> _Fields:
    """Return the keys that an entry and its foreground may both have; two different values are refused."""
    fields = {"name": outer["name"]} if "name" in outer else {}
    for name in ("repository", "model"):
        front, entry = inner.get(name), outer.get(name)
        if front and entry and entry.value not in (_PLACEHOLDER, front.value):
            entry.fail(
                f"the entry names {shown(entry.value)} and its foreground {shown(front.value)}", "keep one of them"
            )
        if node := front or entry:
            fields[name] = node
    for name in ("hyperparameters", *(key.name for key in MUTATE)):
        front, entry = inner.get(name), outer.get(name)
        if front and entry and front.value != entry.value:
            entry.fail(f"the entry and its foreground say different things about {shown(name)}", "keep one of them")
        if node := front or entry:
            fields[name] = node
    _refuse_two_lists(fields.get("mutate"), fields.get("mutate_params"))
    return fields


def _refuse_two_lists(names: Node | None, params: Node | None) -> None:
    if names is None or params is None:
        return
    named, given = (
        list(node.entries()) if isinstance(node.value, dict) else [name.text() for name in node.one_or_more()]
        for node in (names, params)
    )
    if "all" not in named and not set(given) <= set(named):
        params.fail(
            f'names {", ".join(given)}, and "mutate" names {", ".join(named)}',
            "say it once, or give both the same names",
        )


def _settings(levels: Sequence[_Fields]) -> _Fields:
    """Return each setting from the nearest level that has it: entry, foreground, global_settings, top."""
    names = [key.name for key in SETTINGS]
    return {name: level[name] for level in reversed(levels) for name in names if name in level}


def _counted(fields: _Fields, *, mutates: bool) -> _Fields:
    """Replace the counts, whose meaning depends on each other and on the mode, by ``samples`` and ``repeats``."""
    runs, mutations = fields.pop("runs_per_config", None), fields.pop("num_mutations", None)
    if mutates and mutations is None:
        runs, mutations = None, runs
    if runs is not None:
        fields["repeats"] = runs
    if mutates and mutations is not None:
        fields["samples"] = mutations
    deduplicates = fields.pop("use_deduplication", None)
    if deduplicates is not None and not deduplicates.boolean():
        fields.pop("historical_csvs", None)
    return fields


def _vary(strategy: Node) -> Literal["all", "one-at-a-time"]:
    """Return the strategy that a name stands for; ``-`` and ``_`` are the same."""
    written = strategy.text().lower().replace("-", "_")
    if written not in STRATEGIES:
        strategy.fail(f"{shown(strategy.value)} is not known here", did_you_mean(written, STRATEGIES))
    return STRATEGIES[written]


def _lift_auto_batch(fields: _Fields, hyperparameters: _Fields) -> None:
    """Move ``batch_size: "auto"`` from the hyperparameters of a load to the load itself."""
    outer, inner = fields.get("batch_size"), hyperparameters.get("batch_size")
    if outer is None:
        if inner is not None and inner.value == "auto":
            fields["batch_size"] = hyperparameters.pop("batch_size")
        return
    if inner is not None:
        inner.fail("batch_size stands at the load and among its hyperparameters", "keep one of them")
    if outer.value != "auto":
        outer.fail(
            f'batch_size of a load is "auto", not {shown(outer.value)}', 'write a size of your own in "hyperparameters"'
        )
