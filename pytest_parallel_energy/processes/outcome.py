"""The state of a supervised child process while it runs, and how it ended: values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["GuardStatus", "Outcome", "Stopped"]

Stopped = Literal["exited", "graceful", "forced", "lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardStatus:
    """A supervised child at one moment. Times are seconds; ``now_s`` and ``ran_s`` are of the monotonic clock."""

    now_s: float
    running: bool
    """A round runs now."""
    ready: bool
    ready_s: float | None
    round: int
    completed: int
    failed: int
    exit_codes: tuple[int, ...]
    """Of the first 1000 rounds that ended; a signal that ended a plain command counts negative."""
    spans_s: tuple[tuple[float, float], ...]
    """Begin and end of each of the first 500 rounds on the monotonic clock; empty where nobody asked."""
    ran_s: float
    """During which a round ran, in all."""
    gap_s: float | None
    """Longest time between two rounds; ``None`` before the second."""
    ended_s: float
    """During which the rounds ran that have ended."""
    longest_s: float | None
    shortest_s: float | None
    batch_sizes: tuple[int, ...]
    """All batch sizes of a load whose batch is fitted, in order, each change once."""
    share_ran: float | None
    """Share of the time during which it was let run, where an intensity or a target was asked for."""
    stalled_s: float
    """During which all its processes were stopped, and not by its guard."""
    memory_bytes: int | None
    """Most resident memory seen, shared pages counted in each process; ``None`` before the first look (1 s)."""
    gpu_memory_bytes: int | None
    """Most GPU memory that it held; ``None`` without an NVIDIA GPU, or before the first look."""
    gpu_percent: float | None
    """Mean GPU utilisation of its processes, per device; ``None`` where the driver tells none."""
    gpu_u95_percent: float | None
    """Half-width of the 95 % interval of that mean, from the scatter of its readings."""
    cpu_s: float
    """CPU seconds of everything that the child started, also of what has ended."""
    leader: int | None
    """Pid of its first process, as its owner sees it."""
    pids: tuple[int, ...]
    """All its processes now, as its owner (and NVML) sees them."""
    log_bytes: int
    lost_log_bytes: int
    """What the disk did not take."""
    tail: str
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a supervised child ended. Nothing of it is left, unless ``stuck`` names it.

    ``exit_code`` is that of its first process; negative for the signal that ended it; ``None`` when nobody could see.
    ``stopped`` is ``exited`` (by itself), ``graceful`` (after SIGTERM), ``forced`` (SIGKILL was needed) or ``lost``
    (its guard was killed, and the rest with it).
    """

    exit_code: int | None
    stopped: Stopped
    seconds: float
    cpu_s: float | None
    container: str
    stuck: tuple[str, ...] = ()
    """Processes that even SIGKILL did not end within 5 s: pid, state, and what they wait for in the kernel."""
    flags: tuple[str, ...] = ()
    status: GuardStatus | None = None
    """The last figures; ``None`` when the guard could not give them."""
