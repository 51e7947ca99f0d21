"""The state of a supervised child process while it runs, and how it ended: values only."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

__all__ = ["GuardStatus", "Outcome", "Stopped"]

Stopped = Literal["exited", "graceful", "forced", "lost"]


class GuardStatus(Struct, frozen=True, kw_only=True):
    """A supervised child at one moment. Times are seconds; ``now_s`` and ``ran_s`` are of the monotonic clock."""

    now_s: float
    running: bool
    """A round runs now."""
    ready: bool
    ready_s: float | None
    busy_s: float | None = None
    """Seconds from its start until it was first seen to be busy; ``None`` where that is not looked for."""
    matched_s: float | None = None
    """Seconds from its start until a readiness pattern first matched; ``None`` before, and without a pattern."""
    left_running: tuple[tuple[int, tuple[str, ...]], ...] = ()
    """Processes that were still running when a round ended, and were killed: number of the round and command, five
    at most, of the first such round."""
    round: int
    completed: int
    failed: int
    exit_codes: tuple[int, ...]
    """Exit codes of the first 1000 rounds; a signal that ended a plain command counts negative."""
    spans_s: tuple[tuple[float, float], ...]
    """Begin and end of each of the first 500 rounds on the monotonic clock; empty unless requested."""
    ran_s: float
    """Time during which a round ran, in total."""
    gap_s: float | None
    """Longest time between two rounds; ``None`` before the second."""
    ended_s: float
    """Time of the rounds that have ended."""
    longest_s: float | None
    shortest_s: float | None
    batch_sizes: tuple[int, ...]
    """All batch sizes of a load whose batch is fitted, in order, each change once."""
    share_ran: float | None
    """Share of the time during which it was allowed to run; ``None`` without an intensity or a target."""
    stalled_s: float
    """Time during which all its processes were stopped, and not by its guard."""
    hung_s: float
    """Time during which a round ran and used next to nothing of a CPU or a GPU, unlike before."""
    memory_bytes: int | None
    """Most memory seen, pages that its processes share counted once; ``None`` before the first look (1 s), and for a
    command that runs once."""
    gpu_memory_bytes: int | None
    """Most GPU memory that it held; ``None`` without an NVIDIA GPU, or before the first look."""
    gpu_percent: float | None
    """Mean GPU utilisation of its processes, per device; ``None`` where the driver reports none."""
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
    """Bytes that the disk refused."""
    tail: str
    flags: tuple[str, ...]


class Outcome(Struct, frozen=True, kw_only=True):
    """The end of a supervised child. No process of it is left, unless ``stuck`` names it.

    ``exit_code`` is that of its first process; negative for the signal that ended it; ``None`` when it is not known.
    ``stopped`` is ``exited`` (by itself), ``graceful`` (after SIGTERM), ``forced`` (SIGKILL was needed) or ``lost``
    (its guard was killed, and the rest with it; or pytest did not wait for the end of its grace).
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
