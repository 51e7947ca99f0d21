"""Experiment files: every variant that is known is run as it was meant, and everything else is refused by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable
from pathlib import Path

from ..documents.node import Node, shown
from ..documents.readers import included_file, read_document
from ..errors import ConfigError
from ..training.registry import Registry
from .context import StudyContext
from .entries import EntryReader
from .keys import GLOBAL, TOP, is_bookkeeping, open_fields
from .study import Entry, Study

__all__ = ["read_study"]


def read_study(file: Path, registry: Registry, *, profile: str | None = None) -> Study:
    """What an experiment file asks for, checked against the registry.

    Args:
        file: JSON, TOML or YAML, told by its suffix.
        registry: the workloads.
        profile: the run's profile, in force where the file names none; ``None`` is the published defaults.

    Raises:
        ConfigError: the file or something in it cannot be understood, or names a workload, hyperparameter or value
            that does not exist: file, line, place, rule and remedy.
    """
    reading = StudyContext(registry=registry, profile=profile)
    name, entries = _read(file, (), reading)
    if not entries:
        raise ConfigError(f"{file}: holds no experiment; its entries are comments alone")
    return Study(file=file, name=name or file.stem, entries=_with_unique_names(entries), notes=tuple(reading.notes))


def _with_unique_names(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    taken: set[str] = set()
    result = []
    for entry in entries:
        name, number = entry.name, 2
        while name in taken:
            name, number = f"{entry.name}_{number}", number + 1
        taken.add(name)
        result.append(dataclasses.replace(entry, name=name))
    return tuple(result)


def _read(file: Path, above: tuple[Path, ...], reading: StudyContext) -> tuple[str | None, list[Entry]]:
    """The name that a file gives itself, and its entries after those of the files that it includes."""
    document = read_document(file, ignored=is_bookkeeping)
    resolved = file.resolve()
    if resolved in above:
        chain = " -> ".join(map(str, (*above, resolved)))
        raise ConfigError(f"{above[-1]}: files include each other in a circle: {chain}; take one include out")
    top = open_fields(_top(document, reading.registry.names()), TOP)
    is_list = isinstance(document.value, list)
    if not is_list and not {"experiments", "include"} & top.keys():
        document.fail('has no "experiments"', 'an experiment file is {"experiments": [{…}]}')
    entries: list[Entry] = []
    for include in top["include"].one_or_more() if "include" in top else ():
        entries += _read(included_file(include), (*above, resolved), reading)[1]
    around = [top]
    if "global_settings" in top:
        around.insert(0, open_fields(top["global_settings"], GLOBAL))
    for node in document.array() if is_list else top["experiments"].array() if "experiments" in top else ():
        if not isinstance(node.value, str):  # a text between the entries is a heading
            entries += EntryReader(reading, around, file.parent, node).entries()
    return (top["experiment_name"].text() if "experiment_name" in top else None), entries


def _top(node: Node, workloads: Collection[str]) -> Node:
    """The object at the top; a list at the top is the entries alone."""
    if isinstance(node.value, list):
        return Node({}, node.source)
    if not isinstance(node.value, dict):
        node.fail(f'must be an object with "experiments", or a list of entries, not {shown(node.value)}')
    if "background" in node.value and not _names_a_load(node.value["background"], workloads):
        # Files in the wild explain themselves under this key; a load would name a workload or a command.
        return Node({key: value for key, value in node.value.items() if key != "background"}, node.source)
    return node


def _names_a_load(note: object, workloads: Collection[str]) -> bool:
    if isinstance(note, dict):
        return bool({"repo", "repository", "model", "command"} & note.keys()) or note.get("name") in workloads
    if isinstance(note, list):
        return any(_names_a_load(one, workloads) for one in note if not isinstance(one, list))
    return note in workloads
