"""All readings of one meter in order, and the accounts that follow from them.

Opening or closing a window costs the bare readings and one list entry: they enter the tracks when a result
is computed, or at the next tick of the sampler.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..errors import ParallelEnergyError
from ..records.energy_values import Quality
from .boundary import layout_of
from .edges import Probed, seek_edges, waits_for_edges
from .part_time import is_part_time
from .power_trace import PowerTrace
from .sensor import Reading, Sensor, SensorDescription
from .track import Account, Track

__all__ = ["Ledger", "Snapshot"]


class Snapshot:
    """One moment at which every sensor was read."""

    __slots__ = ("accounts", "after_ns", "before_ns", "device_flags", "edges", "fresh", "ledger", "readings", "trace")

    def __init__(self, ledger: Ledger, trace: PowerTrace, *, fresh: bool) -> None:
        self.ledger = ledger
        self.trace = trace
        self.fresh = fresh
        """No window was open before this snapshot, so energy since the last reading is not attributed."""
        self.edges: tuple[float | None, ...] = ()
        """The update interval of each sensor, seen where this snapshot waited for edges; ``None`` without an edge."""
        self.device_flags: tuple[str, ...] = ()
        """Remarks of the devices, read when a window that waits for edges closed."""
        self.readings: list[Reading | str] = []
        self.accounts: tuple[Account, ...] | None = None

    before_ns: int
    """When the first sensor was about to be read."""
    after_ns: int
    """When the last one had been read."""


class Ledger:
    """Reads sensors and keeps their accounts. Every method may be called from any thread."""

    def __init__(
        self, sensors: Sequence[Sensor], *, clock_ns: Callable[[], int], sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.sensors = tuple(sensors)
        self.descriptions: tuple[SensorDescription, ...] = tuple(sensor.description for sensor in self.sensors)
        _refuse_twins(self.descriptions)
        self.layout = layout_of(self.descriptions)
        self._edge_columns = self._columns_with_edges()
        self._tracks = tuple(Track(about) for about in self.descriptions)
        self._reads = tuple(sensor.read for sensor in self.sensors)
        self._clock_ns = clock_ns
        self._sleep = sleep
        self._lock = threading.RLock()
        self._pending: list[Snapshot] = []
        self._open = 0
        self._trace = PowerTrace(len(self._tracks))
        self._row: tuple[int, list[float]] = (0, [])
        self._part_time_columns = tuple(
            column for column, about in enumerate(self.descriptions) if is_part_time(about) and about.update_interval_s
        )
        self._glance_cpu_ns = 0

    @property
    def glance_s(self) -> float | None:
        """Seconds between two readings that see every update of the part-time sensors; ``None`` without any."""
        intervals_s = [self.descriptions[column].update_interval_s or 0.0 for column in self._part_time_columns]
        return min(intervals_s) / 2 if intervals_s else None

    def downgrade(self, name: str, quality: Quality, note: str) -> None:
        """Lower the quality of a sensor's windows from now on, with a note that says why."""
        self.descriptions = tuple(
            replace(about, quality=max(about.quality, quality, key=Quality.rank), notes=(*about.notes, note))
            if about.name == name
            else about
            for about in self.descriptions
        )
        self.layout = layout_of(self.descriptions)
        self._edge_columns = self._columns_with_edges()

    def begin(self, *, edges: bool = False) -> Snapshot:
        """Read every sensor for a window that opens; ``edges``: wait until the counters have just changed."""
        with self._lock:
            fresh = self._open == 0
            self._open += 1
            if fresh and self._trace:
                self._trace = PowerTrace(len(self._tracks))
            mark = self._read(fresh=fresh)
            if edges and self._edge_columns:
                found = self._seek(opening=True)
                mark = self._read(fresh=False)
                mark.edges = found
                self._row = (mark.after_ns, [track.joules for track in self._tracks])
            return mark

    def end(self, *, edges: bool = False, held: Snapshot | None = None) -> Snapshot:
        """Close a window now, or at a snapshot of :meth:`hold`, and return the snapshot of its end.

        Args:
            edges: wait until the counters change, after the readings.
            held: the end that was taken earlier; nothing is read then.
        """
        with self._lock:
            mark = held or self.hold(edges=edges)
            self._open -= 1
            return mark

    def hold(self, *, edges: bool = False) -> Snapshot:
        """Read every sensor for a window that may close now or later; ``edges``: then wait for the counters."""
        with self._lock:
            mark = self._read(fresh=False)
            if edges and self._edge_columns:
                mark.edges = self._seek(opening=False)
            if edges:
                mark.device_flags = self._device_flags()
            return mark

    def peek(self) -> Snapshot:
        """Read every sensor in the middle of a window."""
        with self._lock:
            return self._read(fresh=False)

    def tick(self, cpu_started_ns: int) -> None:
        """Read every sensor and add a row to the trace, if a window is open.

        Args:
            cpu_started_ns: ``time.thread_time_ns()`` when the tick began; its cost goes into the trace.
        """
        with self._lock:
            if not self._open:
                return
            mark = self._read(fresh=False)
            self._settle()
            self._add_row(mark.after_ns, cpu_started_ns)

    def glance(self, cpu_started_ns: int) -> None:
        """Read the part-time sensors alone, if a window is open; the cost goes into the next row of the trace."""
        with self._lock:
            if not self._open:
                return
            self._settle()
            for column in self._part_time_columns:
                probed = _probed(self._tracks[column], self._reads[column])
                before_ns = self._clock_ns()
                reading = probed.read()
                probed.enter((before_ns + self._clock_ns()) // 2, reading)
            self._glance_cpu_ns += time.thread_time_ns() - cpu_started_ns

    def accounts(self, mark: Snapshot) -> tuple[Account, ...]:
        """Return the accounts of all sensors at a snapshot."""
        if mark.accounts is None:
            with self._lock:
                self._settle()
        return mark.accounts or ()

    def close(self) -> None:
        """Close every sensor; one that raises does not keep the others open."""
        with self._lock:
            self._settle()
            errors = []
            for sensor in self.sensors:
                try:
                    sensor.close()
                except Exception as error:  # noqa: BLE001 - a third party's; reported below, after the others
                    errors.append(f"{sensor.description.name}: {error}")
        if errors:
            raise ParallelEnergyError(f"closing sensors failed: {'; '.join(errors)}")

    def _read(self, *, fresh: bool) -> Snapshot:
        mark = Snapshot(self, self._trace, fresh=fresh)
        readings = mark.readings
        mark.before_ns = self._clock_ns()
        for read in self._reads:
            try:
                readings.append(read())
            except Exception as error:  # noqa: BLE001 - a third party's sensor may raise anything; the test goes on
                readings.append(_words(error))
        mark.after_ns = self._clock_ns()
        self._pending.append(mark)
        return mark

    def _device_flags(self) -> tuple[str, ...]:
        if not any(hasattr(sensor, "observe") for sensor in self.sensors):
            return ()
        from .devices import device_flags

        return device_flags(self.sensors)

    def _seek(self, *, opening: bool) -> tuple[float | None, ...]:
        """Wait for the edges of every counter and return the intervals; ``None`` for sensors that have none."""
        self._settle()
        columns = self._edge_columns
        probed = [_probed(self._tracks[column], self._reads[column]) for column in columns]
        edges = seek_edges(probed, opening=opening, clock_ns=self._clock_ns, sleep=self._sleep)
        found = dict(zip(columns, edges, strict=True))
        return tuple(found.get(column) for column in range(len(self._tracks)))

    def _columns_with_edges(self) -> tuple[int, ...]:
        return tuple(column for column, about in enumerate(self.descriptions) if waits_for_edges(about))

    def _settle(self) -> None:
        """Enter the pending readings into the tracks, oldest first."""
        pending, self._pending = self._pending, []
        for mark in pending:
            at_ns = (mark.before_ns + mark.after_ns) // 2
            for track, reading in zip(self._tracks, mark.readings, strict=True):
                if mark.fresh:
                    track.restart()
                _enter(track, at_ns, reading)
            mark.accounts = tuple(track.account() for track in self._tracks)
            if mark.fresh:
                self._row = (mark.after_ns, [track.joules for track in self._tracks])

    def _add_row(self, at_ns: int, cpu_started_ns: int) -> None:
        from_ns, before_j = self._row
        now_j = [track.joules for track in self._tracks]
        span_s = (at_ns - from_ns) / 1e9
        if span_s > 0:
            watts = [
                None if track.problem else (now - before) / span_s
                for track, now, before in zip(self._tracks, now_j, before_j, strict=True)
            ]
            glance_cpu_ns, self._glance_cpu_ns = self._glance_cpu_ns, 0
            self._trace.add(from_ns, at_ns, time.thread_time_ns() - cpu_started_ns + glance_cpu_ns, watts)
        self._row = (at_ns, now_j)


def _probed(track: Track, read: Callable[[], Reading]) -> Probed:
    def read_or_reason() -> Reading | str:
        try:
            return read()
        except Exception as error:  # noqa: BLE001 - as in Ledger._read
            return _words(error)

    return Probed(track=track, read=read_or_reason, enter=lambda at_ns, reading: _enter(track, at_ns, reading))


def _enter(track: Track, at_ns: int, reading: Reading | str) -> None:
    if isinstance(reading, str):
        track.fail(at_ns, reading)
        return
    try:
        track.feed(at_ns, reading)
    except (TypeError, ValueError, AttributeError) as error:  # a third party's sensor may return anything
        track.fail(at_ns, f"the sensor returned no usable reading: {error}")


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def _refuse_twins(descriptions: Sequence[SensorDescription]) -> None:
    names = [about.name for about in descriptions]
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise ParallelEnergyError(f"two sensors have the name {twins[0]!r}: names are unique within a meter")
