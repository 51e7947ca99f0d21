"""The registries that the working directory's ini file names for pytest."""

from __future__ import annotations

import configparser
import shlex
import tomllib
from pathlib import Path
from typing import Any

from ..errors import ConfigError

__all__ = ["ini_models"]

_KEY = "energy_models"
_FILES = (
    ("pytest.toml", "pytest"),
    (".pytest.toml", "pytest"),
    ("pytest.ini", "pytest"),
    (".pytest.ini", "pytest"),
    ("pyproject.toml", "tool.pytest.ini_options"),
    ("tox.ini", "pytest"),
    ("setup.cfg", "tool:pytest"),
)
"""In pytest's order (docs.pytest.org, "Initialization: determining rootdir and configfile")."""


def ini_models(folder: Path) -> tuple[str, ...]:
    """Return the registries that the nearest ini file at or above a folder names; relative paths start at the file.

    Raises:
        ConfigError: the file cannot be understood.
    """
    folder = folder.absolute()
    for parent in (folder, *folder.parents):
        for name, section in _FILES:
            file = parent / name
            if file.is_file() and (members := _section(file, section)) is not None:
                given = members.get(_KEY, [])
                names = shlex.split(given) if isinstance(given, str) else given
                return tuple(str(parent / model) for model in names)
    return ()


def _section(file: Path, section: str) -> dict[str, Any] | None:
    try:
        text = file.read_text(encoding="utf-8-sig")
        if file.suffix == ".toml":
            found: Any = tomllib.loads(text)
            for key in section.split("."):
                found = found.get(key)
                if not isinstance(found, dict):
                    return None
            return dict(found)
        parser = configparser.RawConfigParser()
        parser.read_string(text)
        return dict(parser[section]) if parser.has_section(section) else None
    except (OSError, ValueError, configparser.Error) as error:
        raise ConfigError(f"{file} cannot be read: {error}; name the registry with --models FILE") from error
