"""Output on terminals and pipes whose encoding lacks characters that the answers contain, such as ±."""

from __future__ import annotations

import codecs
import io
import sys

__all__ = ["write_any_encoding"]

_HANDLER = "pytest-parallel-energy"
_REPLACEMENTS = {"±": "+-", "–": "-", "−": "-", "…": "...", "×": "x", "µ": "u", "→": "->"}


def write_any_encoding() -> None:
    """Let standard output and standard error replace characters that their encoding lacks, instead of failing."""
    codecs.register_error(_HANDLER, _replaced)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a test or an embedding program may have put something else there
            stream.reconfigure(errors=_HANDLER)


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(_REPLACEMENTS.get(character, "?") for character in missing), error.end
