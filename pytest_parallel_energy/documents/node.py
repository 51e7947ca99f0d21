"""Values of files that users write; each refusal has file, line, place and remedy instead of a traceback.

A document becomes a tree of ``Node``. A node knows its value and its place, so that a reader can refuse it by name.
Lines are looked up only for a message; reading costs no more than the parser itself.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NoReturn

from msgspec import Struct

from ..errors import ConfigError, did_you_mean
from ..mutation.distributions import Value

__all__ = [
    "MAX_DEPTH",
    "Key",
    "Members",
    "Node",
    "NotFinite",
    "Source",
    "check_values",
    "is_comment",
    "place_of",
    "shown",
]

MAX_DEPTH = 60
_MAX_VALUES = 1_000_000
_COMMENTS = frozenset({"comment", "comments", "note", "notes", "description"})

Key = str | int


def is_comment(key: str) -> bool:
    """Return true for a key that holds a comment: such keys are ignored at every place.

    >>> is_comment("_why"), is_comment("$schema"), is_comment("path")
    (True, True, False)
    """
    return key in _COMMENTS or key[:1] in {"_", "$", "#"}


def shown(value: object) -> str:
    """Return a value as a message shows it: as JSON would write it, shortened to 80 characters.

    >>> shown("a"), shown([1, None])
    ('"a"', '[1, null]')
    """
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    # A lone surrogate cannot be printed; it is shown as its escape.
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 80 else f"{text[:77]}…"  # noqa: PLR2004 - the width of a terminal line


class Source(Struct, frozen=True, kw_only=True):
    """A file that was read.

    Args:
        file: where it lies.
        text: what it holds.
        error: what a refusal raises.
        ignored: tells which keys are words for people.
        lines_of: the lines (from 1) at which the value of a path stands, the last one winning; empty when unknown.
    """

    file: Path
    text: str
    error: type[ConfigError] = ConfigError
    ignored: Callable[[str], bool] = is_comment
    lines_of: Callable[[str, tuple[Key, ...]], list[int]] = lambda _text, _path: []

    def __repr__(self) -> str:  # a document may be long
        return f"Source(file={str(self.file)!r})"

    def fail(self, path: tuple[Key, ...], rule: str, remedy: str = "", lines: list[int] | None = None) -> NoReturn:
        """Raise the source's error: file, line, place, rule, remedy."""
        lines = self.lines_of(self.text, path) if lines is None else lines
        line = f":{lines[-1]}" if lines else ""
        place = f" {place_of(path)}:" if path else ""
        raise self.error(f"{self.file}{line}:{place} {rule}{f'; {remedy}' if remedy else ''}")


def place_of(path: tuple[Key, ...]) -> str:
    """Return a path as a user writes it.

    >>> place_of(("models", "a.b", "range", 0))
    'models["a.b"].range[0]'
    """
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        elif key.replace("-", "_").isidentifier():
            text += f".{key}" if text else key
        else:
            text += f"[{shown(key)}]"
    return text


class Members(dict[str, object]):
    """An object that remembers keys written twice, which ``dict`` forgets."""

    duplicates: tuple[str, ...] = ()

    @classmethod
    def from_pairs(cls, pairs: list[tuple[str, object]]) -> Members:
        """Return the members of an object from the pairs that ``json`` parsed."""
        made = cls(pairs)
        if len(made) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            made.duplicates = tuple(key for key, count in counts.items() if count > 1)
        return made


class NotFinite(Struct, frozen=True):
    """A number that JSON does not have: NaN or an infinity, as it was written."""

    text: str


class Node(Struct, frozen=True):
    """One value of a document and the place it stands at."""

    value: object
    source: Source
    path: tuple[Key, ...] = ()

    def fail(self, rule: str, remedy: str = "") -> NoReturn:
        """Refuse this value: raises the source's error with file, line and place."""
        self.source.fail(self.path, rule, remedy)

    def child(self, key: Key, value: object) -> Node:
        """Return a value below this one."""
        return Node(value, self.source, (*self.path, key))

    def entries(self) -> dict[str, Node]:
        """Return the members of an object without its comments."""
        if not isinstance(self.value, dict):
            self.fail(f"must be an object {{…}}, not {shown(self.value)}")
        return {key: self.child(key, value) for key, value in self.value.items() if not self.source.ignored(key)}

    def object(self, known: Collection[str]) -> dict[str, Node]:
        """Return the members of an object that has no other keys than the known ones."""
        entries = self.entries()
        for key, node in entries.items():
            if key not in known:
                node.fail(f"{shown(key)} is not a key that is known here", did_you_mean(key, known))
        return entries

    def array(self) -> list[Node]:
        """Return the items of a list."""
        if not isinstance(self.value, list):
            self.fail(f"must be a list […], not {shown(self.value)}")
        return [self.child(index, value) for index, value in enumerate(self.value)]

    def one_or_more(self) -> list[Node]:
        """Return the items of a list, or this single value."""
        return self.array() if isinstance(self.value, list) else [self]

    def text(self) -> str:
        """Return a text that is not empty."""
        if not isinstance(self.value, str):
            self.fail(f"must be a text, not {shown(self.value)}")
        if not self.value:
            self.fail("must not be empty")
        return self.value

    def one_of(self, known: Collection[str]) -> str:
        """Return one of the known names."""
        name = self.text()
        if name not in known:
            self.fail(f"{shown(name)} is not known here", did_you_mean(name, known))
        return name

    def boolean(self) -> bool:
        """Return true or false."""
        if not isinstance(self.value, bool):
            self.fail(f"must be true or false, not {shown(self.value)}")
        return self.value

    def number(self, lo: float = -math.inf, hi: float = math.inf) -> float | int:
        """Return a finite number from ``lo`` to ``hi``, both inclusive."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fail(f"must be a number, not {shown(value)}")
        if not lo <= value <= hi:
            self.fail(f"must be from {lo:g} to {hi:g}, not {shown(value)}")
        return value

    def whole(self, lo: float = -math.inf, hi: float = math.inf) -> int:
        """Return a whole number from ``lo`` to ``hi``, both inclusive; ``10.0`` counts as 10."""
        value = self.number(lo, hi)
        if value != int(value):
            self.fail(f"must be a whole number, not {shown(value)}")
        return int(value)

    def scalar(self) -> Value:
        """Return a number, text, true, false or nothing."""
        if self.value is not None and not isinstance(self.value, str | int | float | bool):
            self.fail(f"must be a single value, not {shown(self.value)}")
        return self.value


def check_values(node: Node) -> None:
    """Refuse what no key may hold: see ``read_json``."""
    pending, count = [node], 0
    while pending:
        node, count = pending.pop(), count + 1
        if len(node.path) > MAX_DEPTH:
            node.fail(f"is nested more than {MAX_DEPTH} levels deep")
        if count > _MAX_VALUES:
            node.fail(f"holds more than {_MAX_VALUES} values")
        pending.extend(_checked_children(node))


def _checked_children(node: Node) -> Iterator[Node]:
    value = node.value
    if isinstance(value, dict):
        _check_keys(node, value)
        yield from (node.child(key, below) for key, below in value.items() if not node.source.ignored(key))
    elif isinstance(value, list):
        yield from node.array()
    elif isinstance(value, NotFinite):
        node.fail(f"{value.text} is not a number that can be used", "write a finite number")
    elif isinstance(value, float) and not math.isfinite(value):
        node.fail(f"{value!r} is not a number that can be used", "write a finite number")
    elif isinstance(value, int) and abs(value) > 2**63:
        node.fail("the whole number is too large", "numbers up to 2 to the power of 63 can be used")
    elif isinstance(value, str):
        _check_characters(node, value)


def _check_keys(node: Node, value: dict[str, object]) -> None:
    for key in value:
        if not isinstance(key, str):
            node.fail(f"the key {shown(key)} must be a text", "put it in quotes")
        _check_characters(node, key)
    for key in value.duplicates if isinstance(value, Members) else ():
        if not node.source.ignored(key):
            path = (*node.path, key)
            lines = node.source.lines_of(node.source.text, path)
            where = f" (lines {', '.join(map(str, lines))})" if len(set(lines)) > 1 else ""
            node.source.fail(path, f"the key {shown(key)} is written twice{where}", "keep one of them", lines)


def _check_characters(node: Node, text: str) -> None:
    if "\0" in text:
        node.fail("the text holds a NUL character, which no program can be given")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        node.fail(f"the text {shown(text)} holds half of a character (a lone surrogate)")
