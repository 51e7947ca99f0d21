"""Remarks on processes that a training or a round left running when it ended."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from .masking import mask_arguments

__all__ = ["left_running_remarks"]

_SHOWN = 200


def left_running_remarks(found: Iterable[tuple[int, Sequence[str]]], *, of_rounds: bool) -> tuple[str, ...]:
    """Return one sentence per command, with secrets masked.

    >>> left_running_remarks([(3, ["python", "busy.py"])], of_rounds=True)
    ('a process of round 3 was still running when the round ended, and was killed: python busy.py',)

    Args:
        found: number of the round and argument list of each process.
        of_rounds: ``False`` for a command that runs once.
    """
    sentences: dict[str, str] = {}
    for number, command in found:
        line = shlex.join(mask_arguments(command))
        shown = line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"
        who, what = (f"a process of round {number}", "the round") if of_rounds else ("a process", "the command")
        sentences.setdefault(shown, f"{who} was still running when {what} ended, and was killed: {shown}")
    return tuple(sentences.values())
