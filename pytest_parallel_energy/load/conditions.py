"""The conditions of a load, apart from its hyperparameters: the keywords of markers and keys of experiment files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec import Struct

from ..errors import ConfigError, did_you_mean
from ..processes.ranges import GRACE, PERCENT, SHARE, TIMEOUT, Range
from ..processes.rules import Ready
from ..processes.visible_devices import device_list
from ..units import parse_seconds
from .request import check_level, parse_ready

__all__ = [
    "CONDITIONS",
    "Condition",
    "LoadConditions",
    "check_command",
    "first_batch",
    "read_condition",
    "read_count",
    "split_conditions",
]


class LoadConditions(Struct, frozen=True, kw_only=True):
    """The conditions that a marker, the ``background_load`` fixture or an experiment file sets for a load.

    ``None`` is a condition that is not set. It differs from one that is set to its default: the identity of a cell
    contains the conditions that were set.

    Raises:
        ConfigError: a value is outside of its range, or the load has both an intensity below 1 and a target.
    """

    intensity: float | None = None
    """Share of the time, above 0 to 1."""
    target_gpu_utilisation: float | None = None
    """Percent, above 0 to 100."""
    gpu_memory_fraction: float | None = None
    """Share of a GPU's memory, above 0 to 1."""
    devices: str | None = None
    """As ``CUDA_VISIBLE_DEVICES`` writes them; empty for no GPU."""
    ready: Ready | None = None
    ready_timeout_s: float | None = None
    grace_s: float | None = None
    auto_batch: bool | None = None
    """True for ``batch_size="auto"``."""

    def __post_init__(self) -> None:
        ranges = {
            "intensity": SHARE, "target_gpu_utilisation": PERCENT, "gpu_memory_fraction": SHARE,
            "ready_timeout_s": TIMEOUT, "grace_s": GRACE,
        }  # fmt: skip
        for name, allowed in ranges.items():
            if (value := getattr(self, name)) is not None:
                allowed.check(name, value)
        check_level(1.0 if self.intensity is None else self.intensity, self.target_gpu_utilisation)

    def as_fields(self) -> dict[str, Any]:
        """Return the conditions that are set, by name, in alphabetical order."""
        names = sorted(self.__struct_fields__)
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def as_text(self) -> dict[str, str]:
        """Return the conditions that are set as text, for records and the identity of a cell."""
        return {name: str(value) for name, value in self.as_fields().items()}


class Condition(Struct, frozen=True, kw_only=True):
    """One keyword that sets a condition.

    Args:
        field: the field of ``LoadConditions`` that it sets.
        read: returns the field's value, or refuses an invalid one with a ``ConfigError``.
        schema: the values that an experiment file may contain, as JSON schema.
        help: its meaning.
        sweeps: true if an experiment file may list several values, each for an experiment of its own.
    """

    field: str
    read: Callable[[Any], Any]
    schema: Mapping[str, Any]
    help: str
    sweeps: bool = False


def _number(value: object, allowed: Range, words: str = "") -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(f"{words or allowed.words}; it is a number, not {value!r}")
    if not allowed.holds(value):
        raise ConfigError(words or allowed.words)
    return float(value)


def _seconds(value: object, allowed: Range) -> float:
    seconds = parse_seconds(value) if isinstance(value, str) else value
    return _number(seconds, allowed, f"{allowed.words}, in seconds or as '2 min'")


def _ready(value: object) -> Ready | None:
    if value == "auto":  # the same as none: of a registered load it waits for its patterns
        return None
    if isinstance(value, str):
        return parse_ready(value)
    return parse_ready(f"{_number(value, GRACE, 'a time of 0 or more, or a text'):g}")


def _devices(value: Any) -> str:
    if isinstance(value, (str, int)) or (
        isinstance(value, (list, tuple)) and all(isinstance(device, (str, int)) for device in value)
    ):
        return device_list(value)
    raise ConfigError(f"it is an index, a UUID, or a list of them, not {value!r}")


_SHARE: Mapping[str, Any] = {"type": "number", "exclusiveMinimum": SHARE.low, "maximum": SHARE.high}
_DEVICE: Mapping[str, Any] = {"type": ["integer", "string"]}
_TIME: Mapping[str, Any] = {"type": ["number", "string"]}

CONDITIONS: Mapping[str, Condition] = {
    "intensity": Condition(
        field="intensity",
        read=partial(_number, allowed=SHARE),
        schema=_SHARE,
        help="share of the time that it may run",
        sweeps=True,
    ),
    "target_gpu_utilisation": Condition(
        field="target_gpu_utilisation",
        read=partial(_number, allowed=PERCENT),
        schema={"type": "number", "exclusiveMinimum": PERCENT.low, "maximum": PERCENT.high},
        help="percent of the GPU that its processes are brought to",
        sweeps=True,
    ),
    "gpu_memory_fraction": Condition(
        field="gpu_memory_fraction",
        read=partial(_number, allowed=SHARE),
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
        field="ready_timeout_s",
        read=partial(_seconds, allowed=TIMEOUT),
        schema=_TIME,
        help="how long it may take to become ready",
    ),
    "grace": Condition(
        field="grace_s",
        read=partial(_seconds, allowed=GRACE),
        schema=_TIME,
        help="time between SIGTERM and SIGKILL",
    ),
}
"""Arguments of the marker, of the ``background_load`` fixture and of a load in an experiment file, by name."""


def read_condition(name: str, value: object) -> Any:
    """Return the value of the field of ``LoadConditions`` that a keyword sets.

    Raises:
        ConfigError: the value is invalid; the message has the keyword, the value, and the valid ones.
    """
    try:
        return CONDITIONS[name].read(value)
    except ConfigError as error:
        raise ConfigError(f"background_load({name}={value!r}): {error}") from error


def read_count(n: object) -> int:
    """Return the number of instances of a load.

    Raises:
        ConfigError: it is not a whole number of 1 or more.
    """
    whole = isinstance(n, int) or (isinstance(n, float) and n.is_integer())
    if isinstance(n, bool) or not isinstance(n, (int, float)) or not whole or n < 1:
        raise ConfigError(f"background_load(n={n!r}): n is a whole number of 1 or more")
    return int(n)


def split_conditions(keywords: Mapping[str, Any]) -> tuple[LoadConditions, dict[str, Any]]:
    """Return the conditions among keywords, and the other keywords: hyperparameters.

    ``None`` sets nothing. ``batch_size="auto"`` becomes the condition ``auto_batch``.

    Raises:
        ConfigError: a condition has an invalid value, or two conditions exclude each other.
    """
    fields: dict[str, Any] = {}
    rest = dict(keywords)
    if rest.get("batch_size") == "auto":
        del rest["batch_size"]
        fields["auto_batch"] = True
    for name, condition in CONDITIONS.items():
        if (value := rest.pop(name, None)) is not None:
            fields[condition.field] = read_condition(name, value)
    return LoadConditions(**fields), rest


def check_command(words: Sequence[str], conditions: LoadConditions, others: Iterable[str]) -> None:
    """Refuse settings that a plain command as background load cannot have.

    Args:
        words: the command.
        conditions: the conditions set for it.
        others: names of its other keywords.

    Raises:
        ConfigError: there is no program, a keyword that only a training has, or a batch size to fit.
    """
    if not words:
        raise ConfigError("a command as background load is a list of words, the program first; the list is empty")
    for name in others:
        raise ConfigError(f"a command as background load takes no {name!r}; {did_you_mean(name, CONDITIONS)}")
    if conditions.auto_batch:
        raise ConfigError(
            'batch_size="auto" is for registered workloads: the plugin does not know the batch size of a command'
        )


def first_batch(workload: str, values: Mapping[str, Any]) -> int:
    """Return the first size that ``batch_size="auto"`` tries: the workload's own.

    Args:
        workload: its name, for the message.
        values: its hyperparameters.

    Raises:
        ConfigError: the workload has no hyperparameter ``batch_size`` that is a whole number.
    """
    first = values.get("batch_size")
    if isinstance(first, bool) or not isinstance(first, int):
        raise ConfigError(f'{workload} has no hyperparameter batch_size: batch_size="auto" has nothing to fit')
    return first
