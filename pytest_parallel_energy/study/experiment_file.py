"""Reader of experiment files: translated into one form, checked against the registry, and returned as values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from msgspec.structs import replace

from ..documents.node import place_of
from ..documents.readers import included_file, read_document
from ..errors import ConfigError
from ..training.registry import Registry
from .context import StudyContext
from .dialects import Translator
from .entries import EntryReader
from .keys import is_bookkeeping
from .study import Entry, Study

__all__ = ["read_study"]


def read_study(
    file: Path, registry: Registry, *, profile: str | None = None, root: Path | None = None, strict: bool = False
) -> Study:
    """Read an experiment file and check it against the registry.

    Args:
        file: JSON, TOML or YAML, as its suffix says.
        registry: the workloads.
        profile: the run's profile, in force where the file names none; ``None`` is the published defaults.
        root: pytest's root folder, where ``historical_csvs`` are looked for that are not next to the file.
        strict: refuse unknown keys that otherwise count as notes.

    Raises:
        ConfigError: the file or something in it cannot be understood, or names a workload, hyperparameter or value
            that does not exist. The message has file, line, place, rule and remedy.
    """
    context = StudyContext(registry=registry, profile=profile, root=root, strict=strict)
    name, entries = _read(file, (), context)
    if not entries:
        raise ConfigError(f"{file}: holds no experiment; its entries are comments alone")
    return Study(
        file=file,
        name=name or file.stem,
        entries=_with_unique_names(entries),
        notes=tuple(context.notes),
        history_notes=tuple(context.history_notes),
    )


def _with_unique_names(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    taken: set[str] = set()
    following: Counter[str] = Counter()
    result = []
    for entry in entries:
        name = entry.name
        while name in taken:
            # from the last number on: thousands of entries may have one name
            following[entry.name] += 1
            name = f"{entry.name}_{following[entry.name] + 1}"
        taken.add(name)
        result.append(replace(entry, name=name))
    return tuple(result)


def _read(file: Path, above: tuple[Path, ...], context: StudyContext) -> tuple[str | None, list[Entry]]:
    """Return the name that a file gives itself, and its entries after those of the files that it includes."""
    document = read_document(file, ignored=is_bookkeeping)
    resolved = file.resolve()
    if resolved in above:
        chain = " -> ".join(map(str, (*above, resolved)))
        raise ConfigError(f"{above[-1]}: files include each other in a circle: {chain}; take one include out")
    form = Translator(context.registry.names(), strict=context.strict).study(document)
    if form.notes:
        places = ", ".join(place_of(note.path) for note in form.notes)
        context.notes.append(
            f"{file}: unknown keys are ignored as notes: {places}; --energy-strict-files refuses them instead"
        )
    entries: list[Entry] = []
    for include in form.includes:
        entries += _read(included_file(include), (*above, resolved), context)[1]
    for entry in form.entries:
        entries += EntryReader(context, file.parent, entry).entries()
    return (None if form.name is None else form.name.text()), entries
