"""Files as documents: JSON, TOML and YAML, each with its traps refused by name and its lines found for messages."""

from __future__ import annotations

import importlib
import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .node import MAX_DEPTH, Key, Members, Node, NotFinite, Source, check_values, is_comment

__all__ = ["MAX_BYTES", "SUFFIXES", "included_file", "read_document", "read_json", "read_text"]

MAX_BYTES = 16 * 1024 * 1024
"""Larger files are refused unread: the largest settings file known has 0.1 MB."""
_WHITESPACE = " \t\r\n"


def read_text(file: Path, error: type[ConfigError]) -> str:
    """Return the text of a UTF-8 file.

    Raises:
        ConfigError: (or ``error``) there is no such file, it is not a plain file, cannot be read, is larger than
            ``MAX_BYTES``, or is not UTF-8.
    """
    try:
        if not file.is_file():
            what = "is a folder, not a file" if file.is_dir() else "there is no such file"
            raise error(f"{file}: {what}; relative paths start at {Path.cwd()}")
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as problem:  # ValueError: a NUL character in the name
        raise error(f"{file}: cannot be read: {problem}") from problem
    if len(raw) > MAX_BYTES:
        raise error(
            f"{file}: holds more than {MAX_BYTES // 2**20} MiB; a settings file is a few kilobytes, so this is"
            " probably another file"
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = raw.count(b"\n", 0, problem.start) + 1
        raise error(
            f"{file}:{line}: is not UTF-8: byte 0x{raw[problem.start]:02x} at offset {problem.start};"
            " save the file as UTF-8"
        ) from problem


def read_json(
    file: Path, *, error: type[ConfigError] = ConfigError, ignored: Callable[[str], bool] = is_comment
) -> Node:
    """Return the document in a JSON file; refuse everything that has no meaning in it.

    Raises:
        ConfigError: (or ``error``) the file cannot be read, is not JSON (with line and column), holds a key twice,
            a number that is not finite, a text that no program can be given, or is nested too deeply.
    """
    text = read_text(file, error)
    source = Source(file=file, text=text, error=error, ignored=ignored, lines_of=_json_lines)
    try:
        value = json.loads(text, object_pairs_hook=Members.from_pairs, parse_constant=NotFinite)
    except json.JSONDecodeError as problem:
        remedy = "is the file empty?" if not text.strip() else "look for a missing comma, quote or bracket just before"
        raise error(f"{file}:{problem.lineno}:{problem.colno}: is not JSON: {problem.msg}; {remedy}") from problem
    except RecursionError as problem:
        raise error(f"{file}: is nested more than {MAX_DEPTH} levels deep") from problem
    except ValueError as problem:  # int() refuses numbers of more than 4300 digits
        raise error(f"{file}: a number in it is too long: {problem}") from problem
    node = Node(value, source)
    check_values(node)
    return node


def _json_lines(text: str, path: tuple[Key, ...]) -> list[int]:
    """Return the lines of all values that stand at ``path``: several where the last key is written twice."""
    decoder = json.JSONDecoder(parse_constant=NotFinite)
    starts = [_skip(text, 0)]
    try:
        for key in path:
            starts = [found for start in starts for found in _json_children(decoder, text, start, key)]
    except (ValueError, IndexError, RecursionError):  # only a message depends on it: no line is better than none
        return []
    return [text.count("\n", 0, start) + 1 for start in starts]


def _json_children(decoder: json.JSONDecoder, text: str, start: int, key: Key) -> Iterator[int]:
    at, index, closing = _skip(text, start + 1), 0, "}" if text[start] == "{" else "]"
    while text[at] != closing:
        name: Key = index
        if closing == "}":
            name, at = decoder.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)
        if name == key:
            yield at
        _, at = decoder.raw_decode(text, at)
        at = _skip(text, at)
        if text[at] == ",":
            at = _skip(text, at + 1)
        index += 1


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _WHITESPACE:
        at += 1
    return at


def read_toml(
    file: Path, *, error: type[ConfigError] = ConfigError, ignored: Callable[[str], bool] = is_comment
) -> Node:
    """Return the document in a TOML file, as ``read_json`` does."""
    text = read_text(file, error)
    source = Source(file=file, text=text, error=error, ignored=ignored, lines_of=_toml_lines)
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise error(f"{file}: is not TOML: {problem}; text needs quotes, and each key stands once") from problem
    except RecursionError as problem:
        raise error(f"{file}: is nested more than {MAX_DEPTH} levels deep") from problem
    except ValueError as problem:  # a date that does not exist, a number of thousands of digits
        raise error(f"{file}: holds a value that does not exist: {problem}") from problem
    node = Node(value, source)
    check_values(node)
    return node


def _toml_lines(text: str, path: tuple[Key, ...]) -> list[int]:
    """Return the line on which the last key of a path is written, where only one line can be meant."""
    names = [key for key in path if isinstance(key, str)]
    if not names:
        return []
    key = re.compile(rf"^\s*(?:\[\[?.*)?[\"']?{re.escape(names[-1])}[\"']?\s*(?:=|\]|\.)", re.MULTILINE)
    found = [text.count("\n", 0, match.end()) + 1 for match in key.finditer(text)]
    return found if len(found) == 1 else []


def read_yaml(
    file: Path, *, error: type[ConfigError] = ConfigError, ignored: Callable[[str], bool] = is_comment
) -> Node:
    """Return the document in a YAML file, as ``read_json`` does. ``1e-4`` is a number, as in the other formats."""
    text = read_text(file, error)
    yaml = _pyyaml(file, error)
    source = Source(file=file, text=text, error=error, ignored=ignored, lines_of=_yaml_lines)
    try:
        value = yaml.load(text, Loader=_yaml_loader(yaml))
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise error(f"{file}{place}: is not YAML: {problem.problem or problem.context}") from problem
    except yaml.YAMLError as problem:
        raise error(f"{file}: is not YAML: {' '.join(str(problem).split())}") from problem
    except RecursionError as problem:
        raise error(f"{file}: is nested more than {MAX_DEPTH} levels deep") from problem
    except (ValueError, OverflowError, LookupError, TypeError, AttributeError) as problem:
        # What PyYAML's own constructors let through: a date or number that does not exist, an odd tag.
        raise error(f"{file}: holds a value that does not exist: {problem}") from problem
    node = Node(value, source)
    check_values(node)
    return node


def _pyyaml(file: Path, error: type[ConfigError]) -> Any:
    try:
        return importlib.import_module("yaml")
    except ImportError as problem:
        raise error(f"{file}: reading YAML needs PyYAML; pip install pyyaml, or write JSON or TOML") from problem


def _yaml_loader(yaml: Any) -> Any:
    """Return a safe loader that reads ``1e-4`` as a number and remembers keys written twice."""
    loader: Any = type("Loader", (yaml.SafeLoader,), {})

    def members(loader: Any, node: Any) -> Iterator[Members]:
        made = Members()
        yield made
        written = [key.value for key, _ in node.value if key.id == "scalar" and key.value != "<<"]
        made.update(loader.construct_mapping(node))
        made.duplicates = tuple(key for key, count in Counter(written).items() if count > 1)

    loader.add_constructor("tag:yaml.org,2002:map", members)
    number = re.compile(r"[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+$")
    loader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+0123456789"))
    return loader


def _yaml_lines(text: str, path: tuple[Key, ...]) -> list[int]:
    yaml: Any = importlib.import_module("yaml")
    nodes = [node for node in (yaml.compose(text, Loader=yaml.SafeLoader),) if node is not None]
    for key in path:
        nodes = [below for node in nodes for below in _yaml_children(node, key)]
    return [node.start_mark.line + 1 for node in nodes]


def _yaml_children(node: Any, key: Key) -> list[Any]:
    if isinstance(key, int):
        return node.value[key : key + 1] if node.id == "sequence" else []
    return [below for name, below in node.value if name.value == key] if node.id == "mapping" else []


_READERS = {".json": read_json, ".toml": read_toml, ".yaml": read_yaml, ".yml": read_yaml}
SUFFIXES = frozenset(_READERS)
"""File names that ``read_document`` understands end in one of these."""


def read_document(
    file: Path, *, error: type[ConfigError] = ConfigError, ignored: Callable[[str], bool] = is_comment
) -> Node:
    """Return the document in a JSON, TOML or YAML file, which its suffix tells apart, as ``read_json`` does."""
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise error(f"{file}: is none of {', '.join(sorted(SUFFIXES))}")
    return reader(file, error=error, ignored=ignored)


def included_file(node: Node) -> Path:
    """Return the file that an ``include`` names, relative to the folder of its own file.

    Raises:
        ConfigError: (or the source's error) there is no such file, or it is of another kind; with the place that
            names it.
    """
    try:
        path = node.source.file.parent / Path(node.text()).expanduser()
        found = path.is_file()
    except (OSError, RuntimeError, ValueError) as problem:  # a name that is too long, a home folder of an unknown user
        node.fail(f"cannot be included: {problem}")
    if not found:
        node.fail(f"there is no file {path} to include", "relative paths start at the folder of this file")
    if path.suffix.lower() not in SUFFIXES:
        node.fail(f"{path} cannot be included: it is none of {', '.join(sorted(SUFFIXES))}")
    return path
