"""The launcher of a training that runs as several processes, such as ``torchrun``, ``mpirun`` or ``srun``."""

from __future__ import annotations

import re
import shutil
import socket
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct

from .command_words import filled, placeholders

__all__ = ["LAUNCHER_PLACEHOLDERS", "RankLauncher", "ranks_in", "starts_python"]

LAUNCHER_PLACEHOLDERS = ("port", "python", "threads")
_PYTHON_STARTERS = frozenset({"torchrun", "accelerate", "deepspeed"})
_PYTHON_MODULES = frozenset({"torch.distributed.run", "torch.distributed.launch", "accelerate.commands.launch"})
_RANKS = re.compile(
    r"--(?:nproc[-_]per[-_]node|num[-_]processes|num[-_]gpus|ntasks|ntasks-per-node|np)(?:=(?P<joined>.*))?|-np?(?P<short>\d*)"
)
"""Options for the number of ranks, of torchrun, accelerate, deepspeed, srun(1) and mpirun(1)."""
_PORT_FLAGS = {"accelerate": "--main_process_port", "deepspeed": "--master_port"}
"""Launchers that read the port of the rendezvous from an option alone; torchrun reads ``PET_MASTER_PORT``."""


class RankLauncher(Struct, frozen=True, kw_only=True):
    """The command that starts the ranks of a training.

    Args:
        words: the program and its arguments, with placeholders.
        ranks: ranks on this machine, 1 or more.
    """

    words: tuple[str, ...]
    ranks: int = 1

    @property
    def starts_python(self) -> bool:
        """``True`` when the launcher runs a Python script by itself, so that no interpreter stands before it."""
        return starts_python(self.words)

    def find_program(self) -> str | None:
        """Return the launcher's path: on PATH, else next to the running interpreter; ``None`` if missing."""
        program = self.words[0]
        return shutil.which(program) or shutil.which(program, path=str(Path(sys.executable).parent))

    def argv(self, *, python: tuple[str, ...], threads: int, port: int) -> list[str]:
        """Return the words to put before the training's own command.

        Args:
            python: the interpreter and its arguments.
            threads: CPU threads of each rank.
            port: a free port for the rendezvous of the ranks.
        """
        words = filled(self.words, {"python": python, "threads": str(threads), "port": str(port)})
        name = Path(words[0]).name
        if not placeholders(self.words[0]):
            words[0] = self.find_program() or words[0]
        flag = _PORT_FLAGS.get(name)
        if flag is None or any(word.replace("-", "_").startswith(flag.replace("-", "_")) for word in words):
            return words
        place = words.index("launch") + 1 if "launch" in words else 1
        return [*words[:place], f"{flag}={port}", *words[place:]]

    @staticmethod
    def environment(port: int) -> dict[str, str]:
        """Return the variables that keep two trainings on one machine from meeting at the same port."""
        return {"MASTER_PORT": str(port), "PET_MASTER_PORT": str(port)}

    @staticmethod
    def free_port() -> int:
        """Return a TCP port of this machine that is free now."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port: int = listener.getsockname()[1]
            return port


def starts_python(words: Iterable[str]) -> bool:
    """Return whether the launcher runs a Python script by itself.

    >>> starts_python(["torchrun", "--standalone"]), starts_python(["mpirun", "-n", "2"])
    (True, False)
    """
    words = list(words)
    return Path(words[0]).name in _PYTHON_STARTERS or not _PYTHON_MODULES.isdisjoint(words)


def ranks_in(words: Iterable[str], environment: Mapping[str, str]) -> int | None:
    """Return the number of ranks per machine that the launcher is told; ``None`` where that is not a number.

    1 where nothing says it. The last option counts, as the launchers themselves do it.

    >>> ranks_in(["torchrun", "--nproc-per-node=2"], {}), ranks_in(["mpirun", "-n", "4"], {}), ranks_in(["srun"], {})
    (2, 4, 1)
    """
    text = environment.get("PET_NPROC_PER_NODE", "1")
    words = list(words)
    for place, word in enumerate(words):
        match = _RANKS.fullmatch(word)
        if match is not None:
            text = match["joined"] or match["short"] or "".join(words[place + 1 : place + 2])
    return int(text) if text.isdecimal() and int(text) > 0 else None
