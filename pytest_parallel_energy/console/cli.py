"""The console script ``pytest-parallel-energy``: one subcommand per question, without starting pytest."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from .. import __version__
from ..errors import ParallelEnergyError, did_you_mean, printable
from .plain_output import write_any_encoding

__all__ = ["COMMANDS", "main"]

_SIGNAL_STATUS = 128  # a shell reports 128 + number for a program that a signal ended: SIGINT 2, SIGPIPE 13

COMMANDS = {
    "init": ("starter", "write the files of a first experiment"),
    "add-workload": ("add_workload_command", "propose a registry entry for a training script"),
    "metrics": ("metrics_command", "read the metrics in a log as a registry describes them"),
    "doctor": ("doctor", "report which sensors work on this machine, why others do not, and how to fix them"),
    "list": ("listings", "list the registered workloads, the sensors, or the columns of summary.csv"),
    "measure": ("measure", "run a command and report the energy it used"),
    "plan": ("plan_command", "show what a pytest command would run, for how long, and with how much energy"),
    "compare": ("compare_command", "compare runs or baselines with a first one"),
    "report": ("report_command", "write reports of runs that have ended"),
    "export": ("export_command", "convert the records of runs to another program's format"),
    "merge": ("merge_command", "merge the records of several sessions or machines into one run"),
    "kill-background": ("kill_command", "kill leftover background loads of crashed sessions"),
}
"""The module of each subcommand in this package, and its line in the overview.

A module is imported only when its subcommand runs, so that ``--version`` and ``--help`` stay fast. It has
``configure(parser)``, which adds the arguments, and ``run(options)``, which returns the exit status.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    Args:
        arguments: without the program's name; ``None`` takes those of this process.

    Returns:
        The exit status: 0; 1 when the answer is bad news, such as a regression; 2 when the command line or a file
        cannot be used; 130 after Ctrl-C; 141 when the reader of the output has gone away, as in ``list | head``.
    """
    write_any_encoding()
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser(given)
    if given[:1] == ["plan"] and given[1:2] not in ([], ["-h"], ["--help"], ["--"]):
        given.insert(1, "--")  # argparse takes a leading option of pytest, as in "plan -k name", for one of its own
    options = parser.parse_args(given)
    try:
        status: int = options.run(options)
        sys.stdout.flush()  # a closed pipe must be noticed here, not while the interpreter exits
    except ParallelEnergyError as error:
        print(f"pytest-parallel-energy: {printable(str(error))}", file=sys.stderr)  # noqa: T201 - a command's own output
        return 2
    except BrokenPipeError:
        # Python flushes standard output once more at exit and would print a second error
        # (docs.python.org/3/library/signal.html, "Note on SIGPIPE").
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _SIGNAL_STATUS + 13
    except KeyboardInterrupt:
        return _SIGNAL_STATUS + 2
    return status


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    """Build the parser; only the subcommand in ``given`` gets its arguments."""
    parser = argparse.ArgumentParser(
        prog="pytest-parallel-energy",
        description="Measure the energy of programs, and work with the results of energy experiments run by pytest.",
        epilog="'pytest-parallel-energy COMMAND --help' describes one command. Experiments themselves are started by "
        "pytest: see 'pytest --help', group 'energy'.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    wanted = next((word for word in given if not word.startswith("-")), None)
    if wanted is not None and wanted not in COMMANDS:
        parser.error(f"there is no command {wanted!r}; {did_you_mean(wanted, COMMANDS)}")
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter)
        if name == wanted:
            implementation = import_module(f".{module}", __package__)
            implementation.configure(command)
            command.set_defaults(run=implementation.run)
    return parser
