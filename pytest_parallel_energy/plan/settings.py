"""One frozen ``Settings``, built once from marker > command line > environment > ini > default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct
from msgspec.structs import asdict, replace

from ..errors import ConfigError, did_you_mean
from .options import OPTIONS

if TYPE_CHECKING:
    from pathlib import Path

    from ..host.cooldown import CoolDown
    from ..host.lock import LockMode
    from ..processes.rules import SharedMemory
    from ..reports.costs import Factor
    from ..reports.writers import ReportTarget
    from ..statistics.quantities import Threshold
    from .option_values import Label
    from .order import Order
    from .shards import Shard

__all__ = ["Settings"]


class Settings(Struct, frozen=True, kw_only=True):
    """The user's settings, as parsed values; the values here are the defaults."""

    measure_all: bool = False
    disable: bool = False
    dir: str = "energy-results"
    name: str | None = None
    tag: tuple[Label, ...] = ()
    repeats: int = 1
    warmup: int = 0
    max_retries: int = 0
    sensors: tuple[str, ...] = ("auto",)
    interval: float = 1.0
    """Seconds."""
    strict: bool = False
    others_max: float = 0.1
    """Fraction from 0 to 1."""
    models: tuple[Path, ...] = ()
    config: tuple[str, ...] = ()
    """Paths or patterns."""
    strict_files: bool = False
    profile: str | None = None
    threads: int | None = None
    devices: str | None = None
    """As ``CUDA_VISIBLE_DEVICES`` writes them; ``None``: all, or those of the registry."""
    idle: float = 5.0
    """Seconds; 0 measures no idle power."""
    cooldown: CoolDown | None = None
    governor: str | None = None
    host_lock: LockMode = "wait"
    host_lock_timeout: float | None = None
    """Seconds; ``None`` waits indefinitely."""
    host_lock_dir: str | None = None
    ranks: Literal["node", "refuse"] = "node"
    shared_memory: SharedMemory = "read-only"
    coverage_min: float = 0.9
    """Fraction from 0 to 1."""
    keep: Literal["outputs", "failed", "none"] = "outputs"
    order: Order | None = None
    """``None`` leaves it to pytest and other plugins."""
    seed: int = 0
    history: tuple[Path, ...] = ()
    shard: Shard | None = None
    """``None`` runs all cells."""
    resume: str | None = None
    """``latest``, a run's name or its folder; ``None`` starts a new run."""
    plan: bool = False
    budget: float | None = None
    """Joules."""
    progress: Literal["auto", "line", "heartbeat", "off"] = "auto"
    compare: str | None = None
    """A run or baseline; empty for the default."""
    compare_fail: tuple[Threshold, ...] = ()
    compare_inconclusive: Literal["warn", "fail"] = "warn"
    save_baseline: str | None = None
    add_baseline: str | None = None
    """The name of the baseline."""
    baseline_missing: Literal["warn", "fail"] = "warn"
    report: tuple[ReportTarget, ...] = ()
    carbon_intensity: Factor | None = None
    price: Factor | None = None
    pue: Factor | None = None
    sysfs_root: str = "/sys"

    def for_test(self, overrides: Mapping[str, Any]) -> Settings:
        """Return the settings of one test: these, changed by the keywords of its ``energy`` marker.

        ``None`` selects the default of the option.

        Raises:
            ConfigError: the marker has an unknown keyword, or a value that the option cannot have.
        """
        known = {option.field: option for option in OPTIONS if option.marker}
        values = {}
        for name, value in overrides.items():
            if name not in known:
                raise ConfigError(f"the marker 'energy' has no argument {name!r}; {did_you_mean(name, known)}")
            try:
                values[name] = getattr(_DEFAULTS, name) if value is None else known[name].parse(value)
            except ConfigError as error:
                raise ConfigError(f"the marker energy({name}={value!r}): {error}") from error
        return replace(self, **values) if values else self

    def labels(self) -> dict[str, str]:
        """Return the labels of ``--energy-tag`` by key, secrets masked; a later one replaces an earlier one."""
        from ..records.masking import mask_environment

        return mask_environment(dict(self.tag))

    def as_text(self) -> dict[str, str]:
        """Return each setting as text, for ``run.json``; settings that are ``None`` are left out."""
        values = asdict(self)
        values["tag"] = tuple(f"{key}={label}" for key, label in self.labels().items())
        return {
            name: str(tuple(map(str, value))) if isinstance(value, tuple) else str(value)
            for name, value in values.items()
            if value is not None
        }


_DEFAULTS = Settings()
