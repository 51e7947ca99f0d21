"""The options as pytest registers them.

pytest imports this module at every start, also in suites that do not use the plugin, so it imports next to nothing.
PYTEST_DONT_REWRITE spares it the rewriting of assertions by pytest: it has none.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import pytest

from ..plan.options import OPTIONS

__all__ = ["LIST_DEFAULT", "LIST_FLAG", "REREAD_FLAG", "add_options", "any_given", "write_out_bare_options"]

LIST_FLAG, LIST_DEFAULT = "--energy-list", "workloads"
"""The option that prints a list and exits, and its value where it is given alone."""
REREAD_FLAG, _LATEST = "--energy-reread", "latest"


def add_options(parser: pytest.Parser) -> None:
    """Register the command-line options and their ini settings."""
    group = parser.getgroup(
        "energy", "energy of training experiments (example: pytest --energy-repeats=5 --energy-report=html)"
    )
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
    bare = {option.flag: option.bare for option in OPTIONS if option.bare is not None}
    bare |= {LIST_FLAG: LIST_DEFAULT, REREAD_FLAG: _LATEST}
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
