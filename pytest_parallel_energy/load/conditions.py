"""How a load is run, apart from its training's hyperparameters: the words of markers and of experiment files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError, did_you_mean
from .gpu_choice import device_list
from .request import check_level, parse_ready

__all__ = [
    "AUTO_BATCH",
    "CONDITIONS",
    "Condition",
    "check_command",
    "check_together",
    "first_batch",
    "read_condition",
    "read_count",
    "split_conditions",
]

AUTO_BATCH = "auto_batch"
"""Condition that stands for ``batch_size="auto"``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One argument that says how a load is run.

    Args:
        field: of ``LoadSettings`` that it sets.
        read: gives the field's value, or refuses what is written with a ``ConfigError``.
        schema: what an experiment file may hold, as JSON schema says it.
        help: what it means.
        sweeps: whether an experiment file may list several values, each for an experiment of its own.
    """

    field: str
    read: Callable[[Any], Any]
    schema: Mapping[str, Any]
    help: str
    sweeps: bool = False


def _number(value: object, words: str, fits: Callable[[float], bool]) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(f"{words}; it is a number, not {value!r}")
    if not fits(value):
        raise ConfigError(words)
    return float(value)


def _share(value: object) -> float:
    return _number(value, "a share above 0, up to 1", lambda share: 0 < share <= 1)


def _percent(value: object) -> float:
    return _number(value, "above 0 %, up to 100 %", lambda percent: 0 < percent <= 100)  # noqa: PLR2004 - percent


def _timeout(value: object) -> float:
    return _seconds(value, "a time above 0, in seconds or as '2 min'", lambda seconds: seconds > 0)


def _grace(value: object) -> float:
    return _seconds(value, "a time of 0 or more, in seconds or as '2 min'", lambda seconds: seconds >= 0)


def _seconds(value: object, words: str, fits: Callable[[float], bool]) -> float:
    from ..units import parse_seconds

    return _number(parse_seconds(value) if isinstance(value, str) else value, words, fits)


def _ready(value: object) -> Any:
    if isinstance(value, str):
        return parse_ready(value)
    return parse_ready(f"{_number(value, 'a time of 0 or more, or a text', lambda seconds: seconds >= 0):g}")


def _devices(value: Any) -> str:
    if isinstance(value, (str, int)) or (
        isinstance(value, (list, tuple)) and all(isinstance(one, (str, int)) for one in value)
    ):
        return device_list(value)
    raise ConfigError(f"it is an index, a UUID, or a list of them, not {value!r}")


_SHARE: Mapping[str, Any] = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
_DEVICE: Mapping[str, Any] = {"type": ["integer", "string"]}
_TIME: Mapping[str, Any] = {"type": ["number", "string"]}

CONDITIONS: Mapping[str, Condition] = {
    "intensity": Condition(
        field="intensity", read=_share, schema=_SHARE, help="share of the time that it may run", sweeps=True
    ),
    "target_gpu_utilisation": Condition(
        field="target_gpu_utilisation",
        read=_percent,
        schema={"type": "number", "exclusiveMinimum": 0, "maximum": 100},
        help="percent of the GPU that its processes are brought to",
        sweeps=True,
    ),
    "gpu_memory_fraction": Condition(
        field="gpu_memory_fraction",
        read=_share,
        schema=_SHARE,
        help="share of a GPU's memory that PyTorch may take",
        sweeps=True,
    ),
    "devices": Condition(
        field="devices",
        read=_devices,
        schema={"anyOf": [_DEVICE, {"type": "array", "items": _DEVICE}]},
        help="GPUs that it sees: an index, a UUID, or a list of them; an empty list is none",
    ),
    "ready": Condition(
        field="ready",
        read=_ready,
        schema=_TIME,
        help="when it counts as ready: auto, started, pattern:REGEX, port:8080, or a time",
    ),
    "ready_timeout": Condition(
        field="ready_timeout_s", read=_timeout, schema=_TIME, help="how long it may take to become ready"
    ),
    "grace": Condition(field="grace_s", read=_grace, schema=_TIME, help="time between SIGTERM and SIGKILL"),
}
"""Arguments of the marker, of the ``background_load`` fixture and of a load in an experiment file, by name."""


def read_condition(name: str, value: object) -> Any:
    """The value of the field of ``LoadSettings`` that a condition sets.

    Raises:
        ConfigError: a value that it cannot have: the condition, the value, and what it may be.
    """
    try:
        return CONDITIONS[name].read(value)
    except ConfigError as error:
        raise ConfigError(f"background_load({name}={value!r}): {error}") from error


def read_count(n: object) -> int:
    """How many of a load are started.

    Raises:
        ConfigError: it is no whole number of 1 or more.
    """
    whole = isinstance(n, int) or (isinstance(n, float) and n.is_integer())
    if isinstance(n, bool) or not isinstance(n, (int, float)) or not whole or n < 1:
        raise ConfigError(f"background_load(n={n!r}): n is a whole number of 1 or more")
    return int(n)


def split_conditions(keywords: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of ``LoadSettings`` that keywords set, and the keywords that are left: hyperparameters.

    ``None`` says nothing. ``batch_size="auto"`` becomes the condition :data:`AUTO_BATCH`.

    Raises:
        ConfigError: a value that a condition cannot have, or two that do not go together.
    """
    conditions: dict[str, Any] = {}
    rest = dict(keywords)
    if rest.get("batch_size") == "auto":
        del rest["batch_size"]
        conditions[AUTO_BATCH] = True
    for name, condition in CONDITIONS.items():
        if (value := rest.pop(name, None)) is not None:
            conditions[condition.field] = read_condition(name, value)
    check_together(conditions)
    return conditions, rest


def check_together(conditions: Mapping[str, Any]) -> None:
    """Refuse what no load can have, when it is written and not when it is started.

    Raises:
        ConfigError: the load has an intensity and a target.
    """
    check_level(conditions.get("intensity", 1.0), conditions.get("target_gpu_utilisation"))


def check_command(words: Sequence[str], conditions: Mapping[str, Any], others: Iterable[str]) -> None:
    """Refuse what a plain command as background load cannot have.

    Args:
        words: the command.
        conditions: as ``split_conditions`` gives them.
        others: names of what else is said of it.

    Raises:
        ConfigError: there is no program, something that only a training has, or a batch size to be fitted.
    """
    if not words:
        raise ConfigError("a command as background load is a list of words, the program first; the list is empty")
    for name in others:
        raise ConfigError(f"a command as background load takes no {name!r}; {did_you_mean(name, CONDITIONS)}")
    if AUTO_BATCH in conditions:
        raise ConfigError('batch_size="auto" is for registered workloads: of a command nobody knows the batch size')


def first_batch(workload: str, values: Mapping[str, Any]) -> int:
    """The size with which ``batch_size="auto"`` begins: the workload's own.

    Args:
        workload: its name, for the message.
        values: its hyperparameters.

    Raises:
        ConfigError: it has no hyperparameter ``batch_size`` that is a whole number.
    """
    first = values.get("batch_size")
    if isinstance(first, bool) or not isinstance(first, int):
        raise ConfigError(f'{workload} has no hyperparameter batch_size: batch_size="auto" has nothing to fit')
    return first
