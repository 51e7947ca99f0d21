"""How a background load is run, and what is known about it afterwards: values."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import ConfigError
from ..processes.supervision import Container, Ready, RoundRules
from ..units import parse_seconds

__all__ = ["LoadReport", "LoadSettings", "parse_ready"]

AUTO = Ready(kind="activity")
"""What readiness is when nobody says: the load was seen to work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSettings:
    """How one background load is run.

    Args:
        ready: when the load counts as ready. The default is activity: it has used 0.3 s of CPU and keeps a fifth of a
            core busy, or a whole round went well.
        ready_timeout_s: how long that may take, above 0.
        grace_s: between SIGTERM and SIGKILL when it is stopped, 0 or more.
        coverage_min_ratio: least share of the window during which a round must have run, 0 to 1; 0 turns it off.
        rounds: what a bad round is, and how long to wait after it.
        container: ``auto`` takes the best that works here; one kind takes that or fails.
        log_limit_bytes: size of one round's log, beside its last 64 KiB.
        max_processes: limit of processes of its user; ``None`` leaves it.

    Raises:
        ConfigError: a number outside its range.
    """

    ready: Ready = AUTO
    ready_timeout_s: float = 60.0
    grace_s: float = 10.0
    coverage_min_ratio: float = 0.9
    rounds: RoundRules = field(default_factory=RoundRules)
    container: Container = "auto"
    log_limit_bytes: int = 4 << 20
    max_processes: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.coverage_min_ratio <= 1:
            raise ConfigError(f"the least coverage is a share from 0 to 1, not {self.coverage_min_ratio}")
        if self.ready_timeout_s <= 0:
            raise ConfigError(f"the load needs more than 0 s to become ready, not {self.ready_timeout_s}")
        if self.grace_s < 0:
            raise ConfigError(f"the grace between SIGTERM and SIGKILL must be 0 s or more, not {self.grace_s}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What became of one load: the fields of a record's ``background`` part that the load itself knows."""

    name: str
    command: tuple[str, ...]
    script: str | None = None
    log_dir: str | None = None
    rounds_completed: int = 0
    rounds_failed: int = 0
    exit_codes: tuple[int, ...] = ()
    """Of the first 1000 rounds, as a shell tells them (128 + number of the signal that ended it)."""
    uptime_s: float | None = None
    """During which a round ran."""
    coverage_ratio: float | None = None
    gap_s: float | None = None
    """Longest time between two rounds; ``None`` before the second."""
    cpu_s: float | None = None
    ready_s: float | None = None
    stop: str | None = None
    """``graceful`` or ``forced``; ``lost`` when somebody killed its guard."""
    container: str | None = None
    flags: tuple[str, ...] = ()


def parse_ready(text: str) -> Ready:
    """Readiness as people write it.

    >>> parse_ready("auto").kind, parse_ready("5 s").seconds, parse_ready("port:8080").port
    ('activity', 5.0, 8080)
    >>> parse_ready("pattern:epoch 1").pattern
    'epoch 1'

    Raises:
        ConfigError: none of ``auto``, ``activity``, ``started``, ``pattern:REGEX``, ``port:N``, or a time.
    """
    kind, _, value = text.partition(":")
    if text in {"auto", "activity"}:
        return AUTO
    if text == "started":
        return Ready(kind="started")
    if kind == "pattern":
        return Ready(kind="pattern", pattern=value)
    if kind == "port" and value.isdigit():
        return Ready(kind="port", port=int(value))
    try:
        return Ready(kind="seconds", seconds=parse_seconds(text))
    except ConfigError:
        raise ConfigError(
            f"readiness cannot be {text!r}; it is 'auto', 'started', 'pattern:REGEX', 'port:8080', or a time as '5 s'"
        ) from None
