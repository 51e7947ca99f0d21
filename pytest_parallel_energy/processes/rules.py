"""Rules for supervising a child process: values only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, get_args

from msgspec import Struct, field

from ..errors import ConfigError
from .ranges import GRACE, PERCENT, SHARE

__all__ = ["Container", "Ready", "RoundRules", "SharedMemory", "Supervision"]

ReadyKind = Literal["started", "seconds", "pattern", "port", "activity", "training"]
Container = Literal["auto", "namespace", "cgroup", "subreaper"]
SharedMemory = Literal["read-only", "writable"]


class Ready(Struct, frozen=True, kw_only=True):
    """The condition under which a child counts as ready.

    Args:
        kind: ``started`` (at once), ``seconds``, ``pattern``, ``port``, ``activity`` or ``training``.
        seconds: for ``seconds``: how long it must have run, in one round or in several that went well.
        pattern: for ``pattern``: a regular expression, looked for in the lines that the child prints.
        port: for ``port``: a TCP port of this host that accepts.
        cpu_s: for ``activity``: CPU seconds that must have been used,
        busy_ratio: … and cores that must have been busy over the last half second.
        patterns: for ``training``: regular expressions, of which one must match in the lines that the child prints;
        patience_s: … or activity counts, once this time has passed without a match, and a whole round that went well.

    Raises:
        ConfigError: an unknown kind, or its value is missing.
    """

    kind: ReadyKind = "started"
    seconds: float = 0.0
    pattern: str = ""
    port: int = 0
    cpu_s: float = 0.3
    busy_ratio: float = 0.2
    patterns: tuple[str, ...] = ()
    patience_s: float = 60.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(ReadyKind):
            raise ConfigError(f"readiness cannot be {self.kind!r}; it is one of {', '.join(get_args(ReadyKind))}")
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
            raise ConfigError(f"readiness by pattern: {self.pattern!r} is not a regular expression: {error}") from error

    def __str__(self) -> str:
        """Return it as a user writes it: ``started``, ``pattern:epoch 1``, ``port:8080``, ``20 s``."""
        if self.kind == "training":
            return "auto: the first match of one of its metric or applied patterns"
        values = {"pattern": f"pattern:{self.pattern}", "port": f"port:{self.port}", "seconds": f"{self.seconds:g} s"}
        return values.get(self.kind, self.kind)


class RoundRules(Struct, frozen=True, kw_only=True):
    """The rules by which the rounds of a loop script are judged.

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


class Supervision(Struct, frozen=True, kw_only=True):
    """The rules for one child.

    Args:
        log: the file that gets its output; with ``rounds`` the folder of ``round-N.log``. ``None`` keeps nothing.
        log_times: the file that gets, at the child's end, the times at which its output arrived; ``None`` keeps none.
        rounds: ``None`` for a command that runs once; for a loop script, how its rounds are judged.
        ready: when it counts as ready.
        container: ``auto`` takes the best that works; any other kind takes that one or fails.
        grace_s: seconds between SIGTERM and SIGKILL in an orderly stop, 0 or more, finite.
        log_limit_bytes: size of one log file, without
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
        terminal: whether it shares the owner's standard streams and process group, as a command that a shell starts
            does: Ctrl-C and Ctrl-Z reach it from the terminal. Needs the container ``subreaper``; keeps no log.
        shared_memory: what it may do with data of others in ``/dev/shm``; ``None`` takes what the environment variable
            ``PYTEST_ENERGY_SHARED_MEMORY`` says, else ``read-only``. The container ``namespace`` alone can keep it.
    """

    log: Path | None = None
    log_times: Path | None = None
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
    terminal: bool = False
    shared_memory: SharedMemory | None = None

    def __post_init__(self) -> None:
        GRACE.check("the grace between SIGTERM and SIGKILL", self.grace_s)
        SHARE.check("the intensity", self.intensity)
        if self.terminal and self.container != "subreaper":
            raise ConfigError(f"only the container subreaper leaves a child on the terminal, not {self.container!r}")
        if self.target_gpu_percent is not None:
            PERCENT.check("the GPU utilisation to reach", self.target_gpu_percent)
        if self.log_limit_bytes < 0 or self.log_tail_bytes <= 0:
            raise ConfigError("a log needs a limit of 0 bytes or more, and a tail of at least 1 byte")
