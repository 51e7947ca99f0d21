"""The subcommand ``plan``: the same as ``pytest --energy-plan``."""

from __future__ import annotations

import argparse
import subprocess
import sys

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the subcommand."""
    parser.description = """\
Show the experiments that pytest would run, in their order, with the expected duration and energy of each
where earlier runs tell them. Runs nothing. The same as: pytest --energy-plan ARGUMENTS"""
    parser.epilog = """\
example:
  pytest-parallel-energy plan experiments/ --energy-repeats=5"""
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="ARGUMENTS", help="files, folders and options for pytest"
    )


def run(options: argparse.Namespace) -> int:
    """Start pytest and return its exit status."""
    # Depending on its version, argparse keeps the separator.
    arguments = options.arguments[1:] if options.arguments[:1] == ["--"] else options.arguments
    # In a process of its own, because pytest configures the interpreter it runs in.
    return subprocess.run([sys.executable, "-m", "pytest", "--energy-plan", *arguments], check=False).returncode
