"""A window: the time between two marks, and the energy in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from ..errors import ParallelEnergyError
from ..units import NS_PER_S
from .ledger import Ledger, Snapshot
from .result import DomainEnergy, Quality, WindowResult

__all__ = ["Window", "WindowOwner"]


_LEAST_STEPS = 10
_ALIKE_RATIO = 0.2
"""Inner windows whose lengths differ by less are steps of one loop."""


class WindowOwner(Protocol):
    """What a window needs of its meter."""

    @property
    def open_windows(self) -> list[Window]:
        """The windows that are open, oldest first."""
        ...

    def ledger(self) -> Ledger:
        """The account of readings of the opened meter."""
        ...

    def result(
        self,
        name: str,
        ends: tuple[Snapshot, Snapshot],
        windows: tuple[WindowResult, ...],
        *,
        step_s: float | None = None,
    ) -> WindowResult:
        """The energy between two marks."""
        ...


class Window:
    """One window of an ``EnergyMeter``. Made by ``begin`` and ``window``.

    While it is open the properties show the energy so far (each access reads the sensors); once it is closed they
    show the result. A window that is opened while another one is open belongs to the one opened last before it.
    """

    __slots__ = ("_children", "_closed", "_edges", "_meter", "_opened", "_parent", "_result", "name", "step_s")

    def __init__(self, meter: WindowOwner, name: str, *, edges: bool = False) -> None:
        self.name = name
        self.step_s: float | None = None
        """Set it to the time of one training step, and a sensor that always sees the same part of it is found out."""
        self._edges = edges
        self._meter = meter
        self._parent: Window | None = None
        self._children: list[Window] = []
        self._opened: Snapshot | None = None
        self._closed: Snapshot | None = None
        self._result: WindowResult | None = None

    def open(self) -> Self:
        """Open the window now.

        Raises:
            ParallelEnergyError: it was opened before.
        """
        if self._opened is not None:
            raise ParallelEnergyError(f"window {self.name!r} was opened before; make a new one")
        ledger = self._meter.ledger()
        opened = self._meter.open_windows
        self._parent = opened[-1] if opened else None
        opened.append(self)
        self._opened = ledger.begin(edges=self._edges)
        return self

    def close(self) -> None:
        """Close the window now; the result is worked out when it is asked for. A second call does nothing.

        Raises:
            ParallelEnergyError: it was never opened.
        """
        if self._closed is None:
            self._closed = self._mark().ledger.end(edges=self._edges)
            self._meter.open_windows.remove(self)
            if self._parent is not None and self._parent._closed is None:  # noqa: SLF001 - a window too
                self._parent._children.append(self)  # noqa: SLF001

    def end(self) -> WindowResult:
        """Close the window and give its result."""
        self.close()
        return self.result

    def snapshot(self) -> WindowResult:
        """The energy up to now, for an open window; the result of a closed one."""
        if self._closed is not None:
            return self.result
        opened = self._mark()
        return self._work_out(opened, opened.ledger.peek())

    @property
    def result(self) -> WindowResult:
        """The result of a closed window.

        Raises:
            ParallelEnergyError: the window is still open.
        """
        if self._result is None:
            if self._closed is None:
                raise ParallelEnergyError(f"window {self.name!r} is still open: end it first, or take a snapshot()")
            self._result = self._work_out(self._mark(), self._closed)
        return self._result

    @property
    def total_j(self) -> float | None:
        """Joules of the boundary; ``None`` when a part of it is missing."""
        return self.snapshot().total_j

    @property
    def u95_j(self) -> float | None:
        """Half-width of the 95 % interval of ``total_j``."""
        return self.snapshot().total_u95_j

    @property
    def cpu_j(self) -> float | None:
        """Joules of the CPU packages; ``None`` without a counter, also where an estimate covers the whole server."""
        return self.snapshot().cpu_j

    @property
    def gpu_j(self) -> float | None:
        """Joules of the GPU boards."""
        return self.snapshot().gpu_j

    @property
    def dram_j(self) -> float | None:
        """Joules of the memory, where the machine counts them."""
        return self.snapshot().dram_j

    @property
    def seconds(self) -> float:
        """Length of the window."""
        return self.snapshot().window_s

    @property
    def mean_w(self) -> float | None:
        """Mean power of the boundary, watts."""
        return self.snapshot().mean_w

    @property
    def peak_w(self) -> float | None:
        """Highest power of the boundary between two samples; ``None`` in a window shorter than the sampling period."""
        return self.snapshot().peak_w

    @property
    def above_idle_j(self) -> float | None:
        """Joules above the idle power; ``None`` where no idle leg was measured."""
        return self.snapshot().above_idle_j

    @property
    def quality(self) -> Quality:
        """The worst quality of the boundary's parts."""
        return self.snapshot().quality

    @property
    def domains(self) -> tuple[DomainEnergy, ...]:
        """Every domain, also those that are not part of the total."""
        return self.snapshot().domains

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def _mark(self) -> Snapshot:
        if self._opened is None:
            raise ParallelEnergyError(f"window {self.name!r} was never opened")
        return self._opened

    def _work_out(self, opened: Snapshot, closed: Snapshot) -> WindowResult:
        windows = tuple(child.result for child in self._children)
        result = self._meter.result(self.name, (opened, closed), windows, step_s=self.step_s or _step_s(windows))
        return dataclasses.replace(result, start_s=(opened.after_ns - self._outermost_ns()) / NS_PER_S)

    def _outermost_ns(self) -> int:
        outermost = self
        while outermost._parent is not None:
            outermost = outermost._parent
        return outermost._mark().after_ns  # noqa: SLF001


def _step_s(windows: Sequence[WindowResult]) -> float | None:
    """The time of one step, where the inner windows are steps: at least ten of them, alike in length."""
    lengths_s = sorted(window.window_s for window in windows)
    if len(lengths_s) < _LEAST_STEPS:
        return None
    middle_s = lengths_s[len(lengths_s) // 2]
    alike = lengths_s[-1] - lengths_s[0] < _ALIKE_RATIO * middle_s
    return middle_s if alike else None
