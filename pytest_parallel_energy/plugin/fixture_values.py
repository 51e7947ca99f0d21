"""The values of the fixtures: the loads of an experiment, and stand-ins for numbers that are not measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ParallelEnergyError
from ..plan.markers import LoadRequest

if TYPE_CHECKING:
    from ..load.background import BackgroundLoad
    from ..run.experiment import Experiment
    from ..run.loads import ExperimentLoads

__all__ = ["DisabledLoads", "Loads", "NotMeasured"]


class NotMeasured:
    """Stands for a number that this process does not measure: under ``--energy-disable``, or as a rank of a launcher.

    All comparisons with it hold, so that assertions about energy do not fail in a run that measures nothing on purpose.
    It is not a number: arithmetic with it is an error.

    Args:
        reason: is shown instead of a number.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, reason: str = "not measured (--energy-disable)") -> None:
        self._reason = reason

    def __repr__(self) -> str:
        return self._reason

    def _holds(self, _other: object) -> bool:
        return True

    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _holds


class Loads:
    """The background loads of a test; the attributes speak of the first one.

    Raises:
        RuntimeError: an attribute is asked for, and no load was started.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment

    def __call__(self, load: str | Sequence[str], **hyperparameters: Any) -> BackgroundLoad:
        """Start another load: a registered workload by name, or a command as a list.

        Raises:
            ConfigError: an unknown workload or hyperparameter.
            LoadError: it did not become ready.
        """
        __tracebackhide__ = True
        experiment = self._experiment
        try:
            mark = LoadRequest.of(load, hyperparameters)
            return self._loads.start(mark, experiment.attempt.folder)
        except ParallelEnergyError as error:
            raise error.with_traceback(None) from None  # the traceback would only show the plugin's own code

    @property
    def _loads(self) -> ExperimentLoads:
        return self._experiment.loads

    def __repr__(self) -> str:
        return f"<background loads: {', '.join(load.name for load in self) or 'none'}>"

    def __iter__(self) -> Iterator[BackgroundLoad]:
        return iter(self._loads.loads)

    def __len__(self) -> int:
        return len(self._loads.loads)

    def __bool__(self) -> bool:
        return bool(self._loads.loads)

    def _first(self) -> BackgroundLoad:
        if not self._loads.loads:
            raise RuntimeError(
                "no background load was started: mark the test with "
                '@pytest.mark.background_load("repository/model"), or call background_load("repository/model")'
            )
        return self._loads.loads[0]

    @property
    def rounds_completed(self) -> int:
        """Rounds that ended with exit code 0."""
        return self._first().rounds_completed

    @property
    def rounds_failed(self) -> int:
        """Rounds that ended otherwise."""
        return self._first().rounds_failed

    @property
    def alive(self) -> bool:
        """``True`` while the loop runs."""
        return self._first().alive

    @property
    def coverage_ratio(self) -> float | None:
        """Share of the test's window so far during which a round ran, 0 to 1."""
        return self._first().coverage_ratio

    @property
    def log_dir(self) -> Path:
        """The folder of the rounds' logs."""
        return self._first().log_dir

    @property
    def script(self) -> Path:
        """The loop script that runs."""
        return self._first().script

    def stop(self) -> None:
        """Stop all loads now, before the test's end."""
        self._loads.stop()


class DisabledLoads:
    """The stand-in where this process measures nothing: starts nothing, and every number is a ``NotMeasured``."""

    log_dir = script = None

    def __init__(self, reason: str) -> None:
        number: Any = NotMeasured(reason)
        self.rounds_completed = self.rounds_failed = self.coverage_ratio = self.alive = number

    def __call__(self, _load: object, **_hyperparameters: object) -> DisabledLoads:
        """Start nothing."""
        return self

    def __iter__(self) -> Iterator[BackgroundLoad]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def stop(self) -> None:
        """Do nothing: no load runs."""
