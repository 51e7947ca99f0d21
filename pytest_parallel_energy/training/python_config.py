"""Config files in Python: the values of assignments replaced in the text, which is never executed here."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from ..mutation.distributions import Value

__all__ = ["python_config", "python_keys"]


def python_config(text: str, values: Mapping[str, Value]) -> str:
    """Return the text with other values; comments, imports and everything else stay as they are.

    >>> python_config("optim = dict(name='sgd', lr=0.1)  # start", {"optim.lr": 0.5})
    "optim = dict(name='sgd', lr=0.5)  # start"

    Args:
        text: assignments at the top level, in classes, and in dictionaries that they assign.
        values: dotted key to value.

    Raises:
        KeyError: the text has no such key; the argument is the key.
        SyntaxError: the text is not Python.
    """
    places = dict(_places(ast.parse(text).body, ""))
    data, lines = text.encode(), [0]
    for line in data.splitlines(keepends=True):
        lines.append(lines[-1] + len(line))
    replaced = []
    for key, value in values.items():
        if key not in places:
            raise KeyError(key)
        node = places[key]
        begin = lines[node.lineno - 1] + node.col_offset  # in bytes, as ast counts columns
        end = lines[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        replaced.append((begin, end, repr(value).encode()))
    for begin, end, new in sorted(replaced, reverse=True):
        data = data[:begin] + new + data[end:]
    return data.decode()


def python_keys(text: str) -> dict[str, Value]:
    """Return the keys with values that are written as constants, dotted, in their order.

    Raises:
        SyntaxError: the text is not Python.
    """
    found: dict[str, Value] = {}
    for key, node in _places(ast.parse(text).body, ""):
        try:
            value = ast.literal_eval(node)
        except ValueError:
            continue
        if isinstance(value, str | int | float | bool):
            found[key] = value
    return found


def _places(body: list[ast.stmt], above: str) -> Iterator[tuple[str, ast.expr]]:
    """Yield each key with the expression of its value; a later one of the same key replaces an earlier one."""
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            yield from _places(statement.body, f"{above}{statement.name}.")
        elif isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Name):
                    yield from _value(f"{above}{target.id}", statement.value)
        elif (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and statement.value is not None
        ):
            yield from _value(f"{above}{statement.target.id}", statement.value)


def _value(key: str, node: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    yield key, node
    if isinstance(node, ast.Dict):
        for name, value in zip(node.keys, node.values, strict=True):
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield from _value(f"{key}.{name.value}", value)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        for keyword in node.keywords:
            if keyword.arg is not None:
                yield from _value(f"{key}.{keyword.arg}", keyword.value)
