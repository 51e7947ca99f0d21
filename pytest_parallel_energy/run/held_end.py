"""The end of a window that is taken when a training ends, before its log is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from ..units import NS_PER_S

if TYPE_CHECKING:
    from ..energy.window import Window
    from .loads import ExperimentLoads

__all__ = ["HeldEnd", "WindowEnd", "reading_flags"]

_REST_S = 0.1
"""A test that ends within this time of its training has done no work after it."""
_NOTED_RATIO = 0.01
"""Reading that takes more of a window is noted in the record, and so is an end that is cut off."""
_NOTED_CUT_S = 0.02
"""Checks of the metrics take less, also on a busy machine."""


class WindowEnd(NamedTuple):
    """The end of a window."""

    at_hold: bool = False
    """Whether it closes where it was held: at the end of its training."""
    read_s: float = 0.0
    """Seconds of reading that it contains."""
    cut_s: float = 0.0
    """Seconds of the test after its training that it does not contain."""


class HeldEnd(Struct, kw_only=True):
    """The reading of logs within one window, which is work of this program and not of the experiment.

    Only the end of the test shows whether the training was its last work. Therefore the window is held when a training
    ends, and closes at that moment if the test does nothing more after the log was read.

    Args:
        loads: the experiment's background loads, whose coverage ends with the window.
        clock_ns: the clock of the window.
    """

    loads: ExperimentLoads
    clock_ns: Callable[[], int]
    _held_s: float | None = None
    _resumed_s: float = 0.0
    _read_s: float = 0.0
    """Seconds of all readings within the window."""
    _work: tuple[int, int] = (0, 0)
    """Inner windows and loads when the window was held."""

    @contextmanager
    def reading(self, window: Window, *, hold: bool) -> Iterator[None]:
        """Time the reading of a log within the window; hold the window first if ``hold`` is true.

        A window of the test's own that contains the training cannot be held: it ends where the test ends it.
        """
        self._forget()
        started_s = self._now_s()
        if hold:
            window.hold()
            self.loads.hold_window()
            self._held_s, self._work = started_s, self._work_in(window)
        try:
            yield
        finally:
            self._resumed_s = self._now_s()
            self._read_s += self._resumed_s - started_s

    def close(self, window: Window) -> WindowEnd:
        """Return where the window closes. If it closes now instead of where it was held, the loads count on."""
        held_s, rest_s = self._held_s, self._now_s() - self._resumed_s
        if held_s is not None:
            if rest_s <= _REST_S and self._work == self._work_in(window):
                read_s = self._read_s - (self._resumed_s - held_s)
                return WindowEnd(at_hold=True, read_s=read_s, cut_s=rest_s)
            self._forget()
        return WindowEnd(read_s=self._read_s)

    def _now_s(self) -> float:
        return self.clock_ns() / NS_PER_S

    def _work_in(self, window: Window) -> tuple[int, int]:
        return len(window.inner), len(self.loads.started)

    def _forget(self) -> None:
        if self._held_s is not None:
            self._held_s = None
            self.loads.continue_window()


def reading_flags(end: WindowEnd, window_s: float | None) -> list[str]:
    """Return the flags of a window that contains a noticeable time of reading logs, or that lacks the test's end.

    Args:
        end: of the window.
        window_s: its length in seconds.
    """
    flags = []
    if window_s and end.read_s > _NOTED_RATIO * window_s:
        share = f"{end.read_s:.1f} s of this window ({end.read_s / window_s:.0%})"
        flags.append(
            f"{share} went into reading the log of a training; end the test with train(), or write a shorter log"
        )
    if window_s and end.cut_s > max(_NOTED_CUT_S, _NOTED_RATIO * window_s):
        flags.append(
            f"the last {end.cut_s:.2f} s of the test are not in the window, which ends with the training; work of more "
            f"than {_REST_S:g} s after train() is measured"
        )
    return flags
