"""Options and settings as pytest knows them: the option table given to its parser, and read back from its config.

Loaded with the plugin, also by suites that use nothing of it: ``Settings`` is imported when it is first built.
"""

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

__all__ = ["add_options", "any_given", "settings_from"]


def add_options(parser: pytest.Parser) -> None:
    """Give pytest the command-line options and their ini twins."""
    group = parser.getgroup("energy", "energy of training experiments (pytest-parallel-energy)")
    for option in OPTIONS:
        help_text = f"{option.help}{_default_words(option)}"
        if option.ini == "bool":
            group.addoption(option.flag, dest=option.ini_name, action="store_true", default=None, help=help_text)
        else:
            action = "append" if option.repeatable else "store"
            optional: dict[str, Any] = {} if option.bare is None else {"nargs": "?", "const": option.bare}
            group.addoption(
                option.flag,
                dest=option.ini_name,
                action=action,
                default=None,
                metavar=option.metavar,
                help=help_text,
                **optional,
            )
        parser.addini(option.ini_name, help=f"{help_text}; as {option.flag}", type=option.ini, default=None)


def _default_words(option: Option) -> str:
    return f" (default: {option.default})" if option.default else ""


def any_given(config: pytest.Config, environ: Mapping[str, str]) -> bool:
    """Whether the command line, the environment or the ini file says anything about energy."""
    return any(
        config.getoption(option.ini_name) is not None
        or option.variable in environ
        or config.getini(option.ini_name) is not None
        for option in OPTIONS
    )


def settings_from(config: pytest.Config, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this session.

    Raises:
        pytest.UsageError: a value that an option cannot have; the message names the option, where the value came
            from, and what would be right.
    """
    from ..plan.settings import Settings

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
    if option.field == "dir" and value:  # an empty one is refused like everywhere
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
