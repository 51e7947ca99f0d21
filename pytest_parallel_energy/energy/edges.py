"""Waiting for counters to change, so that the error of a window does not depend on how lazily its sensor updates.

A window that opens and closes anywhere is off by up to U/T (update interval over length); one that is tied to changes
of the counter, polled every d, by d/T as long as the power is steady, whatever U is. At each end two changes are
awaited: the energy between them gives the power just outside the window. ``ends.py`` turns the changes into energy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..records.energy_values import Quality
from ..units import NS_PER_S
from .assumptions import COUNTER_UPDATE_S
from .sensor import Reading, SensorDescription
from .track import Track

__all__ = ["Probed", "seek_edges", "waits_for_edges"]

_LEAST_PAUSE_S = 20e-6
_MOST_PAUSE_S = 0.0025
_PAUSES_PER_UPDATE = 50
_PATIENCE_UPDATES = 3.5
"""Two edges take at most two intervals and their jitter."""
_LIKE_RATIO = 3.0
"""Sensors whose intervals differ by less are awaited together."""


class Probed(NamedTuple):
    """One sensor whose edges are sought. ``enter`` takes a reading in and must not raise."""

    track: Track
    read: Callable[[], Reading | str]
    enter: Callable[[int, Reading | str], None]


def waits_for_edges(about: SensorDescription) -> bool:
    """Return whether a sensor has edges to wait for: only counters of hardware do."""
    return about.joules_per_count is not None and about.quality in {Quality.COUNTER, Quality.APPORTIONED}


def seek_edges(
    probed: Sequence[Probed], *, opening: bool, clock_ns: Callable[[], int], sleep: Callable[[float], None]
) -> tuple[float | None, ...]:
    """Read until each counter has changed twice; return the update intervals, ``None`` for one that did not in time.

    Lazy sensors are awaited first when opening and last when closing, so that the quick ones stay close to the window.

    Args:
        probed: the sensors.
        opening: whether the window begins after this, or has just ended.
        clock_ns: monotonic nanoseconds.
        sleep: waits for so many seconds.
    """
    found: dict[int, float | None] = {}
    for group in _groups(probed, lazy_first=opening):
        changes_ns = _await_changes([probed[number] for number in group], clock_ns, sleep)
        for number, seen_ns in zip(group, changes_ns, strict=True):
            found[number] = (seen_ns[1] - seen_ns[0]) / NS_PER_S if len(seen_ns) > 1 else None
            probed[number].track.changes.interval_s = found[number]
    return tuple(found[number] for number in range(len(probed)))


def _groups(probed: Sequence[Probed], *, lazy_first: bool) -> list[list[int]]:
    order = sorted(range(len(probed)), key=lambda number: _update_s(probed[number]), reverse=lazy_first)
    groups: list[list[int]] = []
    for number in order:
        update_s = _update_s(probed[number])
        first_s = _update_s(probed[groups[-1][0]]) if groups else 0.0
        if groups and 1 / _LIKE_RATIO < update_s / first_s < _LIKE_RATIO:
            groups[-1].append(number)
        else:
            groups.append([number])
    return groups


def _update_s(probed: Probed) -> float:
    update_s = probed.track.description.update_interval_s
    return COUNTER_UPDATE_S if update_s is None else update_s


def _await_changes(
    group: Sequence[Probed], clock_ns: Callable[[], int], sleep: Callable[[float], None]
) -> list[list[int]]:
    """Poll a group until each counter has changed twice, or patience ends; return the times of the changes."""
    update_s = max(_update_s(sensor) for sensor in group)
    pause_s = min(max(min(_update_s(sensor) for sensor in group) / _PAUSES_PER_UPDATE, _LEAST_PAUSE_S), _MOST_PAUSE_S)
    deadline_ns = clock_ns() + round((_PATIENCE_UPDATES * update_s + _MOST_PAUSE_S) * NS_PER_S)
    changes_ns: list[list[int]] = [[] for _ in group]
    seen_ns = [_poll(sensor, clock_ns)[0] for sensor in group]
    while any(len(seen) < 2 for seen in changes_ns) and clock_ns() < deadline_ns:  # noqa: PLR2004 - two edges
        sleep(pause_s)
        for number, sensor in enumerate(group):
            if len(changes_ns[number]) < 2:  # noqa: PLR2004 - two edges
                at_ns, moved = _poll(sensor, clock_ns)
                if moved:
                    # a poll that came late may have missed changes: the last one is not older than one interval
                    doubt_ns = min(at_ns - seen_ns[number], round(_update_s(sensor) * NS_PER_S))
                    changes_ns[number].append(at_ns - doubt_ns // 2)
                seen_ns[number] = at_ns
    return changes_ns


def _poll(sensor: Probed, clock_ns: Callable[[], int]) -> tuple[int, bool]:
    """Read once; return the time in the middle of the reading, and whether the counter moved."""
    before_ns = clock_ns()
    reading = sensor.read()
    at_ns = (before_ns + clock_ns()) // 2
    counts = sensor.track.counts
    sensor.enter(at_ns, reading)
    return at_ns, sensor.track.counts != counts
