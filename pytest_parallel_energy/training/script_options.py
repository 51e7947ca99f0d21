"""The options of a training script: from the text of its ``--help``, and from its source where that says more."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from ..mutation.distributions import Value

__all__ = ["ScriptOption", "help_options", "source_options"]

_INVOCATION = re.compile(r"^ {1,6}(-{1,2}[\w-]\S*.*)$")
_FLAG = re.compile(r"(--?[A-Za-z0-9][\w.-]*)(?:[ =]+(?P<value>\{[^}]*\}|\[[^\]]*\]|<[^>]*>|[A-Z][\w./-]*))?")
_DEFAULT = re.compile(r"[(\[]default(?:s to)?[:=]?\s*([^)\]]+?)\s*[)\]]", re.IGNORECASE)
_KIND_OF_METAVAR = {"FLOAT": "float", "INTEGER": "int", "INT": "int", "BOOLEAN": "bool"}
_ADDS_OPTION = frozenset({"add_argument", "option"})
"""argparse's method and click's decorator."""

_Kind = Literal["float", "int", "str", "bool"]


class ScriptOption(Struct, frozen=True, kw_only=True):
    """One option of a script.

    Args:
        flag: the long form where there is one.
        kind: the type of its value; ``None`` where nothing tells it.
        default: ``None`` where nothing tells it.
        choices: the only values that it takes; empty for any.
        false_flag: the second flag of a pair such as ``--amp`` and ``--no-amp``.
        takes_value: ``False`` for a switch.
    """

    flag: str
    kind: _Kind | None = None
    default: Value = None
    choices: tuple[str, ...] = ()
    false_flag: str | None = None
    takes_value: bool = True

    @property
    def name(self) -> str:
        """The name of its value in Python.

        >>> ScriptOption(flag="--batch-size").name
        'batch_size'
        """
        return self.flag.lstrip("-").replace("-", "_")


def help_options(text: str) -> list[ScriptOption]:
    """Return the options that a help text of argparse or click describes, without ``--help`` and ``--version``.

    >>> [option.flag for option in help_options("  -l, --lr LR  rate (default: 0.1)")]
    ['--lr']
    """
    found = [_help_option(invocation, words) for invocation, words in _blocks(text)]
    return [option for option in found if option is not None and option.name not in {"help", "version", "h"}]


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield each option's invocation, with the words that explain it."""
    invocation, words, indent = "", "", 0
    for line in [*text.splitlines(), ""]:
        start = len(line) - len(line.lstrip())
        if _INVOCATION.match(line) and (not invocation or start <= indent):
            if invocation:
                yield invocation, words
            invocation, _, words = line.strip().partition("  ")
            indent = start
        elif invocation and (not line.strip() or start <= indent):
            yield invocation, words
            invocation, words = "", ""
        elif invocation:
            words = f"{words} {line.strip()}"


def _help_option(invocation: str, words: str) -> ScriptOption | None:
    flags = [(match[1], match["value"] or "") for match in _FLAG.finditer(invocation)]
    if not flags:
        return None
    long = [flag for flag, _ in flags if flag.startswith("--")] or [flags[0][0]]
    negative = next((flag for flag in long if flag.startswith("--no-") and len(long) > 1), None)
    flag = next(flag for flag in long if flag != negative)
    metavar = next((value for _, value in flags if value), "")
    option = ScriptOption(flag=flag, false_flag=negative, takes_value=bool(metavar))
    if not metavar:
        return replace(option, kind="bool", default=False)
    if metavar[0] == "{" or (metavar[0] == "[" and "|" in metavar):
        option = replace(option, kind="str", choices=tuple(re.split(r"[,|]\s*", metavar[1:-1])))
    kind = _KIND_OF_METAVAR.get(metavar)
    found = _DEFAULT.search(words)
    value = _literal(found[1]) if found else None
    return replace(option, kind=option.kind or _kind_of(value) or kind, default=value)


def _literal(text: str) -> Value:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError):
        return text
    return value if isinstance(value, str | int | float | bool) else None


def _kind_of(value: Value) -> _Kind | None:
    kinds: dict[type, _Kind] = {bool: "bool", int: "int", float: "float", str: "str"}
    return kinds.get(type(value))


def source_options(source: str) -> list[ScriptOption]:
    """Return the options that a Python source declares with ``add_argument(...)`` or ``@click.option(...)``.

    The source is parsed and not executed; a default or a type that is computed is unknown.

    Raises:
        SyntaxError: it is not Python.
    """
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    found = [_source_option(call) for call in calls if _name_of(call.func) in _ADDS_OPTION]
    return [option for option in found if option is not None]


def _source_option(call: ast.Call) -> ScriptOption | None:
    words = [str(arg.value) for arg in call.args if isinstance(arg, ast.Constant)]
    flags = [flag for word in words for flag in word.split("/") if flag.startswith("-")]
    if not flags:
        return None
    keywords = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    long = [flag for flag in flags if flag.startswith("--")] or flags
    action, default = _constant(keywords.get("action")), _constant(keywords.get("default"))
    option = ScriptOption(flag=long[0], default=default)
    if action == "store_false":
        return replace(option, kind="bool", default=True, takes_value=False)
    if action == "store_true" or _constant(keywords.get("is_flag")) is True:
        return replace(option, kind="bool", default=bool(default), takes_value=False)
    negative = next((flag for flag in long[1:] if flag.startswith("--no")), None)
    if _name_of(keywords.get("action")) == "BooleanOptionalAction" or negative:
        pair = negative or f"--no-{long[0].removeprefix('--')}"
        return replace(option, kind="bool", default=bool(default), false_flag=pair, takes_value=False)
    named = _name_of(keywords.get("type"))
    kind = named if named in {"float", "int", "str", "bool"} else _kind_of(default)
    if kind == "float" and isinstance(default, int) and not isinstance(default, bool):
        option = replace(option, default=float(default))
    return replace(option, kind=kind)


def _name_of(node: ast.expr | None) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _constant(node: ast.expr | None) -> Value:
    try:
        value = None if node is None else ast.literal_eval(node)
    except ValueError:
        return None
    return value if isinstance(value, str | int | float | bool) else None
