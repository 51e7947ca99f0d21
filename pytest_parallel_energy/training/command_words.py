"""The words of a registry ``command``: text with placeholders such as ``{lr}`` that are filled for each training."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ..errors import ConfigError

__all__ = ["OWN_PLACEHOLDERS", "filled", "placeholders"]

OWN_PLACEHOLDERS = ("config", "model", "output", "python", "threads")
"""Placeholders that are not hyperparameters."""

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def placeholders(word: str) -> list[str]:
    """Return the names in braces, in order; ``{{`` and ``}}`` stand for the braces themselves.

    >>> placeholders("optim.lr={lr}"), placeholders("{{x}}")
    (['lr'], [])

    Raises:
        ConfigError: a brace without its partner, or empty braces.
    """
    names = []
    for part in _PART.finditer(word):
        if part.group() in {"{", "}"} or part.group(1) == "":
            raise ConfigError(f"{word!r} has a brace that is not part of a placeholder; write {{{{ or }}}} for a brace")
        if part.group(1) is not None:
            names.append(part.group(1))
    return names


def filled(words: Iterable[str], values: Mapping[str, str | tuple[str, ...]]) -> list[str]:
    """Return the words with each placeholder replaced once: braces inside a value stay as they are.

    A value of several words, such as the interpreter of a conda environment, must be a word of its own.

    >>> filled(["{python}", "--lr={lr}"], {"python": ("conda", "run", "python"), "lr": "0.1"})
    ['conda', 'run', 'python', '--lr=0.1']
    """
    result: list[str] = []
    for word in words:
        names = placeholders(word)
        value = values.get(names[0], "") if names else ""
        if isinstance(value, tuple) and word == f"{{{names[0]}}}":
            result += value
        else:
            result.append(_PART.sub(lambda part: _replacement(part, values), word))
    return result


def _replacement(part: re.Match[str], values: Mapping[str, str | tuple[str, ...]]) -> str:
    if part.group(1) is None:
        return part.group()[0]
    value = values[part.group(1)]
    return value if isinstance(value, str) else " ".join(value)
