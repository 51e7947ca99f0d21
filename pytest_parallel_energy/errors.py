"""Every error and warning of the package.

::

    ParallelEnergyError
    ├── ConfigError              what a person wrote cannot be used: option, marker, file, value
    │   └── RegistryError        a workload registry cannot be read, or does not have what was asked for
    ├── SensorError              a reading could not be had
    │   └── SensorUnavailableError   this sensor cannot work here, with the remedy
    ├── ProcessError             a child could not be started or supervised
    ├── LoadError                the background load did not do its part
    ├── TrainingError            the foreground training did not succeed
    ├── LimitError               a test used more energy or power than it allows itself
    └── RecordError              a results folder or record cannot be written or read

    ParallelEnergyWarning        something a person should know; the run goes on

Messages say the rule that was broken, the value, where it came from, and what to do.
Each error survives ``pickle`` and ``repr``, because xdist sends them between processes.
"""

from __future__ import annotations

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
]


class ParallelEnergyError(Exception):
    """The root of all errors that this package raises on purpose."""


class ConfigError(ParallelEnergyError):
    """A setting, marker or file holds something that cannot be used."""


class RegistryError(ConfigError):
    """A workload registry cannot be read, or lacks the workload or hyperparameter asked for."""


class SensorError(ParallelEnergyError):
    """A sensor was asked for a reading and could not give one."""


class SensorUnavailableError(SensorError):
    """A sensor cannot work on this machine.

    Args:
        reason: why, in words a user understands.
        remedy: the command or change that would mend it; empty when nothing would.
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
    """Something that a person should know about this run, which goes on."""


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """A remedy for a misspelt name: the nearest known one, and all of them.

    >>> did_you_mean("learning_rat", ["epochs", "learning_rate"])
    "did you mean 'learning_rate'? known: epochs, learning_rate"
    >>> did_you_mean("x", [])
    'there are none'
    """
    import difflib  # here: 1 ms that only a mistake has to pay

    names = sorted(known)
    if not names:
        return "there are none"
    by_lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(wrong.lower(), by_lower, n=1, cutoff=0.6)
    guess = f"did you mean {by_lower[near[0]]!r}? " if near else ""
    return f"{guess}known: {', '.join(names)}"
