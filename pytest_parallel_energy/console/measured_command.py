"""One measured command: run under a guard, with its energy, its CPU time and its share of the energy."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from types import FrameType

from msgspec import Struct, field
from msgspec.structs import replace

from ..energy.idle import busy_or_none
from ..energy.meter import EnergyMeter
from ..energy.resources import GPU_KINDS, counted_domains
from ..energy.shares import Shares, attribute_shares, combine
from ..errors import ConfigError, ProcessError
from ..processes.child import Supervised, start_supervised
from ..processes.command import Command
from ..processes.outcome import Outcome
from ..processes.rules import Supervision
from ..records.energy_values import WindowResult
from ..records.left_running import left_running_remarks
from ..records.record import IDLE_INCLUDED, Attribution

__all__ = ["Measured", "measure_command"]

_GRACE_S = 10.0
_LOOK_S = 0.25
"""Time until a request to end is noticed."""


class Measured(Struct, frozen=True, kw_only=True):
    """The energy of one command that has ended."""

    argv: tuple[str, ...]
    result: WindowResult
    flags: tuple[str, ...]
    """Remarks that a reader of the result must know."""
    exit_status: int
    """Of the command; 128 + number when a signal ended it, or ended the measurement, as in a shell."""
    cpu_s: float | None = None
    """CPU seconds of the command and everything that it started."""
    machine_cpu_s: float | None = None
    """CPU seconds of all programs in the same time."""
    attribution: Attribution = field(default_factory=Attribution)
    """The command's share of the energy of everything but GPUs, split by CPU time."""
    ended_by: int | None = None
    """The signal that asked to end the measurement; ``None`` when the command ended by itself."""


def measure_command(argv: Sequence[str], meter: EnergyMeter) -> Measured:
    """Run a command in the foreground, on this terminal, and measure until it ends.

    Ctrl-C reaches the command through the shared terminal; this process waits for it and still reports. After SIGTERM
    or SIGHUP the command gets SIGTERM, 10 s, then SIGKILL. No process that the command started outlives this process,
    whatever ends it.

    Raises:
        ConfigError: there is no command, or it cannot be started. Nothing was measured then.
    """
    if not argv:
        raise ConfigError("no command to measure; write: pytest-parallel-energy measure -- COMMAND ARGUMENTS")
    meter.open()
    with _noted_signals() as requests:
        window = meter.begin(argv[0], edges=True)
        busy_before_s = busy_or_none()
        try:
            with start_supervised(
                Command(argv=tuple(argv)), Supervision(container="subreaper", terminal=True, grace_s=_GRACE_S)
            ) as child:
                outcome = _wait(child, requests)
        except ProcessError as error:
            window.close()
            raise ConfigError(str(error)) from error
        result = window.end()
        busy_s = _difference(busy_before_s, busy_or_none())
    left = left_running_remarks(outcome.status.left_running if outcome.status else (), of_rounds=False)
    return Measured(
        argv=tuple(argv),
        result=result,
        flags=(*window.flags, *outcome.flags, *left, *(f"could not be killed: {words}" for words in outcome.stuck)),
        exit_status=_exit_status(outcome, requests),
        cpu_s=outcome.cpu_s,
        machine_cpu_s=busy_s,
        attribution=_attribution(meter, result, outcome.cpu_s, busy_s),
        ended_by=requests[0] if requests else None,
    )


@contextlib.contextmanager
def _noted_signals() -> Iterator[list[int]]:
    """Note requests to end this process instead of ending it; yield the list of their numbers."""
    requests: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        if number in {signal.SIGTERM, signal.SIGHUP}:  # the terminal sends the others to the command as well
            requests.append(number)

    if threading.current_thread() is not threading.main_thread():  # only the main thread may change handlers
        yield requests
        return
    numbers = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)
    # SIGHUP that nohup ignores stays ignored. A handler and not SIG_IGN: the command would inherit SIG_IGN.
    before = {
        number: signal.signal(number, note) for number in numbers if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(child: Supervised, requests: Sequence[int]) -> Outcome:
    while not requests:
        outcome = child.wait(_LOOK_S)
        if outcome is not None:
            return outcome
    return child.stop()


def _exit_status(outcome: Outcome, requests: Sequence[int]) -> int:
    if requests:
        return 128 + requests[0]
    code = outcome.exit_code
    if code is None:  # the guard was killed, and the command with it
        return 128 + signal.SIGKILL
    return code if code >= 0 else 128 - code


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _attribution(meter: EnergyMeter, result: WindowResult, cpu_s: float | None, busy_s: float | None) -> Attribution:
    """Return the command's share by CPU time; unknown where a counted domain has no value."""
    if cpu_s is None or result.total_j is None:
        return Attribution()
    # Both clocks count in ticks, and in a container /proc/stat may show less than all.
    all_s = max(busy_s or 0.0, cpu_s, 1 / os.sysconf("SC_CLK_TCK"))
    shares = Shares(foreground_ratio=cpu_s / all_s, background_ratio=0.0)
    found = [each for each in counted_domains(result, meter) if each.domain.kind not in GPU_KINDS]
    if not found:
        return Attribution()
    idle = "" if all(each.resource.idle_j is not None for each in found) else IDLE_INCLUDED
    shared = combine([attribute_shares(each.resource, shares) for each in found], f"share of CPU time{idle}")
    other_s = None if busy_s is None else max(0.0, busy_s - cpu_s)
    return replace(
        shared,
        foreground_cpu_s=cpu_s,
        other_cpu_s=other_s,
        other_cpu_ratio=None if other_s is None else other_s / all_s,
    )
