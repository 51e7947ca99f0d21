"""A plain command as a training: no registry describes it, and it has no hyperparameters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..processes.command import COMMAND_REPOSITORY, OWN_PYTHON, command_name
from .workload import Profile, Workload

__all__ = ["command_workload"]


def command_workload(words: Sequence[str]) -> Workload:
    """Return the training that a command runs, in the current folder.

    ``python`` and ``python3`` without a path are the interpreter that runs the tests. The variable
    ``PARALLEL_ENERGY_OUTPUT_DIR`` names the training's own output folder.
    """
    escaped = [word.replace("{", "{{").replace("}", "}}") for word in words]
    program = "{python}" if words[0] in OWN_PYTHON else escaped[0]
    script = next((word for word in words[1:] if word.endswith(".py") and Path(word).is_file()), "")
    return Workload(
        repository=COMMAND_REPOSITORY,
        model=command_name(words),
        path=Path.cwd(),
        script=script,
        words=(program, *escaped[1:]),
        registry="the command of the test",
        published=Profile(hyperparameters={}),
    )
