"""The energy of one command, as ``perf stat`` does for counters."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from ..energy.meter import EnergyMeter
from ..errors import ConfigError
from ..records.energy_values import DomainEnergy, WindowResult
from ..units import format_joules, format_seconds, format_watts

__all__ = ["Measured", "measure_command", "render_result"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One command that ran to its end."""

    argv: tuple[str, ...]
    result: WindowResult
    flags: tuple[str, ...]
    """Remarks that a reader of the result must know."""
    exit_status: int
    """The command's; 128 + number where a signal ended it."""


def measure_command(argv: Sequence[str], meter: EnergyMeter) -> Measured:
    """Run a command in the foreground, on this terminal, and measure until it ends.

    Ctrl-C reaches the command, which shares our terminal; we wait for it and report.

    Raises:
        ConfigError: no command, or it cannot be started; nothing was measured.
    """
    if not argv:
        raise ConfigError("what shall be measured? write: measure -- COMMAND ARGUMENTS")
    meter.open()
    # a handler of our own, not SIG_IGN: the child would inherit that, a handler it does not
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
