"""Options and settings as pytest knows them: the option table is registered here, and settings are read back.

pytest imports this module at every start, also in suites that do not use the plugin: ``Settings`` is imported when it
is first built.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ..errors import ConfigError
from ..plan.options import OPTIONS, Option

if TYPE_CHECKING:
    from ..plan.settings import Settings

__all__ = ["LIST_DEFAULT", "LIST_FLAG", "add_options", "any_given", "settings_from", "write_out_bare_options"]

LIST_FLAG, LIST_DEFAULT = "--energy-list", "workloads"
"""The option that prints a list and exits, and its value where it is given alone."""


def add_options(parser: pytest.Parser) -> None:
    """Register the command-line options and their ini settings."""
    group = parser.getgroup("energy", "energy of training experiments (pytest-parallel-energy)")
    for option in OPTIONS:
        help_text = f"{option.help} (default: {option.default})" if option.default else option.help
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
        parser.addini(option.ini_name, help=f"{help_text}; same as {option.flag}", type=option.ini, default=None)


def write_out_bare_options(arguments: list[str], parser: pytest.Parser, known: argparse.Namespace) -> None:
    """Give each option that stands without a value its default value, before pytest parses the command line.

    argparse would take the next argument as the value: in ``--energy-resume tests/`` the test path. Arguments after
    ``--`` are not options.

    Args:
        arguments: the command line, with ``addopts``; changed in place.
        parser: pytest's.
        known: what pytest has parsed so far, from which it loads the first ``conftest.py`` files; its paths are
            corrected.
    """
    bare = {option.flag: option.bare for option in OPTIONS if option.bare is not None} | {LIST_FLAG: LIST_DEFAULT}
    end = arguments.index("--") if "--" in arguments else len(arguments)
    written = [f"{word}={bare[word]}" if word in bare else word for word in arguments[:end]] + arguments[end:]
    if written != arguments:
        arguments[:] = written
        known.file_or_dir = parser.parse_known_args(written).file_or_dir


def any_given(config: pytest.Config, environ: Mapping[str, str]) -> bool:
    """Return whether the command line, the environment or the ini file sets any option of the table."""
    return any(
        config.getoption(option.ini_name) is not None
        or option.variable in environ
        or config.getini(option.ini_name) is not None
        for option in OPTIONS
    )


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
