"""The console script ``pytest-parallel-energy``: the same answers as the plugin's options, without pytest's."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

from .. import __version__
from ..errors import ParallelEnergyError
from ..plan.settings import Settings
from . import listings as answers
from .result_commands import add_commands

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; the exit status is 0, 1 (the answer is bad news) or 2 (the question was wrong)."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except ParallelEnergyError as error:
        print(f"pytest-parallel-energy: {error}", file=sys.stderr)  # noqa: T201 - a command's own output
        return 2
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pytest-parallel-energy", description="Energy experiments as pytest tests.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    doctor = commands.add_parser("doctor", help="what can be measured here, why not, and what would mend it")
    doctor.set_defaults(run=_doctor)
    listing = commands.add_parser("list", help="the workloads, sensors, or columns of the results")
    listing.add_argument("what", nargs="?", choices=("workloads", "sensors", "columns"), default="workloads")
    listing.add_argument("--models", action="append", default=[], metavar="FILE", help="a registry of workloads")
    listing.set_defaults(run=_list)
    add_commands(commands)
    plan = commands.add_parser("plan", help="what would run, how long, and what it would use: pytest --energy-plan")
    plan.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="files and options for pytest")
    plan.set_defaults(run=_plan)
    kill = commands.add_parser(
        "kill-background",
        help="end what the background loads of dead sessions left behind",
        description="Ends the processes that sessions left behind which are dead themselves (after a reset of the "
        "container, or SIGKILL of pytest and all guards): those that carry a session's cookie whose owner lives no "
        "more, of the users that you may signal. Loads of a session that runs are left alone. Prints what it ended; "
        "the exit status is 1 when something could not be ended.",
    )
    kill.set_defaults(run=_kill_background)
    measure = commands.add_parser("measure", help="run a command and tell the energy that was used meanwhile")
    measure.add_argument("--sensors", default="auto", metavar="NAMES", help="which sources, with commas between")
    measure.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the command with its arguments"
    )
    measure.set_defaults(run=_measure)
    return parser


def _kill_background(_options: argparse.Namespace) -> int:
    from ..processes.leftovers import sweep_leftovers

    ended, left = sweep_leftovers()
    for line in answers.sweep_lines(ended, left) or ["nothing was left behind"]:
        print(line)  # noqa: T201 - the answer itself
    return 1 if left else 0


def _plan(options: argparse.Namespace) -> int:
    import subprocess

    # A process of its own: pytest configures the interpreter it runs in.
    return subprocess.run([sys.executable, "-m", "pytest", "--energy-plan", *options.arguments], check=False).returncode


def _doctor(_options: argparse.Namespace) -> int:
    lines, status = answers.doctor(Settings())
    print("\n".join(lines))  # noqa: T201 - the answer itself
    return status


def _measure(options: argparse.Namespace) -> int:
    import os
    from pathlib import Path

    from ..energy.meter import EnergyMeter
    from .measure import measure_command, render_result

    argv = options.command[1:] if options.command[:1] == ["--"] else options.command
    root = Path(os.environ.get("PYTEST_ENERGY_SYSFS_ROOT", "/sys"))
    with EnergyMeter(options.sensors, sysfs_root=root) as meter:
        measured = measure_command(argv, meter)
    # on stderr, so that the command's own output can be piped on
    print("\n".join(["", *render_result(measured)]), file=sys.stderr)  # noqa: T201 - the answer itself
    return measured.exit_status


def _list(options: argparse.Namespace) -> int:
    settings = replace(Settings(), models=tuple(options.models))
    print("\n".join(answers.listing(settings, options.what)))  # noqa: T201 - the answer itself
    return 0
