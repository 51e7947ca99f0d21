"""The specification of one load or training: what the owner sends to its guard first."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from ..errors import ConfigError
from .command import Command
from .cookie import VARIABLE, Cookie
from .rules import Supervision

__all__ = ["guard_specification"]

_SHARED_MEMORY = "PYTEST_ENERGY_SHARED_MEMORY"


def guard_specification(command: Command, supervision: Supervision, cwd: Path, cookie: Cookie) -> dict[str, Any]:
    """Return everything that the guard needs to know, as JSON can hold it.

    Raises:
        ConfigError: ``PYTEST_ENERGY_SHARED_MEMORY`` has another value than ``read-only`` or ``writable``.
    """
    spec = to_builtins(supervision, enc_hook=str)
    never = {"min_round_s": 0.0, "backoff_s": 0.0, "backoff_max_s": 0.0, "vain_after": 1}
    return {
        **spec,
        "rounds": spec["rounds"] or never,
        "marks": supervision.rounds is not None,
        "log": os.devnull if supervision.log is None else str(supervision.log.absolute()),
        "log_times": "" if supervision.log_times is None else str(supervision.log_times.absolute()),
        "shared_memory": spec["shared_memory"] or _shared_memory(),
        "owner": str(cookie),
        "group": os.getpgrp() if supervision.terminal else 0,
        "argv": list(command.argv),
        "cwd": str(cwd),
        "env": {**os.environ, **command.env, VARIABLE: str(cookie)},
    }


def _shared_memory() -> str:
    setting = os.environ.get(_SHARED_MEMORY) or "read-only"
    if setting not in {"read-only", "writable"}:
        raise ConfigError(f"{_SHARED_MEMORY} is {setting!r}; it must be read-only (the default) or writable")
    return setting
