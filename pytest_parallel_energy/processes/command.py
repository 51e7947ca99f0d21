"""A command: an argument list with its folder and environment, as a value."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field

from ..errors import ConfigError

__all__ = ["COMMAND_REPOSITORY", "OWN_PYTHON", "Command", "checked_words", "command_name", "with_own_python"]

COMMAND_REPOSITORY = "command"
"""Stands for the repository in the name of a training that is a plain command."""


class Command(Struct, frozen=True, kw_only=True):
    """A command: always an argument list, never a shell line.

    Args:
        argv: the program and its arguments, at least one; values are passed literally.
        cwd: the folder it runs in; ``None`` is the caller's.
        env: variables *added* to the inherited environment.

    Raises:
        ConfigError: ``argv`` is empty, or an argument holds a NUL character.
    """

    argv: tuple[str, ...]
    cwd: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.argv:
            raise ConfigError("a command needs at least the program to run; the argument list is empty")
        for argument in self.argv:
            if "\0" in argument:
                raise ConfigError(f"the argument {argument!r} holds a NUL character, which no program can be given")

    def shell_line(self) -> str:
        """Return the command as a person would type it, with every value quoted.

        >>> Command(argv=("train", "--name", "a b")).shell_line()
        "train --name 'a b'"
        """
        return shlex.join(self.argv)


def checked_words(command: object) -> tuple[str, ...]:
    """Return the words of a command that a user gave as a list.

    >>> checked_words(["python", "train.py", "--lr", 0.1])
    ('python', 'train.py', '--lr', '0.1')

    Raises:
        ConfigError: it is a text, empty, or not a list.
    """
    if isinstance(command, str):
        raise ConfigError(f"a command is a list of words, not {command!r}: write {shlex.split(command)!r}")
    if not isinstance(command, Sequence) or not command or command[0] == "":
        raise ConfigError(f'a command is a list of words such as ["python", "train.py"], not {command!r}')
    return tuple(str(word) for word in command)


OWN_PYTHON = frozenset({"python", "python3"})
"""Programs that stand, without a path, for the interpreter that runs this program."""
_INTERPRETERS = re.compile(r"(python|pypy|perl|ruby|node|Rscript|bash|dash|sh|zsh)[0-9.]*")


def command_name(words: Sequence[str]) -> str:
    """Return a command's name for tables and ids: its program, or the script or module that an interpreter runs.

    >>> command_name(["/bin/dd", "if=/dev/zero"]), command_name(["python3.12", "work/train.py", "-v"])
    ('dd', 'train.py')
    >>> command_name(["python", "-m", "torch.utils"]), command_name(["python", "-c", "pass"])
    ('torch.utils', 'python')
    """
    program = Path(words[0]).name
    if not _INTERPRETERS.fullmatch(program) or len(words) == 1:
        return program
    if words[1] == "-m" and len(words) > 2:  # noqa: PLR2004 - the module is the third
        return words[2]
    return program if words[1].startswith("-") else Path(words[1]).name


def with_own_python(words: Sequence[str]) -> tuple[str, ...]:
    """Return a command with the interpreter that runs this program in place of a plain ``python`` or ``python3``.

    >>> with_own_python(["env", "python"])
    ('env', 'python')
    """
    return (sys.executable, *words[1:]) if words[0] in OWN_PYTHON else tuple(words)
