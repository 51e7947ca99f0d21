"""The subcommand ``kill-background``."""

from __future__ import annotations

import argparse

from ..processes.leftovers import sweep_leftovers
from .session_header import leftover_lines

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the subcommand."""
    parser.description = """\
Kill leftover processes of background loads whose pytest session no longer exists, for example after SIGKILL
of pytest and its guards, and print them. Loads of running sessions are not touched. Processes of other users
need root.

exit status: 0, or 1 when a leftover process could not be killed"""
    parser.epilog = """\
example:
  sudo pytest-parallel-energy kill-background"""


def run(_options: argparse.Namespace) -> int:
    """Kill the leftover processes; return 1 when one of them is still there."""
    killed, remaining = sweep_leftovers()
    for line in leftover_lines(killed, remaining) or ["no leftover processes were found"]:
        print(line)  # noqa: T201 - the answer itself
    return 1 if remaining else 0
