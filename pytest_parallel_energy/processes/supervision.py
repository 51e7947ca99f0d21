"""How a child is supervised, and what became of it: values only."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..errors import ConfigError

__all__ = ["Container", "Outcome", "Ready", "RoundRules", "Status", "Stopped", "Supervision"]

Container = Literal["auto", "namespace", "cgroup", "subreaper"]
Stopped = Literal["exited", "graceful", "forced", "lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """When a child counts as ready.

    Args:
        kind: ``started`` (at once), ``seconds``, ``pattern``, ``port`` or ``activity``.
        seconds: for ``seconds``: how long it must have run, in one round or in several that went well.
        pattern: for ``pattern``: a regular expression, looked for in the lines that the child prints.
        port: for ``port``: a TCP port of this host that accepts.
        cpu_s: for ``activity``: CPU seconds that must have been used,
        busy_ratio: … and cores that must have been busy over the last half second.

    Raises:
        ConfigError: an unknown kind, or its value is missing.
    """

    kind: Literal["started", "seconds", "pattern", "port", "activity"] = "started"
    seconds: float = 0.0
    pattern: str = ""
    port: int = 0
    cpu_s: float = 0.3
    busy_ratio: float = 0.2

    def __post_init__(self) -> None:
        if self.kind not in {"started", "seconds", "pattern", "port", "activity"}:
            raise ConfigError(
                f"readiness cannot be {self.kind!r}; it is one of started, seconds, pattern, port, activity"
            )
        if self.kind == "pattern":
            self._check_pattern()
        if self.kind == "port" and not 0 < self.port < 1 << 16:
            raise ConfigError(f"readiness by port needs a TCP port from 1 to 65535, not {self.port}")
        if self.kind == "seconds" and self.seconds < 0:
            raise ConfigError(f"readiness by seconds needs 0 or more, not {self.seconds}")

    def _check_pattern(self) -> None:
        if not self.pattern:
            raise ConfigError("readiness by pattern needs a regular expression; it is empty")
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ConfigError(f"readiness by pattern: {self.pattern!r} is no regular expression: {error}") from error

    def __str__(self) -> str:
        """As people write it: ``started``, ``pattern:epoch 1``, ``port:8080``, ``20 s``."""
        values = {"pattern": f"pattern:{self.pattern}", "port": f"port:{self.port}", "seconds": f"{self.seconds:g} s"}
        return values.get(self.kind, self.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRules:
    """How the rounds of a loop script are judged.

    Args:
        min_round_s: a round that ends sooner did nothing, whatever its exit code says.
        backoff_s: wait before the next round after one bad round; doubled with each further one in a row,
        backoff_max_s: … up to this.
        vain_after: so many bad rounds in a row before the load was ever ready: it loops in vain.
    """

    min_round_s: float = 0.02
    backoff_s: float = 0.1
    backoff_max_s: float = 5.0
    vain_after: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervision:
    """How one child is supervised.

    Args:
        log: the file that gets its output; with ``rounds`` the folder of ``round-N.log``. ``None`` keeps nothing.
        rounds: ``None`` for a command that runs once; for a loop script, how its rounds are judged.
        ready: when it counts as ready.
        container: ``auto`` takes the best that works; one kind takes that or fails.
        grace_s: between SIGTERM and SIGKILL in an orderly stop, 0 or more.
        log_limit_bytes: size of one log file, beside
        log_tail_bytes: … its last part, which is kept in any case.
        oom_score_adj: −1000 to 1000; above 0 the kernel ends this child rather than others when memory is short.
        max_processes: RLIMIT_NPROC of the child; ``None`` leaves it (the limit counts all processes of the user, and
            does not bind root).
        intensity: share of the time that the child may run once it is ready, above 0 to 1: all its processes are
            stopped and continued many times a second.
        target_gpu_percent: GPU utilisation, above 0 to 100, to which that share is moved; ``None`` leaves it.
        batch: of a loop script whose rounds get a batch size fitted to the free memory: the size asked for.
        nvml: NVIDIA's library, for tests; empty takes the driver's.
        lifetime_s: the longest it may run, whatever its owner does; ``None`` is for ever.
    """

    log: Path | None = None
    rounds: RoundRules | None = None
    ready: Ready = field(default_factory=Ready)
    container: Container = "auto"
    grace_s: float = 10.0
    log_limit_bytes: int = 64 << 20
    log_tail_bytes: int = 1 << 20
    oom_score_adj: int = 0
    max_processes: int | None = None
    intensity: float = 1.0
    target_gpu_percent: float | None = None
    batch: int | None = None
    nvml: str = ""
    lifetime_s: float | None = None

    def __post_init__(self) -> None:
        if self.grace_s < 0:
            raise ConfigError(f"the grace between SIGTERM and SIGKILL must be 0 s or more, not {self.grace_s}")
        if not 0 < self.intensity <= 1:
            raise ConfigError(f"the intensity is a share above 0, up to 1, not {self.intensity}")
        if self.target_gpu_percent is not None and not 0 < self.target_gpu_percent <= 100:  # noqa: PLR2004 - percent
            raise ConfigError(f"the GPU utilisation to reach is above 0 %, up to 100 %, not {self.target_gpu_percent}")
        if self.log_limit_bytes < 0 or self.log_tail_bytes <= 0:
            raise ConfigError("a log needs a limit of 0 bytes or more, and a tail of at least 1 byte")


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
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
    status: Status | None = None
    """The last figures; ``None`` when the guard could not give them."""
