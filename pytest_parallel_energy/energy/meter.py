"""The meter: opens the sensors, samples them slowly, and gives out windows.

>>> with EnergyMeter("estimate") as meter:
...     with meter.window("warm-up") as window:
...         pass
>>> window.result.name
'warm-up'
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from ..errors import ParallelEnergyError
from ..records.energy_values import Quality
from ..units import NS_PER_S
from .assemble import Measurement, Span, assemble
from .boundary import Layout, layout_of
from .column import Ends, SensorWindow
from .ledger import Ledger, Snapshot
from .sampler import Sampler
from .sensor import Sensor
from .sensors.probe import Probe, Refusal, probe_sensors
from .window import Window, step_s

if TYPE_CHECKING:
    from .gpu_share import Polled
    from .idle import IdleLeg

__all__ = ["EnergyMeter"]

_Item = TypeVar("_Item")
_IDLE_SAMPLE_S = 0.2
"""Two hundred updates of RAPL, and 25 samples in the default idle leg."""


class EnergyMeter:
    """Measures the energy of windows of time. Opening is lazy: a meter that is never used opens nothing.

    Windows may be opened and closed from any thread. The sampler is one daemon thread (and a second one for part-time
    sensors), which reads only while a window is open; a forked child must open a meter of its own.

    Args:
        sensors: ``"auto"``, names such as ``"powercap,nvml"`` in order of preference, or sensor objects, which the
            meter then owns and closes.
        sysfs_root: root of the powercap and perf trees.
        interval_s: sampling period, seconds, more than 0 and at most 30: a RAPL counter may wrap twice in a longer one.
        clock_ns: monotonic nanoseconds.
        sleep: waits for so many seconds.

    Raises:
        ConfigError: on opening: a sensor name that does not exist.
        ParallelEnergyError: an interval outside its range.
    """

    def __init__(
        self,
        sensors: str | Sequence[str] | Sequence[Sensor] = "auto",
        *,
        sysfs_root: Path = Path("/sys"),
        interval_s: float = 1.0,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not 0 < interval_s <= 30:  # noqa: PLR2004 - the 30 s rule of the docstring
            raise ParallelEnergyError(f"a sampling period of {interval_s} s is outside 0 (not included) to 30 s")
        self._wanted = sensors
        self._sysfs_root = sysfs_root
        self._interval_s = interval_s
        self._clock_ns = clock_ns
        self._sleep = sleep
        self._lock = threading.RLock()
        self._ledger: Ledger | None = None
        self._sampler: Sampler | None = None
        self._glancer: Sampler | None = None
        """Reads the part-time sensors twice per update: what they see of a load is a sample of it."""
        self._refused: tuple[Refusal, ...] = ()
        self.idle: IdleLeg | None = None
        """The idle leg, once ``measure_idle`` was called: windows then report their energy above idle."""
        self.watch: Polled | None = None
        """Follows CPU time and GPU use by process; polled with every sample while it is set."""
        self.open_windows: list[Window] = []
        """The windows that are open, oldest first."""

    def open(self) -> Self:
        """Open the sensors and start sampling; an open meter is left as it is."""
        self._open_ledger()
        return self

    def close(self) -> None:
        """Stop sampling and close the sensors; results that were taken stay. A second call does nothing."""
        with self._lock:
            samplers, self._sampler, self._glancer = (self._sampler, self._glancer), None, None
            ledger, self._ledger = self._ledger, None
        for sampler in samplers:
            if sampler is not None:
                sampler.stop()
        if ledger is not None:
            ledger.close()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._ledger is None:
            return "<energy meter, not open>"
        names = ", ".join(sensor.description.name for sensor in self.sensors) or "no sensor"
        return f"<energy meter of {names}; open windows: {len(self.open_windows)}>"

    @property
    def sensors(self) -> tuple[Sensor, ...]:
        """The sensors that are read; empty before opening and where there are none."""
        return () if self._ledger is None else self._ledger.sensors

    @property
    def clock_ns(self) -> Callable[[], int]:
        """The clock of the windows: monotonic nanoseconds."""
        return self._clock_ns

    @property
    def refused(self) -> tuple[Refusal, ...]:
        """The back ends that cannot run here, each with the reason and the remedy."""
        return self._refused

    def begin(self, name: str = "window", *, edges: bool = False, devices: str | None = None) -> Window:
        """Open the meter if need be, and a window now. Close it with ``end()``.

        Args:
            name: name of the window in results.
            edges: wait at both ends until the counters change: milliseconds for RAPL, up to half a second for a GPU,
                and the error no longer depends on how lazily they update.
            devices: the GPUs that count in this window and its parts, as ``CUDA_VISIBLE_DEVICES`` writes them in PCI
                order; the others are shown and not added. ``None`` counts all.

        Raises:
            ConfigError: a device that is not measured here.
        """
        layout_of(self.ledger().descriptions, devices)  # refuse an unknown device before anything is measured
        return Window(self, name, edges=edges, devices=devices).open()

    def window(self, name: str = "window", *, edges: bool = False, sync: bool = True) -> Window:
        """Return a window as a context manager: it opens on entering and closes on leaving, then has a ``result``.

        Args:
            name: name of the window in results.
            edges: as for :meth:`begin`.
            sync: wait at both ends for the GPU work that PyTorch, JAX or CuPy have queued in this process.
        """
        return Window(self, name, edges=edges, sync=sync)

    def windows(self, name: str, items: Iterable[_Item]) -> Iterator[_Item]:
        """Measure each round of a loop in a window of its own: ``for epoch in meter.windows("epoch", range(5)): …``.

        The windows are called ``epoch 1``, ``epoch 2``, …; a window that is open meanwhile has them as its parts.
        """
        from .loops import each_in_window

        return each_in_window(self.window, name, items)

    def measure_idle(self, seconds: float = 5.0, *, busy_s: Callable[[], float | None] | None = None) -> IdleLeg:
        """Measure the power of the idle machine, and keep it for the windows that follow. Blocks for ``seconds``.

        Args:
            seconds: length of the leg, more than 0.
            busy_s: gives the machine's CPU seconds so far; by default those of ``/proc/stat``.

        Sensors whose noise reveals energy filtering lose their quality ``counter`` from here on.
        """
        from .idle import BusyMeter, busy_or_none, filtering_words, idle_leg

        busy = BusyMeter(
            os.cpu_count() or 1, clock_s=lambda: self._clock_ns() / NS_PER_S, busy_s=busy_s or busy_or_none
        )
        window = self.begin("idle", edges=True)
        pause_s = min(_IDLE_SAMPLE_S, seconds / 10)
        for _ in range(round(seconds / pause_s)):
            self._sleep(pause_s)
            self.sample()
        window.close()
        self.idle = idle_leg(window.measurement(), busy.ratio())
        for name in self.idle.filtered:
            note = f"{name}: {filtering_words(self.idle.cv_ratio[name])}"
            self.ledger().downgrade(name, Quality.INTEGRATED, note)
        return self.idle

    def mean_power_w(self, seconds: float) -> float | None:
        """Return the mean power of the boundary over the next ``seconds``, watts; ``None`` when unknown. Blocks."""
        window = self.begin("power")
        self.pause(seconds)
        return window.end().mean_w

    def pause(self, seconds: float) -> None:
        """Let time pass on the meter's clock. Blocks."""
        self._sleep(seconds)

    def sample(self) -> None:
        """Read every sensor once, if a window is open. The sampler calls this; a test with its own clock may."""
        started_ns = time.thread_time_ns()
        ledger = self._ledger
        if ledger is not None:
            ledger.tick(started_ns)
        if self.watch is not None:
            self.watch.poll()

    def _glance(self) -> None:
        started_ns = time.thread_time_ns()
        if self._ledger is not None:
            self._ledger.glance(started_ns)

    def ledger(self) -> Ledger:
        """Return the open meter's account of readings (windows use it)."""
        return self._ledger or self._open_ledger()

    def measurement(self, window: Window, ends: tuple[Snapshot, Snapshot]) -> Measurement:
        """Return the energy of a window between two snapshots of one ledger (windows call it)."""
        opened, closed = ends
        ledger, trace = opened.ledger, opened.trace
        layout = ledger.layout if window.devices is None else layout_of(ledger.descriptions, window.devices)
        ends_ns = (opened.after_ns, closed.before_ns)
        measured = tuple(each.measurement() for each in window.inner)
        inner = tuple(each.energy for each in measured)
        return assemble(
            Span(
                name=window.name,
                start_s=window.start_s,
                opened_ns=ends_ns[0],
                closed_ns=ends_ns[1],
                columns=_columns(ledger, ends, window.step_s or step_s(inner)),
                layout=layout,
                trace=trace.points(*ends_ns),
                windows=inner,
                inner=window.parent is not None,
                settled_inside=all(each.settled for each in measured),
                idle_w=_idle_w(self.idle, ledger, layout),
                flags=(*window.waited.problems, *(closed.device_flags if ledger.sensors else self._why_nothing())),
                synchronised=window.waited.frameworks,
                sampler_cpu_s=trace.cpu_s(*ends_ns),
                max_gap_s=trace.max_gap_s(*ends_ns),
            )
        )

    def _open_ledger(self) -> Ledger:
        with self._lock:
            if self._ledger is None:
                found = self._find()
                self._refused = found.refused
                self._ledger = Ledger(found.found, clock_ns=self._clock_ns, sleep=self._sleep)
                # a virtual clock is advanced by its owner, who samples too
                if self._clock_ns is time.monotonic_ns:
                    self._sampler = Sampler(self.sample, interval_s=self._interval_s)
                    self._sampler.start()
                    if self._ledger.glance_s is not None and self._ledger.glance_s < self._interval_s:
                        self._glancer = Sampler(self._glance, interval_s=self._ledger.glance_s)
                        self._glancer.start()
            return self._ledger

    def _find(self) -> Probe:
        if isinstance(self._wanted, str):
            return probe_sensors(tuple(self._wanted.split(",")), sysfs_root=self._sysfs_root)
        names = tuple(each for each in self._wanted if isinstance(each, str))
        objects = tuple(each for each in self._wanted if not isinstance(each, str))
        if names:
            return probe_sensors(names, sysfs_root=self._sysfs_root)
        return Probe(found=objects, refused=())

    def _why_nothing(self) -> tuple[str, ...]:
        return ("no energy sensor was found", *(f"{each.name}: {each.reason}" for each in self._refused))


def _idle_w(idle: IdleLeg | None, ledger: Ledger, layout: Layout) -> float | None:
    """Return the idle power of the domains that count; ``None`` where it was not measured or a part is unknown."""
    if idle is None or not any(layout.excluded):
        return None if idle is None else idle.mean_w
    names = [about.name for about, counts in zip(ledger.descriptions, layout.counted, strict=True) if counts]
    known = [idle.domains_w[name] for name in names if name in idle.domains_w]
    return sum(known) if known and len(known) == len(names) else None


def _columns(ledger: Ledger, ends: tuple[Snapshot, Snapshot], step_s: float | None) -> tuple[SensorWindow, ...]:
    opened, closed = ends
    nothing = (None,) * len(ledger.sensors)
    rows = zip(
        ledger.descriptions,
        ledger.accounts(opened),
        ledger.accounts(closed),
        zip(opened.edges or nothing, closed.edges or nothing, strict=True),
        strict=True,
    )
    window = Ends(
        opened_ns=opened.after_ns,
        closed_ns=closed.before_ns,
        read_s=(opened.after_ns - opened.before_ns + closed.after_ns - closed.before_ns) / NS_PER_S,
        wanted_edges=bool(opened.edges),
        step_s=step_s,
    )
    return tuple(SensorWindow(about, window, first, last, intervals_s) for about, first, last, intervals_s in rows)
