"""The values of the meter fixtures: the window of a test's call, of a module or session, and its stand-in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ..energy.loops import ApartWindows, each_in_window
from ..energy.window import Window
from ..errors import ParallelEnergyError
from .fixture_values import NotMeasured

if TYPE_CHECKING:
    from ..energy.assemble import Measurement
    from ..energy.ledger import Snapshot
    from ..energy.meter import EnergyMeter
    from ..records.energy_values import WindowResult
    from ..run.experiment import Experiment

__all__ = ["CallWindow", "ScopeWindow", "UnmeasuredWindow"]

_ONLY_IN_CALL = "the energy window opens with the test's call; a fixture's set-up is not measured"
_Item = TypeVar("_Item")


class PartWindows:
    """The ways in which a test measures parts of a window."""

    __slots__ = ()
    _begun: list[Window]
    """The windows that ``begin`` opened and ``end`` has not closed, oldest first."""

    def _new_part(self, name: str) -> Window:
        raise NotImplementedError

    def begin(self, name: str = "window") -> Window:
        """Open a window around a part of the code that does not fit into a ``with`` block; ``end`` closes it.

        Raises:
            RuntimeError: the test's call has not begun, or is over.
        """
        window = self._new_part(name).open()
        self._begun.append(window)
        return window

    def end(self, name: str | None = None, *, at_hold: bool = False) -> WindowResult:
        """Close the window that ``begin`` opened last, or the last one of that name, and return its result.

        Raises:
            ParallelEnergyError: ``begin`` has opened no window (of that name) that is still open.
        """
        found = [window for window in self._begun if name in {None, window.name}]
        if not found:
            what = "no window" if name is None else f"no window {name!r}"
            begun = ", ".join(repr(window.name) for window in self._begun)
            raise ParallelEnergyError(
                f"energy_meter.end(): begin() has opened {what} that is still open"
                f"{f' (open: {begun})' if begun else ''}; pytest closes the window of the test itself"
            )
        self._begun.remove(found[-1])
        return found[-1].end(at_hold=at_hold)

    def windows(self, name: str, items: Iterable[_Item]) -> Iterator[_Item]:
        """Measure each round of a loop: ``for epoch in energy_meter.windows("epoch", range(5)): …``.

        The windows are called ``epoch 1``, ``epoch 2``, … Reports show their number, mean energy and share.
        """
        return each_in_window(self.window, name, items)

    def window(self, name: str) -> Any:
        """Measure a part: ``with energy_meter.window("forward") as forward: …; forward.total_j``."""
        return self._new_part(name)


class CallWindow(PartWindows, Window):
    """The window around the test's call: the energy so far while the test runs, the final energy afterwards.

    pytest opens and closes it. When a training is retried, it is the window of the attempt in progress.
    """

    __slots__ = ("_begun", "_experiment")

    def __init__(self, experiment: Experiment) -> None:
        super().__init__(experiment.run.open_meter(), "test")
        self._experiment = experiment
        self._begun: list[Window] = []

    def _attempt_window(self) -> Window:
        window = self._experiment.window
        if window is None:
            raise RuntimeError(_ONLY_IN_CALL)
        return window

    def __repr__(self) -> str:
        window = self._experiment.window
        return "<energy window 'test', not opened>" if window is None else repr(window)

    def measurement(self) -> Measurement:
        """Return the energy with the power trace and the flags, up to now or of the closed window.

        Raises:
            RuntimeError: the test's call has not begun.
        """
        return self._attempt_window().measurement()

    @property
    def inner(self) -> tuple[Window, ...]:
        """The windows that were opened and closed inside the test's call."""
        return self._attempt_window().inner

    @property
    def opened(self) -> Snapshot:
        """The snapshot that opened the window."""
        return self._attempt_window().opened

    @property
    def result(self) -> WindowResult:
        """The result of the closed window.

        Raises:
            RuntimeError: the test's call has not begun.
            ParallelEnergyError: the window is still open.
        """
        return self._attempt_window().result

    def open(self) -> Self:
        """Raise ``ParallelEnergyError``: pytest opens this window."""
        raise ParallelEnergyError(
            'pytest opens the window of the test; measure a part with energy_meter.window("name")'
        )

    def close(self, *, at_hold: bool = False) -> None:  # noqa: ARG002 - the signature of Window
        """Raise ``ParallelEnergyError``: pytest closes this window."""
        raise ParallelEnergyError("pytest closes the window of the test when the test's call ends")

    def _new_part(self, name: str) -> Window:
        attempt = self._experiment.attempt
        if not attempt.is_open:
            raise RuntimeError(_ONLY_IN_CALL)
        return self._experiment.run.open_meter().window(name)

    @contextmanager
    def window(self, name: str, *, sync: bool = True) -> Iterator[Window]:
        """Measure a part of the test: ``with energy_meter.window("epoch-1") as epoch: …; epoch.total_j``.

        Both ends wait for the GPU work that PyTorch, JAX or CuPy have queued in this process; ``sync=False`` does not.
        """
        with self._experiment.named_window(name, sync=sync) as window:
            yield self if window is None else window


class ScopeWindow(PartWindows, Window):
    """The window of a module or session: from the first test that asks for it to the last one's tear-down.

    It contains everything in between, also cool-downs and waiting. The windows of the tests are not parts of it.

    Args:
        meter: the session's.
        name: of the window, such as ``module tests/test_a.py``.
    """

    __slots__ = ("_apart", "_begun")

    def __init__(self, meter: EnergyMeter, name: str) -> None:
        self._apart = ApartWindows(meter)
        self._begun: list[Window] = []
        super().__init__(self._apart, name)

    def _new_part(self, name: str) -> Window:
        return Window(self._apart, name)


class UnmeasuredWindow:
    """The stand-in for a window that this process does not measure: each of its numbers is a ``NotMeasured``."""

    def __init__(self, reason: str) -> None:
        self._number: Any = NotMeasured(reason)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(Window, name):
            raise AttributeError(f"an energy window has no attribute {name!r}")
        return self._number

    @contextmanager
    def window(self, _name: str = "window", *, sync: bool = True) -> Iterator[UnmeasuredWindow]:  # noqa: ARG002
        """Measure nothing."""
        yield self

    def begin(self, _name: str = "window") -> UnmeasuredWindow:
        """Measure nothing."""
        return self

    def end(self, _name: str | None = None) -> UnmeasuredWindow:
        """Measure nothing."""
        return self

    def windows(self, _name: str, items: Iterable[_Item]) -> Iterator[_Item]:
        """Yield the items and measure nothing."""
        yield from items

    def __repr__(self) -> str:
        return f"<energy window: {self._number!r}>"
