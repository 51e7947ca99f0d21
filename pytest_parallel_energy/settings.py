"""One frozen ``Settings``, built once from marker > command line > environment > ini > default.

``OPTIONS`` is the one table: the command line, the ini file, the environment variables and their help texts are all
made from it, and the fields of ``Settings`` hold the defaults.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from .errors import ConfigError, did_you_mean

__all__ = ["OPTIONS", "Option", "Settings", "add_options", "settings_from"]

IniType = Literal["string", "bool", "int", "float", "args"]


def _positive_int(text: str) -> int:
    return _bounded_int(text, least=1)


def _count(text: str) -> int:
    return _bounded_int(text, least=0)


def _bounded_int(text: str, *, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise ConfigError(f"{text!r} is not a whole number of {least} or more")
    return number


def _positive_seconds(text: str) -> float:
    from .units import parse_seconds

    seconds = parse_seconds(text)
    if seconds <= 0:
        raise ConfigError(f"{text!r} is not a time above 0")
    return seconds


def _ratio(text: str) -> float:
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        raise ConfigError(f"{text!r} is not a share from 0 to 1")
    return ratio


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise ConfigError(f"{text!r} names nothing; write names with commas between them")
    return names


def _label(text: str) -> str:
    key, equals, _ = text.partition("=")
    if not key or not equals:
        raise ConfigError(f"{text!r} is not KEY=VALUE")
    return text


_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


def _flag(text: str) -> bool:
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    raise ConfigError(f"{text!r} is neither true nor false; write 1 or 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option, and its twins in the ini file and the environment.

    ``field`` names the field of ``Settings``; ``parse`` turns text into its value and raises ``ConfigError``.
    """

    field: str
    help: str
    parse: Callable[[str], Any] = str
    ini: IniType = "string"
    metavar: str | None = None
    repeatable: bool = False
    marker: bool = False
    """Whether ``@pytest.mark.energy(field=…)`` may set it for one test."""

    @property
    def ini_name(self) -> str:
        """The name in the ini file, and the ``dest`` on the command line."""
        return "energy" if self.field == "measure_all" else f"energy_{self.field}"

    @property
    def flag(self) -> str:
        """The command-line option."""
        return "--" + self.ini_name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"PYTEST_{self.ini_name.upper()}"


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
    profile: str | None = None
    threads: int | None = None
    coverage_min: float = 0.9
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


OPTIONS: tuple[Option, ...] = (
    Option(field="measure_all", ini="bool", parse=_flag, help="measure every selected test, not only those that ask"),
    Option(
        field="disable",
        ini="bool",
        parse=_flag,
        help="measure nothing, start no background load, run each cell once: the suite as a fast functional test",
    ),
    Option(field="dir", metavar="DIR", help="folder for the results"),
    Option(field="name", metavar="NAME", help="name of this run, part of its folder's name"),
    Option(
        field="tag", metavar="KEY=VALUE", parse=_label, ini="args", repeatable=True, help="label kept in each record"
    ),
    Option(
        field="repeats", metavar="N", parse=_positive_int, ini="int", marker=True, help="measured repetitions of a cell"
    ),
    Option(
        field="warmup",
        metavar="N",
        parse=_count,
        ini="int",
        marker=True,
        help="repetitions of a cell before the measured ones, recorded as warm-up",
    ),
    Option(
        field="max_retries",
        metavar="N",
        parse=_count,
        ini="int",
        marker=True,
        help="further attempts of a training that failed; each attempt is recorded with its energy",
    ),
    Option(
        field="sensors",
        metavar="NAMES",
        parse=_names,
        help="which sources of readings, in order: auto, or names with commas between them (see --energy-list=sensors)",
    ),
    Option(
        field="interval",
        metavar="SECONDS",
        parse=_positive_seconds,
        ini="float",
        help="time between two samples of a sensor that has to be sampled",
    ),
    Option(
        field="strict",
        ini="bool",
        parse=_flag,
        help="a missing or only estimated sensor fails the run",
    ),
    Option(
        field="models",
        metavar="FILE",
        ini="args",
        repeatable=True,
        help="a registry of further workloads, your own repositories; adds to those of the ini file",
    ),
    Option(
        field="profile",
        metavar="NAME",
        marker=True,
        help="which profile of the workloads' hyperparameters; 'published' is the registry's defaults",
    ),
    Option(
        field="threads",
        metavar="N",
        parse=_positive_int,
        ini="int",
        help="CPU threads of the foreground training, the same alone and beside a load (default: half of the cores)",
    ),
    Option(
        field="coverage_min",
        metavar="SHARE",
        parse=_ratio,
        ini="float",
        marker=True,
        help="least share of the window during which the background load must have run, else the test fails; 0: any",
    ),
)


def add_options(parser: pytest.Parser) -> None:
    """Give pytest the command-line options and their ini twins."""
    group = parser.getgroup("energy", "energy of training experiments (pytest-parallel-energy)")
    for option in OPTIONS:
        help_text = f"{option.help}{_default_words(option)}"
        if option.ini == "bool":
            group.addoption(option.flag, dest=option.ini_name, action="store_true", default=None, help=help_text)
        else:
            action = "append" if option.repeatable else "store"
            group.addoption(
                option.flag, dest=option.ini_name, action=action, default=None, metavar=option.metavar, help=help_text
            )
        parser.addini(option.ini_name, help=f"{help_text}; as {option.flag}", type=option.ini, default=None)


def _default_words(option: Option) -> str:
    default = getattr(Settings(), option.field)
    if default is None or default is False or default == ():
        return ""
    shown = ",".join(default) if isinstance(default, tuple) else default
    return f" (default: {shown})"


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
            (_in_folder(option, in_ini, _ini_folder(config)), f"ini setting {option.ini_name}"),
            (in_environment, f"environment variable {option.variable}"),
            (on_command_line, option.flag),
        )
        if given is not None
    ]
    if not found:
        return None
    return tuple(name for names in found for name in names) if option.field == "models" else found[-1]


def _ini_folder(config: pytest.Config) -> Path:
    return config.inipath.parent if config.inipath else config.rootpath


def _in_folder(option: Option, value: Any, folder: Path) -> Any:
    """Paths in the ini file are relative to the ini file, as pytest's own are."""
    if option.field == "models" and value is not None:
        return [str(folder / name) for name in value]
    if option.field == "dir" and value is not None:
        return str(folder / value)
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
