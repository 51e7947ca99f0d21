"""Config files of trainings: a copy of the user's template with the values of one run in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from ..errors import RegistryError, did_you_mean
from ..mutation.distributions import Value
from .python_config import python_config, python_keys

__all__ = ["SUFFIXES", "ConfigFile", "template_keys"]

SUFFIXES = (".json", ".py", ".toml", ".yaml", ".yml")


class ConfigFile(Struct, frozen=True, kw_only=True):
    """A template, which is only read, and the way in which a training receives the path of its copy.

    Args:
        template: the user's file, relative to the folder of the checkout; its suffix tells the format.
        flag: the flag before the path; empty where the command has the placeholder ``{config}``.
    """

    template: str
    flag: str = ""

    def copy_path(self, output_dir: Path) -> Path:
        """Return the path of the copy, in the run's own folder."""
        return output_dir / Path(self.template).name

    def write(self, checkout: Path, output_dir: Path, values: Mapping[str, Value]) -> None:
        """Write the copy into the run's folder.

        Args:
            checkout: the folder in which the template is.
            output_dir: the run's own folder.
            values: dotted key, such as ``optim.lr``, to value. Each key must be in the template: a misspelt key would
                be written and then ignored by the training.

        Raises:
            RegistryError: the template cannot be read, or lacks a key.
            OSError: the copy cannot be written.
        """
        path = checkout / self.template
        if path.suffix.lower() == ".py":
            _write_python(path, self.copy_path(output_dir), values)
            return
        try:
            document = _load(path)
        except (OSError, ValueError) as problem:
            raise RegistryError(f"the config template {path} cannot be read: {problem}") from problem
        for key, value in values.items():
            _put(path, document, key, value)
        self.copy_path(output_dir).write_text(_dumped(path.suffix.lower(), document), encoding="utf-8")


def template_keys(template: Path) -> dict[str, Value]:
    """Return the keys of a config file with text, number or switch, dotted, in their order.

    Raises:
        RegistryError: it cannot be read.
    """
    if template.suffix.lower() not in SUFFIXES:
        raise RegistryError(f"the config file {template} is not one of {', '.join(SUFFIXES)}")
    try:
        if template.suffix.lower() == ".py":
            return python_keys(template.read_text(encoding="utf-8"))
        return dict(_leaves(_load(template), ""))
    except (OSError, SyntaxError, ValueError) as problem:
        raise RegistryError(f"the config file {template} cannot be read: {problem}") from problem


def _leaves(table: Any, above: str) -> Iterator[tuple[str, Value]]:
    for key, value in table.items() if isinstance(table, dict) else ():
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{key}.")
        elif isinstance(value, str | int | float):
            yield f"{above}{key}", value


def _write_python(path: Path, copy: Path, values: Mapping[str, Value]) -> None:
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        copy.write_text(python_config(text, values), encoding="utf-8")
    except KeyError as problem:
        (key,) = problem.args
        raise RegistryError(
            f"the config template {path} does not assign {key!r}; {did_you_mean(key, [*python_keys(text)])}"
        ) from problem
    except (OSError, SyntaxError, ValueError) as problem:
        raise RegistryError(f"the config template {path} cannot be read: {problem}") from problem


def _load(path: Path) -> Any:
    text, suffix = path.read_text(encoding="utf-8"), path.suffix.lower()
    if suffix == ".json":
        return json.loads(text)
    if suffix == ".toml":
        import tomllib

        return tomllib.loads(text)
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as problem:
        raise ValueError(str(problem)) from problem


def _put(path: Path, document: Any, key: str, value: Value) -> None:
    *above, last = key.split(".")
    table = document
    for name in [*above, last]:
        if not isinstance(table, dict) or name not in table:
            known = [str(other) for other in table] if isinstance(table, dict) else []
            raise RegistryError(
                f"the config template {path} has no key {key!r}; {did_you_mean(name, known) if known else 'add it'}"
            )
        if name is not last:
            table = table[name]
    table[last] = value


def _dumped(suffix: str, document: Any) -> str:
    if suffix == ".json":
        return json.dumps(document, indent=2) + "\n"
    if suffix == ".toml":
        return "".join(f"{line}\n" for line in _toml_lines(document, ()))
    import yaml

    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    return text


def _toml_lines(table: Mapping[str, Any], above: tuple[str, ...]) -> list[str]:
    # https://toml.io/en/v1.0.0: a table's own values stand before its sub-tables
    lines = [f"{_toml_key(key)} = {_toml_value(value)}" for key, value in table.items() if not isinstance(value, dict)]
    for key, value in table.items():
        if isinstance(value, dict):
            path = (*above, key)
            lines += ["", f"[{'.'.join(map(_toml_key, path))}]", *_toml_lines(value, path)]
    return lines


def _toml_key(key: str) -> str:
    return json.dumps(key)


def _toml_value(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_toml_key(key)} = {_toml_value(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml_value, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    if isinstance(value, bool | int):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value)
    return str(value.isoformat())  # dates and times are the only other values of TOML
