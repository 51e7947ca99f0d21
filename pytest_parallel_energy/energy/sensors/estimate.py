"""The estimate: watts per hardware thread of comparable servers, idle and under load, and this machine's CPU time.

Boundary: a whole server at the wall, this machine's share of threads; in a virtual machine a thread is a virtual CPU.
The energy is ``threads × idle watts × time + (full - idle watts) × busy CPU seconds``, linear in the load
(10–13 % off in the middle). No reading of energy or power is in it: the label is ``estimated``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from ...errors import SensorError, SensorUnavailableError
from ...host.cpu_info import BUSY_FIELDS, TICK_S, CpuInfo, family_of, read_cpu_info
from ...host.cpu_quota import usable_threads
from ...records.energy_values import Quality
from ...units import NS_PER_S
from ..model import ModelBounds
from ..sensor import Reading, Sensor, SensorDescription
from .coefficients import Coefficients, coefficients_of

__all__ = ["EstimateSensor", "open_estimate"]

_COUNTS_PER_J = 1_000_000
_LINE_BYTES = 512
"""The first line of ``/proc/stat``: ten counters of at most 20 digits."""


class EstimateSensor:
    """A counter of modelled microjoules that starts at 0 when it is opened.

    Args:
        cpu: the machine's processors.
        coefficients: watts per thread.
        stat: the file with the CPU times.
        clock_ns: monotonic nanoseconds.
        usable: hardware threads that this process may use, where that is fewer; ``None`` where unknown.
    """

    def __init__(
        self,
        cpu: CpuInfo,
        coefficients: Coefficients,
        *,
        stat: Path = Path("/proc/stat"),
        clock_ns: Callable[[], int] = time.monotonic_ns,
        usable: float | None = None,
    ) -> None:
        self._idle_w = cpu.threads * coefficients.idle.p50_w
        self._busy_w = coefficients.full.p50_w - coefficients.idle.p50_w
        self._stat = stat
        self._clock_ns = clock_ns
        self._description = _describe(cpu, coefficients, usable)
        self._fd = os.open(stat, os.O_RDONLY | os.O_CLOEXEC)
        self._start_ns = clock_ns()
        self._start_busy_s = self._busy_s()

    @property
    def description(self) -> SensorDescription:
        """The description of the model: its boundary and its interval."""
        return self._description

    def read(self) -> Reading:
        """Return the modelled energy since opening, microjoules.

        Raises:
            SensorError: the CPU times cannot be read.
        """
        passed_s = (self._clock_ns() - self._start_ns) / NS_PER_S
        busy_s = self._busy_s() - self._start_busy_s
        return Reading(counter=round((self._idle_w * passed_s + self._busy_w * busy_s) * _COUNTS_PER_J))

    def close(self) -> None:
        """Close the file."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _busy_s(self) -> float:
        try:
            line = os.pread(self._fd, _LINE_BYTES, 0).partition(b"\n")[0].split()
            return sum(int(line[field]) for field in BUSY_FIELDS) * TICK_S
        except OSError as error:
            raise SensorError(f"{self._stat}: {error.strerror}") from error
        except (ValueError, IndexError) as error:
            raise SensorError(f"{self._stat} does not begin with CPU times") from error


def open_estimate(proc_root: Path = Path("/proc")) -> tuple[Sensor, ...]:
    """Return the model of this machine.

    Raises:
        SensorUnavailableError: the processors or their times cannot be read.
    """
    try:
        cpu = read_cpu_info(proc_root)
        return (EstimateSensor(cpu, coefficients_of(family_of(cpu)), stat=proc_root / "stat", usable=usable_threads()),)
    except (OSError, SensorError) as error:
        raise SensorUnavailableError(f"the processors cannot be read from {proc_root}: {error}") from error


def _describe(cpu: CpuInfo, coefficients: Coefficients, usable: float | None) -> SensorDescription:
    known = coefficients.family != "unknown"
    model = f"{coefficients.servers} {coefficients.family} servers" if known else "servers of every CPU family"
    notes = [f"the energy is estimated from CPU time and published figures of {model}, not measured"]
    if not known:
        notes.append(f"the CPU ({cpu.name or cpu.vendor or 'unnamed'}) is not in the table: the interval is the widest")
    if usable is not None and usable < cpu.threads:
        notes.append(
            f"this process may use {usable:.3g} of the machine's {cpu.threads} hardware threads (CPU affinity, or the "
            "quota of its cgroup): the estimate is of all of them, and of the CPU time of all programs"
        )
    return SensorDescription(
        name="server-estimate",
        kind="server",
        source="estimate",
        quality=Quality.ESTIMATED,
        covers="whole server at the wall, this machine's share of threads (modelled)",
        contains=frozenset({"cpu", "dram"}),
        joules_per_count=1 / _COUNTS_PER_J,
        # busy time moves in ticks; twice, because both ends of a window may be off by one on every thread
        resolution_counts=round(
            2 * TICK_S * cpu.threads * (coefficients.full.p50_w - coefficients.idle.p50_w) * _COUNTS_PER_J
        ),
        update_interval_s=TICK_S,
        model=ModelBounds(
            idle_w=cpu.threads * coefficients.idle.p50_w,
            full_w=cpu.threads * coefficients.full.p50_w,
            idle_factors=coefficients.idle_factors,
            full_factors=coefficients.full_factors,
            threads_per_core=cpu.threads_per_core,
        ),
        idle_w=cpu.threads * coefficients.idle.p50_w,
        notes=tuple(notes),
    )
