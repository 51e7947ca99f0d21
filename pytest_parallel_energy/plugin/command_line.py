"""What only some command lines need: options with an optional value, and options that print something and exit."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from ..errors import ParallelEnergyError
from ..plan.options import OPTIONS
from .configuration import settings_from

__all__ = ["print_answer", "write_out_bare_options"]

_LIST_FLAG, _LIST_DEFAULT = "--energy-list", "workloads"
"""The option that prints a list and exits, and its value where it is given alone."""
_LISTS = (_LIST_DEFAULT, "sensors", "columns")
"""Values of ``--energy-list``; not ``choices`` of argparse, which would refuse a test path after the option."""


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
    bare |= {_LIST_FLAG: _LIST_DEFAULT, "--energy-reread": "latest"}
    end = arguments.index("--") if "--" in arguments else len(arguments)
    written = [f"{word}={bare[word]}" if word in bare else word for word in arguments[:end]] + arguments[end:]
    if written != arguments:
        arguments[:] = written
        known.file_or_dir = parser.parse_known_args(written).file_or_dir


def print_answer(config: pytest.Config) -> int:
    """Print what ``--energy-list``, ``--energy-doctor`` or ``--energy-reread`` asks for, and return the exit status.

    Raises:
        pytest.UsageError: the list is unknown, or an option or file of the user is invalid.
    """
    asked = config.option.energy_list
    if asked not in {None, *_LISTS}:
        raise pytest.UsageError(f"{_LIST_FLAG}: invalid value {asked!r}; known: {', '.join(_LISTS)}")
    settings = settings_from(config)
    try:
        if config.option.energy_doctor:
            from ..console.doctor import diagnose

            diagnosis = diagnose(sysfs_root=Path(settings.sysfs_root), sensors=settings.sensors)
            lines, status = diagnosis.lines, diagnosis.exit_status
        elif config.option.energy_reread:
            from ..console.reread import reread

            lines, status = tuple(reread(settings, config.rootpath, config.option.energy_reread)), 0
        else:
            from ..console.listings import listing

            lines, status = tuple(listing(settings, asked)), 0
    except ParallelEnergyError as error:
        raise pytest.UsageError(str(error)) from error
    for line in lines:
        print(line)  # noqa: T201 - the answer itself, for people and pipes
    return status
