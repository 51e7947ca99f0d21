"""The loop script, which is what really runs; a user can read it and run it by hand.

Each value stands in single quotes, so that the shell interprets none of it. Under supervision the script writes to
descriptor 3 when it is ready for a round and how a round ended, and reads from descriptor 4 when it may begin; by hand
it writes ``by-hand-N.log`` files itself, so that the recorded logs stay as they are.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path
from typing import NamedTuple

from ..errors import ConfigError, LoadError
from ..processes.command import Command
from ..processes.outcome import GuardStatus
from .request import AutoBatch

__all__ = ["find_program", "loop_script", "words_of_round"]

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
    {each_round}{command}
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
        round=$((round + 1)) unit=round
        train 3>&- 4<&-
        echo "end $round $?" >&3
    else
        round=$((round + 1)) unit=by-hand
        echo "round $round: $here/by-hand-$round.log"
        train >"$here/by-hand-$round.log" 2>&1 || {{ echo "round $round failed with exit code $?"; sleep 1; }}
    fi
done
"""


_EACH_ROUND = """\
output={outputs}/"$unit-$round"
    if [ "$round" -gt 3 ]; then rm -rf -- {outputs}/"$unit-$((round - 2))"; fi
    rm -rf -- "$output" && cp -a -- {template} "$output" && cd -- {cwd} || return 125
"""
"""A folder of its own for each round: the first one and the last two are kept, so that no disk runs full."""


def loop_script(
    command: Command, *, name: str, folder: Path, batch: AutoBatch | None = None, template: Path | None = None
) -> str:
    """Return the text of ``loop.sh``.

    Args:
        command: one round; ``cwd`` must be set.
        name: the load's name, for readers.
        folder: the folder of the script and its logs.
        batch: the argument that is filled in anew for each round; ``None`` for none.
        template: folder that is copied for each round; where the command, its folder or its environment names it, the
            round gets the copy. ``None``: all rounds have the same command.

    Raises:
        ConfigError: a shell cannot export the name of a variable, or its value contains a NUL character.
    """
    for variable, value in command.env.items():
        if not _NAME.fullmatch(variable):
            raise ConfigError(f"{variable!r} cannot be the name of an environment variable: letters, digits and _ only")
        if "\0" in value:
            raise ConfigError(f"the value of the environment variable {variable} contains a NUL character")
    words = _Words(template=None if template is None else str(template), batch=batch)
    exports = {name: f"export {name}={words.of(value)}" for name, value in sorted(command.env.items())}
    each_round = {name for name, value in command.env.items() if words.depends_on_round(value)}
    cwd = str(command.cwd)
    return _SCRIPT.format(
        title=" ".join(name.split()),
        script=_one_line(shlex.quote(str(folder / "loop.sh"))),
        here=shlex.quote(str(folder)),
        cwd=shlex.quote(str(folder) if words.depends_on_round(cwd) else cwd),
        exports="\n".join(line for name, line in exports.items() if name not in each_round),
        batch="" if batch is None else batch.first,
        each_round="".join([
            ""
            if template is None
            else _EACH_ROUND.format(
                outputs=shlex.quote(str(template.parent)), template=shlex.quote(str(template)), cwd=words.of(cwd)
            ),
            *(f"    {line}\n" for name, line in exports.items() if name in each_round),
            "" if template is None else "    ",
        ]),
        command=" ".join(words.of(argument, may_be_batch=True) for argument in command.argv),
    )


def words_of_round(argv: tuple[str, ...], template: Path | None, status: GuardStatus | None) -> tuple[str, ...]:
    """Return the command as the present round runs it, or the first one before it."""
    if template is None:
        return argv
    own = template.parent / f"round-{max(1, status.round) if status is not None else 1}"
    return tuple(word.replace(str(template), str(own)) for word in argv)


def find_program(command: Command, name: str) -> str:
    """Return the path of a program: the shell would run a builtin or a function of the same name instead.

    Args:
        command: one round.
        name: of the load, for messages.

    Raises:
        LoadError: the command's folder is missing, or the program is missing or not executable.
    """
    program, cwd = command.argv[0], command.cwd
    if cwd is None or not cwd.is_dir():
        raise LoadError(f"the background load {name!r} cannot run in {str(cwd)!r}: there is no such folder")
    path = command.env.get("PATH", os.environ.get("PATH", os.defpath))
    found = shutil.which(str(cwd / program) if "/" in program else program, path=path)
    if found is None:
        exists = "/" in program and (cwd / program).exists()
        why = "is not executable" if exists else "does not exist" if "/" in program else "is not in the PATH"
        raise LoadError(f"the background load {name!r} cannot run {program!r}: it {why}")
    return found


class _Words(NamedTuple):
    """Words as the shell must read them; it may fill in nothing but the batch size and the folder of the round."""

    template: str | None
    batch: AutoBatch | None

    def depends_on_round(self, text: str) -> bool:
        return self.template is not None and self.template in text

    def of(self, text: str, *, may_be_batch: bool = False) -> str:
        last = ""
        if may_be_batch and self.batch is not None and text.endswith(self.batch.placeholder):
            text, last = text.removesuffix(self.batch.placeholder), '"$batch"'
        parts = text.split(self.template) if self.template is not None else [text]
        return '"$output"'.join(shlex.quote(part) if part else "" for part in parts) + last or "''"


def _one_line(text: str) -> str:
    # A comment ends with its line: the rest of a folder's name would be run as a command.
    return text.replace("\n", "?")
