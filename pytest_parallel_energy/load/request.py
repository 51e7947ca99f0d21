"""The settings of a background load, as a value."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct, field

from ..errors import ConfigError
from ..processes.ranges import GRACE, PERCENT, SHARE, SHARE_OR_NONE, TIMEOUT
from ..processes.rules import Container, Ready, RoundRules, SharedMemory
from ..units import parse_seconds

__all__ = ["AutoBatch", "LoadSettings", "check_level", "parse_ready"]

DRIVER = Path("/proc/driver/nvidia/version")
"""Exists where an NVIDIA driver is loaded."""

AUTO = Ready(kind="activity")
"""The default readiness: the load was seen to work."""


_ACTIVITY_S = 5.0
"""How long to look for activity, once none of a training's patterns has matched in time."""


class AutoBatch(Struct, frozen=True, kw_only=True):
    """A batch size that is fitted to the free memory before each round.

    Args:
        first: the requested size, 1 or more; a round never gets a larger one.
        placeholder: the argument of the command (or its end, as in ``--batch=N``) that the size replaces.

    Raises:
        ConfigError: ``first`` is below 1.
    """

    first: int
    placeholder: str

    def __post_init__(self) -> None:
        if self.first < 1:
            raise ConfigError(f"a batch has a size of 1 or more, not {self.first}")


class LoadSettings(Struct, frozen=True, kw_only=True):
    """The settings of one background load.

    Args:
        ready: the condition under which the load counts as ready. The default is activity: it has used 0.3 s of CPU
            and keeps a fifth of a core busy, or a whole round succeeded.
        ready_timeout_s: seconds that this may take, above 0, in addition to those that readiness by seconds asks for.
        grace_s: seconds between SIGTERM and SIGKILL when it is stopped, 0 or more, finite.
        coverage_min_ratio: least share of the window during which a round must have run, 0 to 1; 0 turns it off.
        rounds: the rules by which a round counts as bad, and the wait after it.
        container: ``auto`` takes the best that works here; one kind takes that or fails.
        log_limit_bytes: size of one round's log, in addition to its last 64 KiB.
        max_processes: limit of processes of its user; ``None`` leaves it.
        intensity: share of the time that it may run, above 0 to 1: the whole group is stopped and continued.
        target_gpu_utilisation: in percent, above 0 to 100: that share is moved until the load's processes use so much
            of the GPU; ``None`` leaves it. Not together with an intensity.
        devices: the GPUs that it may see, as ``CUDA_VISIBLE_DEVICES`` writes them; ``None`` leaves them.
        gpu_memory_fraction: share of a GPU's memory that PyTorch may take, above 0 to 1; ``None`` leaves it.
        batch: the argument that is fitted to the free memory before each round; ``None`` for none.
        template: folder that is copied for each round, so that no round finds what an earlier one wrote; where the
            command names it, the round gets its copy. ``None``: all rounds share their folders.
        nvml: NVIDIA's library, for tests; empty takes the driver's.
        shared_memory: what it may do with data of others in ``/dev/shm``; ``None`` leaves it to the environment.

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
    intensity: float = 1.0
    target_gpu_utilisation: float | None = None
    devices: str | None = None
    gpu_memory_fraction: float | None = None
    batch: AutoBatch | None = None
    template: Path | None = None
    nvml: str = ""
    shared_memory: SharedMemory | None = None

    @property
    def longest_wait_s(self) -> float:
        """After so long a load that is not ready is given up."""
        extra_s = {"seconds": self.ready.seconds, "training": _ACTIVITY_S}.get(self.ready.kind, 0.0)
        return self.ready_timeout_s + extra_s

    def __post_init__(self) -> None:
        SHARE_OR_NONE.check("the least coverage", self.coverage_min_ratio)
        TIMEOUT.check("the time that the load has to become ready", self.ready_timeout_s)
        SHARE.check("the intensity of a load", self.intensity)
        GRACE.check("the grace between SIGTERM and SIGKILL", self.grace_s)
        target_percent = self.target_gpu_utilisation
        if target_percent is None:
            return
        PERCENT.check("target_gpu_utilisation", target_percent)
        check_level(self.intensity, target_percent)
        if not self.nvml and not DRIVER.exists():
            raise ConfigError(
                f"target_gpu_utilisation={target_percent:g} cannot be held: there is no NVIDIA GPU here "
                f"({DRIVER} is not there)"
            )


def check_level(intensity: float, target_gpu_utilisation: float | None) -> None:
    """Refuse a load whose level is set in two ways at once.

    Raises:
        ConfigError: an intensity below 1 and a target.
    """
    if intensity < 1 and target_gpu_utilisation is not None:
        raise ConfigError("a load has an intensity or a target_gpu_utilisation, not both")


def parse_ready(text: str) -> Ready:
    """Read readiness as users write it.

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
