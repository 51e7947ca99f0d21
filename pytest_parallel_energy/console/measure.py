"""The subcommand ``measure``: the energy of one command, as ``perf stat`` does for counters."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..energy.meter import EnergyMeter
from ..errors import ConfigError
from ..records.energy_values import DomainEnergy, WindowResult
from ..units import format_joules, format_seconds, format_watts

__all__ = ["Measured", "configure", "measure_command", "render_result", "run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The energy of one command that has ended."""

    argv: tuple[str, ...]
    result: WindowResult
    flags: tuple[str, ...]
    """Remarks that a reader of the result must know."""
    exit_status: int
    """Of the command; 128 + number when a signal ended it, as in a shell."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the subcommand."""
    parser.description = """\
Run a command on this terminal and report the energy (joules), time (seconds) and mean power (watts) of the
machine while it ran, on standard error. The figures include other programs that ran at the same time.

exit status: that of the command"""
    parser.epilog = """\
examples:
  pytest-parallel-energy measure -- python train.py --epochs 2
  pytest-parallel-energy measure --sensors powercap,nvml -- make -j4"""
    parser.add_argument(
        "--sensors", default="auto", metavar="NAMES", help="comma-separated names of sensors (default: %(default)s)"
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the command and its arguments")


def run(options: argparse.Namespace) -> int:
    """Measure the command, print the result, and return the command's exit status."""
    argv = options.command[1:] if options.command[:1] == ["--"] else options.command
    root = Path(os.environ.get("PYTEST_ENERGY_SYSFS_ROOT", "/sys"))
    with EnergyMeter(options.sensors, sysfs_root=root) as meter:
        measured = measure_command(argv, meter)
    # on standard error, so that the command's own output can be piped on
    print("\n".join(["", *render_result(measured)]), file=sys.stderr)  # noqa: T201 - the answer itself
    return measured.exit_status


def measure_command(argv: Sequence[str], meter: EnergyMeter) -> Measured:
    """Run a command in the foreground, on this terminal, and measure until it ends.

    Ctrl-C reaches the command through the shared terminal; this process waits for it and still reports.

    Raises:
        ConfigError: there is no command, or it cannot be started. Nothing was measured then.
    """
    if not argv:
        raise ConfigError("no command to measure; write: pytest-parallel-energy measure -- COMMAND ARGUMENTS")
    meter.open()
    # A handler and not SIG_IGN: the child would inherit SIG_IGN and could not be interrupted.
    before = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        window = meter.begin(argv[0], edges=True)
        try:
            with subprocess.Popen(argv) as child:
                status = child.wait()
        except OSError as error:
            window.close()
            raise ConfigError(f"{argv[0]!r} cannot be started: {error.strerror}") from error
        result = window.end()
    finally:
        signal.signal(signal.SIGINT, before)
    exit_status = status if status >= 0 else 128 - status
    return Measured(argv=tuple(argv), result=result, flags=window.flags, exit_status=exit_status)


def render_result(measured: Measured) -> list[str]:
    """Return the result as plain lines: the total with its interval and boundary, each domain, and the flags."""
    result = measured.result
    total = "missing" if result.total_j is None else _plus_minus(result.total_j, result.total_u95_j)
    return [
        f"{total}  in {format_seconds(result.window_s)}, {format_watts(result.mean_w)} mean  [{result.quality}]",
        f"boundary: {result.boundary}",
        *(_domain_line(domain) for domain in result.domains),
        *(f"note: {flag}" for flag in measured.flags),
    ]


def _domain_line(domain: DomainEnergy) -> str:
    value = "missing: " + (domain.reason or "") if domain.joules is None else _plus_minus(domain.joules, domain.u95_j)
    apart = "" if domain.counted else "  (not in the total)"
    return f"  {domain.name}: {value}  [{domain.source}, {domain.quality}]{apart}"


def _plus_minus(joules: float, u95_j: float | None) -> str:
    return f"{format_joules(joules)} ± {format_joules(u95_j)}"
