"""What the fixtures hand out: live views of an experiment's window and loads, and their stand-ins when disabled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ParallelEnergyError
from ..plan.markers import LoadMark

if TYPE_CHECKING:
    from ..energy.result import DomainEnergy, Quality
    from ..energy.window import Window
    from ..load.background import BackgroundLoad
    from ..run.experiment import Experiment
    from ..run.loads import ExperimentLoads

__all__ = ["NOT_MEASURED", "DisabledLoads", "Loads", "MeterView", "NotMeasured"]


class NotMeasured:
    """Stands for a number that ``--energy-disable`` did not measure.

    Comparisons with it hold, so that a test's assertions about energy do not fail a run that measures nothing on
    purpose; it is no number, and arithmetic with it is an error.
    """

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "not measured (--energy-disable)"

    def _holds(self, _other: object) -> bool:
        return True

    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _holds


NOT_MEASURED: Any = NotMeasured()


class MeterView:
    """The window of the test's call: so far while the test runs, whole afterwards."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment

    def _of_window(self, name: str) -> Any:
        if not self._experiment.measured:
            return NOT_MEASURED
        window = self._experiment.window
        if window is None:
            raise RuntimeError("the energy window opens with the test's call; a fixture's set-up is not measured")
        return getattr(window, name)

    @property
    def total_j(self) -> float | None:
        """Joules over the counted domains; ``None`` where one of them is missing."""
        return self._of_window("total_j")  # type: ignore[no-any-return]

    @property
    def u95_j(self) -> float | None:
        """Half-width of the 95 % interval of ``total_j``, joules."""
        return self._of_window("u95_j")  # type: ignore[no-any-return]

    @property
    def cpu_j(self) -> float | None:
        """Joules of the CPU domains."""
        return self._of_window("cpu_j")  # type: ignore[no-any-return]

    @property
    def gpu_j(self) -> float | None:
        """Joules of the GPUs; ``None`` without one."""
        return self._of_window("gpu_j")  # type: ignore[no-any-return]

    @property
    def dram_j(self) -> float | None:
        """Joules of the memory; ``None`` where it has no sensor of its own."""
        return self._of_window("dram_j")  # type: ignore[no-any-return]

    @property
    def above_idle_j(self) -> float | None:
        """Joules above the idle power, where it was measured."""
        return self._of_window("above_idle_j")  # type: ignore[no-any-return]

    @property
    def seconds(self) -> float:
        """Length of the window."""
        return self._of_window("seconds")  # type: ignore[no-any-return]

    @property
    def mean_w(self) -> float | None:
        """Mean power, watts."""
        return self._of_window("mean_w")  # type: ignore[no-any-return]

    @property
    def peak_w(self) -> float | None:
        """Highest sampled power, watts."""
        return self._of_window("peak_w")  # type: ignore[no-any-return]

    @property
    def quality(self) -> Quality:
        """The worst quality among the parts of the total."""
        return self._of_window("quality")  # type: ignore[no-any-return]

    @property
    def domains(self) -> tuple[DomainEnergy, ...]:
        """Each domain's energy."""
        return self._of_window("domains")  # type: ignore[no-any-return]

    @contextmanager
    def window(self, name: str) -> Iterator[Window | MeterView]:
        """Measure a part of the test: ``with energy_meter.window("epoch-1") as epoch: …; epoch.total_j``."""
        with self._experiment.named_window(name) as window:
            yield self if window is None else window


class Loads:
    """The background loads of a test; the attributes speak of the first one.

    Raises:
        RuntimeError: an attribute is asked for, and no load was started.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment

    def __call__(self, what: str | Sequence[str], **hyperparameters: Any) -> BackgroundLoad:
        """Start another load: a registered workload by name, or a command as a list.

        Raises:
            ConfigError: an unknown workload or hyperparameter.
            LoadError: it did not become ready.
        """
        __tracebackhide__ = True
        experiment = self._experiment
        try:
            mark = LoadMark.of(what, hyperparameters)
            return self._loads.start(mark, experiment.attempt.folder)
        except ParallelEnergyError as error:
            raise error.with_traceback(None) from None  # where it was found is our matter; what is wrong is the user's

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
        """Whether the loop is running."""
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
    """The stand-in under ``--energy-disable``: starts nothing, and every number is ``NOT_MEASURED``."""

    rounds_completed = rounds_failed = coverage_ratio = alive = NOT_MEASURED
    log_dir = script = None

    def __call__(self, _what: object, **_hyperparameters: object) -> DisabledLoads:
        """Starts nothing."""
        return self

    def __iter__(self) -> Iterator[BackgroundLoad]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def stop(self) -> None:
        """There is nothing to stop."""
