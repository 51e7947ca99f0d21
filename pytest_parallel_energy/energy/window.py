"""A window: the time between two snapshots, and the energy in it."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Protocol, Self

from ..errors import ParallelEnergyError
from ..records.energy_values import DomainEnergy, Quality, WindowResult
from ..units import NS_PER_S
from .assemble import Measurement
from .frameworks import Waited, wait_for_gpus
from .ledger import Ledger, Snapshot
from .power_trace import TracePoint

__all__ = ["Window", "WindowOwner", "step_s"]


_open_here: ContextVar[Window | None] = ContextVar("open_window", default=None)
"""The window that was opened last in this context: threads and tasks do not see each other's."""
_LEAST_STEPS = 10
_ALIKE_RATIO = 0.2
"""Inner windows whose lengths differ by less are steps of one loop."""
_LONGEST_STEP_S = 1.0
"""Longer inner windows are epochs, which have steps of their own inside: a sensor may be in step with those."""


class WindowOwner(Protocol):
    """The part of a meter that a window uses."""

    @property
    def open_windows(self) -> list[Window]:
        """The windows that are open, oldest first."""
        ...

    def ledger(self) -> Ledger:
        """Return the open meter's account of readings."""
        ...

    def measurement(self, window: Window, ends: tuple[Snapshot, Snapshot]) -> Measurement:
        """Return the energy of a window between two snapshots."""
        ...


class Window:
    """One window of an ``EnergyMeter``. Made by ``begin`` and ``window``.

    While it is open the properties show the energy so far (each access reads the sensors); once it is closed they
    show the result. A window becomes part of the one that is open in its own context (thread, task); one of a thread
    that has none becomes part of the oldest open one.
    """

    __slots__ = (
        "_closed", "_context", "_edges", "_final", "_held", "_inner", "_measured", "_meter", "_opened", "_parent",
        "_sync", "devices", "name", "step_s", "waited",
    )  # fmt: skip

    def __init__(
        self,
        meter: WindowOwner,
        name: str,
        *,
        edges: bool = False,
        devices: str | None = None,
        sync: bool = True,
    ) -> None:
        self.name = name
        self.waited = Waited()
        """What was waited for on GPUs at the ends of the window."""
        self._sync = sync
        self.devices = devices
        """The GPUs that count, as ``CUDA_VISIBLE_DEVICES`` has them; ``None``: those of the outer window, or all."""
        self.step_s: float | None = None
        """Time of one training step, where the user knows it: it reveals a sensor that always sees the same part of a
        step. Without it, ten or more inner windows of like length, up to a second, are taken for steps."""
        self._edges = edges
        self._meter = meter
        self._parent: Window | None = None
        self._context: Window | None = None
        """The window that was open in the same context, of whichever meter."""
        self._inner: list[Window] = []
        self._opened: Snapshot | None = None
        self._held: Snapshot | None = None
        self._closed: Snapshot | None = None
        self._measured: Measurement | None = None
        self._final = False
        """Whether later readings cannot change the result: they can while a window around this one is open."""

    def open(self) -> Self:
        """Open the window now.

        Raises:
            ParallelEnergyError: the window was already opened.
        """
        if self._opened is not None:
            raise ParallelEnergyError(f"window {self.name!r} was already opened; create a new one")
        ledger = self._meter.ledger()
        self._wait()
        self._context = _open_here.get()
        self._parent = self._enclosing()
        if self.devices is None and self._parent is not None:
            self.devices = self._parent.devices
        self._meter.open_windows.append(self)
        _open_here.set(self)
        self._opened = ledger.begin(edges=self._edges)
        return self

    def hold(self) -> None:
        """Read the sensors for an end at this moment, which ``close(at_hold=True)`` takes. The window stays open.

        It serves a caller that only learns afterwards whether the work of the window was over.

        Raises:
            ParallelEnergyError: the window was never opened.
        """
        self._wait()
        self._held = self.opened.ledger.hold(edges=self._edges)

    def close(self, *, at_hold: bool = False) -> None:
        """Close the window; its result is computed at the first access. A second call does nothing.

        Args:
            at_hold: close it at the moment of the last :meth:`hold`, where there was one, instead of now.

        Raises:
            ParallelEnergyError: the window was never opened.
        """
        if self._closed is None:
            if not at_hold or self._held is None:
                self._wait()
            self._closed = self.opened.ledger.end(edges=self._edges, held=self._held if at_hold else None)
            self._meter.open_windows.remove(self)
            if _open_here.get() is self:
                _open_here.set(self._context)
            parent = self._parent
            while parent is not None and parent._closed is not None:  # noqa: SLF001 - a window too
                parent = parent._parent  # noqa: SLF001
            if parent is not None:
                parent._inner.append(self)  # noqa: SLF001

    def _wait(self) -> None:
        """Wait for the GPU work that this process has queued: it belongs to the time before."""
        found = wait_for_gpus() if self._sync else Waited()
        if found.frameworks or found.problems:
            self.waited = Waited(
                tuple(dict.fromkeys((*self.waited.frameworks, *found.frameworks))),
                tuple(dict.fromkeys((*self.waited.problems, *found.problems))),
            )

    def end(self, *, at_hold: bool = False) -> WindowResult:
        """Close the window and return its result; ``at_hold`` as for :meth:`close`.

        The next change of a counter may tell more about the end of the window: ``result`` then has a narrower interval.
        """
        self.close(at_hold=at_hold)
        return self.result

    def snapshot(self) -> WindowResult:
        """Return the energy up to now for an open window, the result of a closed one."""
        return self.measurement().energy

    def measurement(self) -> Measurement:
        """Return the energy with the power trace and the flags, up to now or up to the closing of the window.

        Raises:
            ParallelEnergyError: the window was never opened.
        """
        opened = self.opened
        if self._closed is None:
            return self._meter.measurement(self, (opened, opened.ledger.peek()))
        if self._measured is None or not self._final:
            self._final = self._outermost._closed is not None  # noqa: SLF001 - a window too
            self._measured = self._meter.measurement(self, (opened, self._closed))
            self._final |= self._measured.settled
        return self._measured

    @property
    def result(self) -> WindowResult:
        """The result of a closed window.

        Raises:
            ParallelEnergyError: the window is still open.
        """
        if self._closed is None:
            raise ParallelEnergyError(f"window {self.name!r} is still open: end it first, or take a snapshot()")
        return self.measurement().energy

    @property
    def flags(self) -> tuple[str, ...]:
        """Remarks that a reader of the numbers must know."""
        return self.measurement().flags

    @property
    def trace(self) -> tuple[TracePoint, ...]:
        """The power over time, one point per sampling period."""
        return self.measurement().trace

    @property
    def parent(self) -> Window | None:
        """The window that this one is a part of; ``None`` for an outermost one."""
        return self._parent

    @property
    def inner(self) -> tuple[Window, ...]:
        """The windows that were opened and closed inside this one, in order of closing."""
        return tuple(self._inner)

    @property
    def opened(self) -> Snapshot:
        """The snapshot that opened the window.

        Raises:
            ParallelEnergyError: the window was never opened.
        """
        if self._opened is None:
            raise ParallelEnergyError(f"window {self.name!r} was never opened")
        return self._opened

    @property
    def start_s(self) -> float:
        """Seconds from the opening of the outermost window to the opening of this one."""
        return (self.opened.after_ns - self._outermost.opened.after_ns) / NS_PER_S

    @property
    def _outermost(self) -> Window:
        window = self
        while window._parent is not None:
            window = window._parent
        return window

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
        return self.snapshot().window_s or 0.0

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

    def __repr__(self) -> str:
        if self._closed is None:  # a debugger shows this often: it must not read the sensors
            return f"<energy window {self.name!r}, {'open' if self._opened else 'not opened'}>"
        result = self.result
        energy = "energy unknown" if result.total_j is None else f"{result.total_j:.4g} ± {result.total_u95_j:.2g} J"
        return f"<energy window {self.name!r}: {energy} in {result.window_s:.4g} s, {result.quality}>"

    def _enclosing(self) -> Window | None:
        window = self._context
        while window is not None:
            if window._meter is self._meter and window._closed is None:  # noqa: SLF001 - a window too
                return window
            window = window._context  # noqa: SLF001
        opened = self._meter.open_windows[:1]
        return opened[0] if opened else None

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()


def step_s(windows: Sequence[WindowResult]) -> float | None:
    """Return the time of one step where the inner windows are steps: ten or more, alike, of at most a second."""
    lengths_s = sorted(window.window_s or 0.0 for window in windows)
    if len(lengths_s) < _LEAST_STEPS:
        return None
    middle_s = lengths_s[len(lengths_s) // 2]
    alike = lengths_s[-1] - lengths_s[0] < _ALIKE_RATIO * middle_s
    return middle_s if alike and middle_s <= _LONGEST_STEP_S else None
