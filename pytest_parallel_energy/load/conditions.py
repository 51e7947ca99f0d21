"""What a marker says about how a load is run, apart from the hyperparameters of its training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ConfigError
from .devices import device_list
from .settings import parse_ready

__all__ = ["AUTO_BATCH", "CONDITIONS", "split_conditions"]

AUTO_BATCH = "auto_batch"
"""Condition that stands for ``batch_size="auto"``."""


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(f"it is a number, not {value!r}")
    return float(value)


def _seconds(value: object) -> float:
    from ..units import parse_seconds

    return parse_seconds(value) if isinstance(value, str) else _number(value)


def _ready(value: object) -> Any:
    return parse_ready(value if isinstance(value, str) else f"{_number(value):g}")


def _devices(value: Any) -> str:
    if isinstance(value, (str, int)) or (
        isinstance(value, (list, tuple)) and all(isinstance(one, (str, int)) for one in value)
    ):
        return device_list(value)
    raise ConfigError(f"it is an index, a UUID, or a list of them, not {value!r}")


CONDITIONS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "intensity": ("intensity", _number),
    "target_gpu_utilisation": ("target_gpu_utilisation", _number),
    "gpu_memory_fraction": ("gpu_memory_fraction", _number),
    "devices": ("devices", _devices),
    "ready": ("ready", _ready),
    "ready_timeout": ("ready_timeout_s", _seconds),
    "grace": ("grace_s", _seconds),
}
"""Arguments of the marker: the field of ``LoadSettings`` that each sets, and how its value is read."""


def split_conditions(keywords: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of ``LoadSettings`` that keywords set, and the keywords that are left: hyperparameters.

    ``None`` says nothing. ``batch_size="auto"`` becomes the condition :data:`AUTO_BATCH`.

    Raises:
        ConfigError: a value that a condition cannot have.
    """
    conditions: dict[str, Any] = {}
    rest = dict(keywords)
    if rest.get("batch_size") == "auto":
        del rest["batch_size"]
        conditions[AUTO_BATCH] = True
    for name, (field, read) in CONDITIONS.items():
        if (value := rest.pop(name, None)) is None:
            continue
        try:
            conditions[field] = read(value)
        except ConfigError as error:
            raise ConfigError(f"background_load({name}={value!r}): {error}") from error
    _check(conditions)
    return conditions, rest


def _check(conditions: Mapping[str, Any]) -> None:
    """Refuse what no load can have, when it is written and not when it is started."""
    if "gpu_memory_fraction" in conditions and not 0 < conditions["gpu_memory_fraction"] <= 1:
        raise ConfigError(
            f"background_load(gpu_memory_fraction={conditions['gpu_memory_fraction']:g}): a share above 0, up to 1"
        )
    if "intensity" in conditions and not 0 < conditions["intensity"] <= 1:
        raise ConfigError(f"background_load(intensity={conditions['intensity']:g}): a share above 0, up to 1")
