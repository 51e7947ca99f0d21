"""Every error and warning of the package.

::

    ParallelEnergyError
    ├── ConfigError              an option, marker, file or value of the user is invalid
    │   └── RegistryError        a workload registry cannot be read, or lacks a requested name
    ├── SensorError              a sensor gave no reading
    │   └── SensorUnavailableError   the sensor cannot work on this machine; says how to fix it
    ├── ProcessError             a child could not be started or supervised
    ├── LoadError                the background load did not run as requested
    ├── TrainingError            the foreground training did not succeed
    ├── LimitError               a test used more energy or power than its limit
    └── RecordError              a results folder or record cannot be written or read

    ParallelEnergyWarning        something the user should know; the run continues

Messages say what is wrong, where, which value, and how to fix it.
Each error survives ``pickle`` and ``repr``, because xdist sends them between processes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = [
    "ConfigError",
    "LimitError",
    "LoadError",
    "ParallelEnergyError",
    "ParallelEnergyWarning",
    "ProcessError",
    "RecordError",
    "RegistryError",
    "SensorError",
    "SensorUnavailableError",
    "TrainingError",
    "did_you_mean",
    "nearest",
    "printable",
]


_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|\r(?!\n)")
"""Control characters but tab and the ends of lines, and those that turn the direction of writing round."""


class ParallelEnergyError(Exception):
    """The base class of all errors that this package raises."""


class ConfigError(ParallelEnergyError):
    """A setting, marker or file contains an invalid value."""


class RegistryError(ConfigError):
    """A workload registry cannot be read, or lacks a requested workload or hyperparameter."""


class SensorError(ParallelEnergyError):
    """A sensor could not be read."""


class SensorUnavailableError(SensorError):
    """A sensor cannot work on this machine.

    Args:
        reason: the cause, in words for users.
        remedy: the command or change that fixes it; empty when there is none.
    """

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason, remedy)
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.reason} ({self.remedy})" if self.remedy else self.reason


class ProcessError(ParallelEnergyError):
    """A child process could not be started, watched or stopped."""


class LoadError(ParallelEnergyError):
    """The background load could not start, did not become ready, or did not run enough of the window."""


class TrainingError(ParallelEnergyError):
    """The foreground training failed: exit code, timeout, or a metric that it did not report."""


class LimitError(ParallelEnergyError):
    """A test used more energy or power than its markers allow, or how much it used is unknown."""


class RecordError(ParallelEnergyError):
    """A record or a results folder cannot be written, or one that is read is damaged."""


class ParallelEnergyWarning(UserWarning):
    """Something that the user should know about this run, which continues."""


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """Return the remedy for a misspelt name: the nearest known name, and all known names.

    >>> did_you_mean("learning_rat", ["epochs", "learning_rate"])
    "did you mean 'learning_rate'? known: epochs, learning_rate"
    >>> did_you_mean("x", [])
    'there are none'
    """
    names = sorted(known)
    if not names:
        return "there are none"
    near = nearest(wrong, names)
    guess = "" if near is None else f"did you mean {near!r}? "
    return f"{guess}known: {', '.join(names)}"


def nearest(wrong: str, known: Iterable[str]) -> str | None:
    """Return the known name that a misspelt one is most like; ``None`` where it is like none of them.

    >>> nearest("intensty", ["intensity", "grace"]), nearest("x", ["intensity"])
    ('intensity', None)
    """
    import difflib  # imported here, because only mistakes need it

    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(wrong.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[near[0]] if near else None


def printable(text: str) -> str:
    r"""Return text for a terminal, with a question mark for each control character.

    Records of other people could otherwise move the cursor, change the window's title or hide what follows.

    >>> printable("lr=0.1\x1b[2J")
    'lr=0.1?[2J'
    """
    return _CONTROL.sub("?", text)
