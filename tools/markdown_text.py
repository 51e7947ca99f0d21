"""Parts of generated Markdown pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import griffe

__all__ = ["as_markdown", "sentence", "table"]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; line breaks and bars in its cells are made harmless."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def as_markdown(docstring: griffe.Docstring | None) -> str:
    """Return the text of a docstring, with Markdown's mark-up of code."""
    return "" if docstring is None else docstring.value.replace("``", "`") + "\n"


def sentence(text: str) -> str:
    """Return a text with a capital letter and a full stop."""
    return f"{text[0].upper()}{text[1:]}".rstrip(".") + "."
