"""Reference pages that are read from the source code and the schema, without running them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import griffe

from .markdown_text import as_markdown, sentence, table

__all__ = ["experiment_file", "messages", "public_interface", "record"]

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pytest_parallel_energy"
_RECORD_PARTS = ("records.record", "records.energy_values", "records.job_part")
_REMARKING = frozenset({"energy", "host", "load", "run", "statistics", "training"})
"""Packages whose other texts are what records and reports say."""
_LEAST_WORDS = 4
"""Of a message that can be searched; shorter ones are mostly variable parts."""


def record() -> str:
    """Return the page."""
    parts = [
        "# The record\n",
        "One JSON object per attempt, in `records.jsonl` of a run's folder, and in `experiment.json` of an experiment's "
        "folder. Units are in the names: `_j` joules, `_w` watts, `_s` seconds, `_bytes`, `_ratio` (0 to 1). A field that "
        "is unknown is `null`, never 0, and a flag says why. Fields are added and never renamed or removed within a "
        "version of the schema.\n",
    ]
    package = griffe.load("pytest_parallel_energy", search_paths=[ROOT])
    classes = [cls for path in _RECORD_PARTS for cls in package[path].classes.values() if not cls.is_alias]
    for cls in sorted(classes, key=lambda cls: str(cls.name) != "Record"):  # the whole before its parts
        parts += [f"## {cls.name}\n", as_markdown(cls.docstring).partition("\nArgs:")[0]]
        if any("Enum" in str(base) for base in cls.bases):
            parts.append(table(("value", "meaning"), [(f"`{kind[1:-1]}`", text) for _, (kind, text) in _fields(cls)]))
        else:
            rows = [(f"`{name}`", f"`{kind}`", text) for name, (kind, text) in _fields(cls)]
            parts.append(table(("field", "type", "meaning"), rows))
    return "\n".join(parts)


def _fields(cls: griffe.Class) -> Iterator[tuple[str, tuple[str, str]]]:
    for name, attribute in cls.attributes.items():
        if name.startswith("_"):
            continue
        kind = str(attribute.annotation or attribute.value or "").replace("Mapping", "object")
        yield name, (kind, as_markdown(attribute.docstring))


def experiment_file() -> str:
    """Return the page."""
    schema = json.loads((ROOT / "experiments" / "experiment.schema.json").read_text(encoding="utf-8"))
    parts = [
        "# Keys of an experiment file\n",
        "An experiment file is JSON, TOML or YAML. `experiments/experiment.schema.json` completes and checks "
        "it in an editor. What the keys do together is described in [sweeps](../sweeps.md#experiment-files).\n",
    ]
    objects = [(variant.get("title", "The file"), variant) for variant in schema["anyOf"] if "properties" in variant]
    objects += [(_words(name), part) for name, part in schema.get("$defs", {}).items() if "properties" in part]
    for title, part in objects:
        rows = [
            (f"`{key}`", _schema_type(value), str(value.get("description", "")))
            for key, value in part["properties"].items()
        ]
        parts += [f"## {title}\n", table(("key", "value", "meaning"), rows)]
    return "\n".join(parts)


def _words(name: str) -> str:
    return sentence(name.replace("_", " ")).rstrip(".")


def _schema_type(value: Mapping[str, Any]) -> str:
    if "anyOf" in value:
        kinds = [_schema_type(choice) for choice in value["anyOf"] if choice.get("type") != "null"]
        return " or ".join(dict.fromkeys(kind for kind in kinds if kind))
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"] if choice is not None)
    if "$ref" in value:
        return str(value["$ref"]).rpartition("/")[2].replace("_", " ")
    if value.get("type") == "array":
        return f"list of {_schema_type(value.get('items', {})) or 'values'}"
    return {"string": "text", "boolean": "true or false"}.get(str(value.get("type", "")), str(value.get("type", "")))


def public_interface() -> str:
    """Return the page."""
    package = griffe.load("pytest_parallel_energy", search_paths=[ROOT])
    names = [name for name in package.exports or () if str(name) != "__version__"]
    parts = [
        "# Python interface\n",
        "Everything here is imported from the top, as in `from pytest_parallel_energy import EnergyMeter`, and works in a "
        "plain script. Names that are not on this page may change.\n",
        *(
            f"::: pytest_parallel_energy.{name}\n    options:\n      heading_level: 2\n"
            for name in sorted(map(str, names))
        ),
        "## For tests: `pytest_parallel_energy.testing`\n",
        "Stand-ins with known truth.\n",
    ]
    testing = package["testing"]
    parts += [
        f"::: pytest_parallel_energy.testing.{name}\n    options:\n      heading_level: 3\n"
        for name in sorted(map(str, testing.exports or ()))
    ]
    return "\n".join(parts)


def messages() -> str:
    """Return the page."""
    errors: set[tuple[str, str, str]] = set()
    remarks: set[tuple[str, str]] = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        place = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        errors |= {(text, f"`{error}`", f"`{place}`") for text, error in _raised(tree)}
        if place in _REMARKING:
            remarks |= {(text, f"`{place}`") for text in _said(tree)}
    return (
        "# All messages\n\nThe texts of errors and remarks in the code, with `…` for what is filled in. The search of this "
        "site finds a message by any of its words. [Troubleshooting](../troubleshooting.md) explains the frequent ones.\n\n"
        "## Errors\n\n"
        + table(("message", "error", "from"), sorted(errors))
        + "\n## Remarks, flags and reasons\n\n"
        + table(("text", "from"), sorted(remarks))
    )


def _raised(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args):
            continue
        error = ast.unparse(node.exc.func).rpartition(".")[2]
        text = _message(node.exc.args[0])
        if error.endswith("Error") and _is_sentence(text):
            yield text, error


def _said(tree: ast.Module) -> Iterator[str]:
    """Yield the texts of a module that are neither docstrings nor parts of an error."""
    skipped = {id(part) for node in ast.walk(tree) if isinstance(node, ast.Raise | ast.Expr) for part in _parts(node)}
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if not isinstance(node, ast.JoinedStr | ast.Constant) or id(node) in skipped | inner:
            continue
        text = _message(node) if isinstance(node, ast.JoinedStr) or isinstance(node.value, str) else ""
        if _is_sentence(text) and "\n" not in text:
            yield text


def _parts(node: ast.Raise | ast.Expr) -> Iterator[ast.AST]:
    """Yield the parts of an error, and the text of a docstring; a yielded or appended text is none."""
    if isinstance(node, ast.Raise):
        yield from ast.walk(node)
    elif isinstance(node.value, ast.Constant):
        yield node.value


def _is_sentence(text: str) -> bool:
    words = [word for word in text.split() if re.fullmatch(r"[A-Za-z][a-z'-]*[,.;:]?", word)]
    return len(words) >= _LEAST_WORDS and not text.startswith("<")


def _message(node: ast.expr) -> str:
    """Return a text with ``…`` for its variable parts."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_message(part) if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.BinOp):
        return _message(node.left) + _message(node.right)
    return "…"
