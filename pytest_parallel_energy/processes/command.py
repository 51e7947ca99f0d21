"""A command: an argument list with its folder and environment, as a value."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ConfigError

__all__ = ["Command"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
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
