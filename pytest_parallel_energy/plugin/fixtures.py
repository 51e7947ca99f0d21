"""The fixtures. Each returns a part of the experiment that the plugin began for the test."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, SupportsFloat

import pytest

from ..plan.options import MARKERS

if TYPE_CHECKING:
    from ..errors import ParallelEnergyError
    from ..run.experiment import Experiment, Trained
    from ..run.session import Run
    from .fixture_values import DisabledLoads, Loads
    from .meter_values import CallWindow, ScopeWindow, UnmeasuredWindow

__all__ = [
    "EXPERIMENT",
    "FIXTURES",
    "RUN",
    "asks_for_energy",
    "background_load",
    "energy_meter",
    "fail_with_message",
    "hyperparameters",
    "message_only",
    "module_energy_meter",
    "record_metric",
    "session_energy_meter",
    "threads",
    "train",
]

RUN: pytest.StashKey[Callable[[], Run]] = pytest.StashKey()
"""The key under which the configuration keeps a function that returns the session's run."""
EXPERIMENT: pytest.StashKey[Experiment] = pytest.StashKey()
"""The key under which an item keeps its experiment while it runs."""

FIXTURES = frozenset({
    *("energy_meter", "module_energy_meter", "session_energy_meter"),
    *("background_load", "train", "hyperparameters", "record_metric", "threads"),
})
"""Tests that ask for one of these are experiments."""


def asks_for_energy(item: pytest.Item, fixture_names: Iterable[str]) -> bool:
    """Return whether a test uses one of the fixtures or markers of this plugin."""
    return any(_is_ours(item, name) for name in FIXTURES.intersection(fixture_names)) or any(
        mark.name in MARKERS for mark in item.iter_markers()
    )


def _is_ours(item: pytest.Item, fixture_name: str) -> bool:
    """Return whether the fixture of that name is this plugin's: a suite may have its own called ``train``.

    pytest has no public way to ask before set-up; without the private one the name decides.
    """
    known = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    definitions = known.get(fixture_name)
    return not definitions or definitions[-1].func.__module__ == __name__


def _experiment(request: pytest.FixtureRequest) -> Experiment:
    experiment: Experiment = request.node.stash[EXPERIMENT]
    return experiment


@pytest.fixture
def energy_meter(request: pytest.FixtureRequest) -> CallWindow | UnmeasuredWindow:
    """The energy of this test's call: joules of CPU and GPU with their quality and 95 % interval.

    ``.total_j .cpu_j .gpu_j .dram_j .seconds .mean_w .peak_w .above_idle_j .quality .u95_j .domains`` describe the
    window so far. Parts of it: ``with energy_meter.window("forward") as forward:``, ``energy_meter.begin("forward")``
    and ``.end()``, and ``for epoch in energy_meter.windows("epoch", range(5)):``. An unknown value is ``None``, never
    0. Set-up and tear-down are not measured.
    """
    from .meter_values import CallWindow, UnmeasuredWindow

    experiment = _experiment(request)
    if experiment.measured:
        return CallWindow(experiment)
    return UnmeasuredWindow(experiment.run.unmeasured_reason)


@pytest.fixture(scope="module")
def module_energy_meter(request: pytest.FixtureRequest) -> Iterator[ScopeWindow | UnmeasuredWindow]:
    """The energy from the first test of the module that asks for it to the tear-down of the last one.

    For a fixture that trains once for several tests: ``with module_energy_meter.window("pretraining"): …``. The whole
    contains cool-downs and the time between the tests; it is kept in ``run.json`` and printed at the end.
    """
    yield from _scope_window(request, f"module {request.node.nodeid}")


@pytest.fixture(scope="session")
def session_energy_meter(request: pytest.FixtureRequest) -> Iterator[ScopeWindow | UnmeasuredWindow]:
    """The energy of the session, from the first test that asks for it; used like ``module_energy_meter``."""
    yield from _scope_window(request, "session")


def _scope_window(request: pytest.FixtureRequest, name: str) -> Iterator[ScopeWindow | UnmeasuredWindow]:
    from .meter_values import ScopeWindow, UnmeasuredWindow

    run = request.config.stash[RUN]()
    if not run.measures:
        yield UnmeasuredWindow(run.unmeasured_reason)
        return
    window = ScopeWindow(run.open_meter(), name)
    window.open()
    try:
        yield window
    finally:
        window.close()
        run.note_scope(window.result)


@pytest.fixture
def background_load(request: pytest.FixtureRequest) -> Iterator[Loads | DisabledLoads]:
    """Background loads: trainings that loop while the test runs, ready before it starts and stopped after it.

    ``.rounds_completed .rounds_failed .alive .coverage_ratio .log_dir .script .stop()`` describe the first load. Call
    it to start another: ``background_load("repository/model", epochs=1)`` or ``background_load(["python", "x.py"])``.
    ``@pytest.mark.parametrize("background_load", [None, "repository/model"], indirect=True)`` runs the test without
    and with the load.
    """
    from .fixture_values import DisabledLoads, Loads

    experiment = _experiment(request)
    if not experiment.measured:
        yield DisabledLoads(experiment.run.unmeasured_reason)
        return
    try:
        with message_only():
            if experiment.cell.plan.loads:  # else an empty folder would be made
                experiment.loads.start_marked(experiment.attempt.folder)
        yield Loads(experiment)
    finally:
        experiment.loads.stop()


@pytest.fixture
def train(
    request: pytest.FixtureRequest,
    background_load: Loads | DisabledLoads,  # noqa: ARG001 - the load is up before the training can start
) -> Callable[..., Trained]:
    """A function that runs the marked training with this cell's hyperparameters as a child process.

    ``result = train()``; ``train("repository/model", timeout_s=3600, epochs=1)`` names another, and
    ``train(["python", "train.py", "--epochs=1"])`` runs a command. The result has
    ``.metrics .log .output_dir .command .seconds .attempts``. The training has succeeded if it exits with 0 and
    reports the metrics that the registry requires; otherwise the test fails with the tail of the log.
    """
    experiment = _experiment(request)

    def run(name: str | Sequence[object] | None = None, *, timeout_s: float | None = None, **overrides: Any) -> Trained:
        __tracebackhide__ = True
        with message_only():
            return experiment.train(name, timeout_s, overrides)

    return run


@pytest.fixture
def hyperparameters(request: pytest.FixtureRequest) -> Mapping[str, Any]:
    """This cell's hyperparameter values, for a test that trains in its own process."""
    return _experiment(request).cell.hyperparameters


@pytest.fixture
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """The thread budget of the measured training (``--energy-threads``), applied to a test that trains in this process.

    While the test runs, PyTorch uses so many CPU threads where it is loaded, and so do the libraries that a loaded
    threadpoolctl knows (NumPy, scikit-learn); the former numbers are restored afterwards.
    """
    from ..run.own_threads import own_threads

    budget = _experiment(request).run.threads
    with own_threads(budget):
        yield budget


@pytest.fixture
def record_metric(request: pytest.FixtureRequest) -> Callable[[str, SupportsFloat], None]:
    """A function that adds a number to the test's record: ``record_metric("accuracy", 0.93)``.

    A NumPy scalar and a tensor of one element are numbers, too. A value that is not finite is unknown in the record,
    which says so. ``samples``, ``steps``, ``epochs`` and ``tokens`` give the energy per unit of work.
    """
    experiment = _experiment(request)

    def record(name: str, value: SupportsFloat) -> None:
        number = _number(name, value)
        if not math.isfinite(number):
            experiment.attempt.flags.append(f"{name}: the test recorded {number}, which is not a finite number")
        experiment.attempt.metrics[str(name)] = number

    return record


def _number(name: str, value: SupportsFloat) -> float:
    """Return the value of a metric; ``item()`` comes first, because a tensor that needs a gradient warns on float()."""
    try:
        if not isinstance(value, bool | str):
            return float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError, RuntimeError):
        pass  # an array of several elements, a complex number: refused below
    raise TypeError(f"record_metric({name!r}, {value!r}): the value must be a number")


def fail_with_message(error: ParallelEnergyError) -> NoReturn:
    """Fail the test with the error's message and without a traceback.

    Raises:
        pytest.fail.Exception: always.
    """
    __tracebackhide__ = True
    raise pytest.fail.Exception(str(error), pytrace=False) from None


class message_only:  # noqa: N801 - reads as a statement at the call
    """Fail the test with the message alone if this package raises an error: a traceback would show only the plugin."""

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        __tracebackhide__ = True
        if error is None:
            return
        from ..errors import ParallelEnergyError

        if isinstance(error, ParallelEnergyError):
            fail_with_message(error)
