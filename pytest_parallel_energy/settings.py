"""One frozen ``Settings``, built once from marker > command line > environment > ini > default."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .errors import ConfigError, did_you_mean
from .options import OPTIONS, Option

__all__ = ["Settings", "settings_from"]


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


def settings_from(config: pytest.Config, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this session.

    Raises:
        pytest.UsageError: a value that an option cannot have; the message names the option, where the value came
            from, and what would be right.
    """
    values = {option.field: _resolve(option, config, environ) for option in OPTIONS}
    values["sysfs_root"] = environ.get("PYTEST_ENERGY_SYSFS_ROOT") or None
    return Settings(**{field: value for field, value in values.items() if value is not None})


def _resolve(option: Option, config: pytest.Config, environ: Mapping[str, str]) -> Any:
    """The value that wins: command line, then environment, then ini; ``None`` where none of them has it.

    Registries add up instead (ini first, so that the nearer source wins for a name that both have).
    """
    on_command_line = config.getoption(option.ini_name)
    in_environment = environ.get(option.variable)
    in_ini = config.getini(option.ini_name)
    found = [
        _parse(option, given, origin)
        for given, origin in (
            (_in_ini_folder(option, in_ini, _ini_folder(config)), f"ini setting {option.ini_name}"),
            (in_environment, f"environment variable {option.variable}"),
            (_in_folder(option, on_command_line, config.invocation_params.dir), option.flag),
        )
        if given is not None
    ]
    if not found:
        return None
    return tuple(name for names in found for name in names) if option.field in _FILES else found[-1]


def _ini_folder(config: pytest.Config) -> Path:
    return config.inipath.parent if config.inipath else config.rootpath


_FILES = frozenset({"models", "config", "history"})
"""Options that name files: what the command line names is relative to the folder that pytest was started in."""


def _in_ini_folder(option: Option, value: Any, folder: Path) -> Any:
    """Paths in the ini file are relative to the ini file, as pytest's own are."""
    if option.field == "dir" and value is not None:
        return str(folder / value)
    return _in_folder(option, value, folder)


def _in_folder(option: Option, value: Any, folder: Path) -> Any:
    if option.field in _FILES and value is not None:
        return [str(folder / name) for name in value]
    return value


def _parse(option: Option, given: Any, origin: str) -> Any:
    try:
        if isinstance(given, bool):
            return given
        if option.repeatable:
            texts: Sequence[str] = [given] if isinstance(given, str) else given
            return tuple(option.parse(str(text)) for text in texts)
        return option.parse(str(given))
    except ConfigError as error:
        raise pytest.UsageError(f"{origin}: {error}") from error
