"""One frozen ``Settings``, built once from marker > command line > environment > ini > default."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError, did_you_mean
from .options import OPTIONS

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the user asked for; the values here are the defaults."""

    measure_all: bool = False
    disable: bool = False
    dir: str = "energy-results"
    name: str | None = None
    tag: tuple[str, ...] = ()
    repeats: int = 1
    warmup: int = 0
    max_retries: int = 0
    sensors: tuple[str, ...] = ("auto",)
    interval: float = 1.0
    strict: bool = False
    models: tuple[str, ...] = ()
    config: tuple[str, ...] = ()
    profile: str | None = None
    threads: int | None = None
    idle: float = 5.0
    cooldown: str | None = None
    governor: str | None = None
    host_lock: str = "wait"
    host_lock_timeout: float | None = None
    host_lock_dir: str | None = None
    coverage_min: float = 0.9
    order: str | None = None
    """``None`` leaves it to pytest and other plugins."""
    seed: int = 0
    history: tuple[str, ...] = ()
    resume: str | None = None
    """``latest``, a run's name or its folder; ``None`` begins a run."""
    plan: bool = False
    budget: float | None = None
    """Joules."""
    progress: str = "auto"
    compare: str | None = None
    """A run or baseline; empty for the default."""
    compare_fail: tuple[str, ...] = ()
    compare_inconclusive: str = "warn"
    save_baseline: str | None = None
    """Its name; empty for the default."""
    baseline_missing: str = "warn"
    report: tuple[str, ...] = ()
    carbon_intensity: str | None = None
    price: str | None = None
    pue: str | None = None
    sysfs_root: str = "/sys"

    def for_test(self, overrides: Mapping[str, Any]) -> Settings:
        """The settings of one test: these, with what its ``energy`` marker says.

        Raises:
            ConfigError: a keyword that the marker does not take, or a value that it cannot have.
        """
        known = {option.field: option for option in OPTIONS if option.marker}
        values = {}
        for name, value in overrides.items():
            if name not in known:
                raise ConfigError(f"the marker 'energy' has no argument {name!r}; {did_you_mean(name, known)}")
            try:
                values[name] = known[name].parse(str(value))
            except ConfigError as error:
                raise ConfigError(f"the marker energy({name}={value!r}): {error}") from error
        return dataclasses.replace(self, **values) if values else self

    def labels(self) -> dict[str, str]:
        """The labels of ``--energy-tag``, as a mapping."""
        return dict(tag.split("=", 1) for tag in self.tag)
