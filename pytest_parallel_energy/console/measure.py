"""The subcommand ``measure``: the energy of one command, as ``perf stat`` does for counters."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..energy.meter import EnergyMeter
from ..errors import ConfigError
from ..records.codec import encode_value
from ..records.energy_values import DomainEnergy
from ..units import format_joules, format_seconds, format_watts
from .measured_command import Measured, measure_command

__all__ = ["configure", "render_result", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the subcommand."""
    parser.description = """\
Run a command on this terminal and report the energy (joules), time (seconds) and mean power (watts) of the
machine while it ran, on standard error. The figures include other programs that ran at the same time; the
command's own share is estimated from its CPU time. The window also holds about 0.05 s for starting the process that
supervises the command. Processes that the command leaves running are killed when it ends.

exit status: that of the command, of the first failed one with -r; 128 + number when SIGTERM or SIGHUP ended it"""
    parser.epilog = """\
examples:
  pytest-parallel-energy measure -- python train.py --epochs 2
  pytest-parallel-energy measure --sensors powercap,nvml -- make -j4
  pytest-parallel-energy measure -r 5 --json -o energy.json -- python train.py"""
    parser.add_argument(
        "--sensors", default="auto", metavar="NAMES", help="comma-separated names of sensors (default: %(default)s)"
    )
    parser.add_argument(
        "-r", "--repeat", type=_count, default=1, metavar="N", help="run the command N times (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="report as JSON")
    parser.add_argument("-o", "--output", metavar="FILE", help="file for the report (default: standard error)")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the command and its arguments")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Measure the command, report the result, and return the command's exit status.

    Raises:
        ConfigError: the command cannot be started, or the report cannot be written.
    """
    argv = options.command[1:] if options.command[:1] == ["--"] else options.command
    if options.output is not None:
        _write("", options.output)  # a report that cannot be written is refused before hours of measuring
    root = Path(os.environ.get("PYTEST_ENERGY_SYSFS_ROOT", "/sys"))
    runs: list[Measured] = []
    with EnergyMeter(options.sensors, sysfs_root=root) as meter:
        while len(runs) < options.repeat and not (runs and runs[-1].ended_by):
            runs.append(measure_command(argv, meter))
    text = encode_value(_as_json(runs)).decode() if options.json else "\n".join(_render_runs(runs))
    _write(f"{text}\n" if options.json or options.output else f"\n{text}\n", options.output)
    return next((measured.exit_status for measured in runs if measured.exit_status), 0)


def _write(text: str, output: str | None) -> None:
    if output is None:  # on standard error, so that the command's own output can be piped on
        sys.stderr.write(text)
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the report cannot be written to {output!r}: {error.strerror}") from error


def _as_json(runs: Sequence[Measured]) -> dict[str, Any]:
    joules = _totals_j(runs)
    return {
        "command": list(runs[0].argv),
        "mean_j": None if joules is None else sum(joules) / len(joules),
        "runs": [
            {
                "exit_status": measured.exit_status,
                "cpu_s": measured.cpu_s,
                "machine_cpu_s": measured.machine_cpu_s,
                "energy": measured.result,
                "attribution": measured.attribution,
                "flags": list(measured.flags),
            }
            for measured in runs
        ],
    }


def _totals_j(runs: Sequence[Measured]) -> list[float] | None:
    totals_j = [measured.result.total_j for measured in runs if measured.result.total_j is not None]
    return totals_j if len(totals_j) == len(runs) else None


def _render_runs(runs: Sequence[Measured]) -> list[str]:
    lines: list[str] = []
    for number, measured in enumerate(runs, 1):
        lines += [f"run {number}:"] if len(runs) > 1 else []
        lines += render_result(measured)
    totals_j = _totals_j(runs)
    if len(runs) > 1 and totals_j is not None:
        mean_j = sum(totals_j) / len(totals_j)
        lines.append(
            f"{len(runs)} runs: mean {format_joules(mean_j)}, "
            f"from {format_joules(min(totals_j))} to {format_joules(max(totals_j))}"
        )
    return lines


def render_result(measured: Measured) -> list[str]:
    """Return the result as plain lines: the total with its interval and boundary, each domain, and the flags."""
    result = measured.result
    total = (
        "missing"
        if result.total_j is None
        else _plus_minus(result.total_j, result.total_u95_j, (result.total_low_j, result.total_high_j))
    )
    return [
        f"{total}  in {format_seconds(result.window_s)}, {format_watts(result.mean_w)} mean  [{result.quality}]",
        f"boundary: {result.boundary}",
        *(_domain_line(domain) for domain in result.domains),
        *_own_lines(measured),
        *(f"note: {flag}" for flag in measured.flags),
    ]


def _own_lines(measured: Measured) -> list[str]:
    if measured.cpu_s is None:
        return []
    lines = [f"CPU time: {format_seconds(measured.cpu_s)} of the command"]
    if measured.machine_cpu_s is not None:
        lines[0] += f", {format_seconds(measured.machine_cpu_s)} of all programs"
    share = measured.attribution
    if share.foreground_j is not None:
        bounds = f"{format_joules(share.low_j)} to {format_joules(share.high_j)}"
        lines.append(f"share of the command: {format_joules(share.foreground_j)} ({bounds}; {share.method})")
    return lines


def _domain_line(domain: DomainEnergy) -> str:
    value = (
        "missing: " + (domain.reason or "")
        if domain.joules is None
        else _plus_minus(domain.joules, domain.u95_j, (domain.low_j, domain.high_j))
    )
    apart = "" if domain.counted else "  (not in the total)"
    return f"  {domain.name}: {value}  [{domain.source}, {domain.quality}]{apart}"


def _plus_minus(joules: float, u95_j: float | None, ends_j: tuple[float | None, float | None]) -> str:
    if None not in ends_j:
        return f"{format_joules(joules)} ({format_joules(ends_j[0])} to {format_joules(ends_j[1])})"
    return f"{format_joules(joules)} ± {format_joules(u95_j)}"
