"""The settings of a session, read from the command line, the environment and the ini file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ..errors import ConfigError
from ..plan.options import OPTIONS, Option

if TYPE_CHECKING:
    from ..plan.settings import Settings

__all__ = ["settings_from"]


def settings_from(config: pytest.Config, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of this session.

    Raises:
        pytest.UsageError: an option has an invalid value; the message names where the value came from, and what would
            be valid.
    """
    from ..plan.settings import Settings

    values = {option.field: _resolve(option, config, environ) for option in OPTIONS}
    values["sysfs_root"] = environ.get("PYTEST_ENERGY_SYSFS_ROOT") or None
    return Settings(**{field: value for field, value in values.items() if value is not None})


def _resolve(option: Option, config: pytest.Config, environ: Mapping[str, str]) -> Any:
    """Return the value of highest precedence: command line, environment, ini; ``None`` where none of them sets it.

    Options that name files add up instead, the ini file's first, so that the command line's wins for a workload that
    both define.
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
"""Options that name files: paths on the command line are relative to the folder in which pytest was started."""


def _in_ini_folder(option: Option, value: Any, folder: Path) -> Any:
    """Resolve paths of the ini file against its folder, as pytest does with its own."""
    if option.field == "dir" and value:  # an empty name is refused by the parser
        return str(folder / value)
    return _in_folder(option, value, folder)


def _in_folder(option: Option, value: Any, folder: Path) -> Any:
    if option.field in _FILES and value is not None:
        return [str(folder / name) for name in value]
    return value


def _parse(option: Option, given: Any, origin: str) -> Any:
    try:
        if option.repeatable:
            texts: Sequence[str] = [given] if isinstance(given, str) else given
            return tuple(map(option.parse, texts))
        return option.parse(given)
    except ConfigError as error:
        raise pytest.UsageError(f"{origin}: {error}") from error
