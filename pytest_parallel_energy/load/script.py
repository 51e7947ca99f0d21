"""The loop script, which is what really runs; a user can read it and run it by hand.

Each value stands in single quotes, so that the shell interprets none of it. Under supervision the script writes to
descriptor 3 when it is ready for a round and how a round ended, and reads from descriptor 4 when it may begin; by hand
it writes ``by-hand-N.log`` files itself, so that the recorded logs stay as they are.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from ..errors import ConfigError
from ..processes.command import Command
from .request import AutoBatch

__all__ = ["loop_script"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_SCRIPT = """\
#!/bin/sh
# Background load: {title}
# Written by pytest-parallel-energy, which runs this very file. It trains again and again until it is stopped.
# By hand: sh {script}    (Ctrl-C stops it; the output of each round goes to by-hand-N.log next to this file)
here={here}
cd -- {cwd} || exit 125
{exports}
train() {{
    {command}
}}

batch={batch}
supervised=${{PARALLEL_ENERGY_SUPERVISED:-}}
round=${{PARALLEL_ENERGY_ROUND:-0}}
unset PARALLEL_ENERGY_SUPERVISED PARALLEL_ENERGY_ROUND
while true; do
    if [ -n "$supervised" ]; then
        echo "ready" >&3
        read -r go fitted <&4 || exit 0
        batch=${{fitted:-$batch}}
        round=$((round + 1))
        train 3>&- 4<&-
        echo "end $round $?" >&3
    else
        round=$((round + 1))
        echo "round $round: $here/by-hand-$round.log"
        train >"$here/by-hand-$round.log" 2>&1 || {{ echo "round $round failed with exit code $?"; sleep 1; }}
    fi
done
"""


def loop_script(command: Command, *, name: str, folder: Path, batch: AutoBatch | None = None) -> str:
    """Return the text of ``loop.sh``.

    Args:
        command: one round; ``cwd`` must be set.
        name: the load's name, for readers.
        folder: the folder of the script and its logs.
        batch: the argument that is filled in anew for each round; ``None`` for none.

    Raises:
        ConfigError: a shell cannot export the name of a variable, or its value contains a NUL character.
    """
    for variable, value in command.env.items():
        if not _NAME.fullmatch(variable):
            raise ConfigError(f"{variable!r} cannot be the name of an environment variable: letters, digits and _ only")
        if "\0" in value:
            raise ConfigError(f"the value of the environment variable {variable} contains a NUL character")
    exports = [f"export {variable}={shlex.quote(value)}" for variable, value in sorted(command.env.items())]
    return _SCRIPT.format(
        title=" ".join(name.split()),
        script=_one_line(shlex.quote(str(folder / "loop.sh"))),
        here=shlex.quote(str(folder)),
        cwd=shlex.quote(str(command.cwd)),
        exports="\n".join(exports),
        batch="" if batch is None else batch.first,
        command=" ".join(_word(argument, batch) for argument in command.argv),
    )


def _word(argument: str, batch: AutoBatch | None) -> str:
    """Return an argument as the shell must read it; the shell may fill in nothing but the batch size."""
    if batch is None or not argument.endswith(batch.placeholder):
        return shlex.quote(argument)
    before = argument.removesuffix(batch.placeholder)
    return f'{shlex.quote(before) if before else ""}"$batch"'


def _one_line(text: str) -> str:
    # A comment ends with its line: the rest of a folder's name would be run as a command.
    return text.replace("\n", "?")
