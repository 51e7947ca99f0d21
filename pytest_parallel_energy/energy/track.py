"""The account of one sensor: readings in, joules since the start out, with every trap of counters handled.

Counters keep their integer unit and are summed as exact differences. Facts and sources:

- RAPL wraps at ``max_energy_range_uj`` (Linux ``Documentation/power/powercap/powercap.rst``); the modular difference is
  right only while less than one range went by, so a gap in which half a range could have gone by is refused.
- NVML's counter starts again when the driver is reloaded (nvml.h): a decrease is a reset, never a wrap.
- 0 ≤ dE/dt ≤ 1.2 × the power limit, else the value is rejected: AMD MI100 and Intel Arc counters are known to jump.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..units import NS_PER_S, format_joules, format_seconds
from .assumptions import COUNTER_UPDATE_S, LEAST_POWER_W, STUCK_UPDATES, USUAL_UPDATE_S
from .changes import ChangeLog
from .sensor import Reading, SensorDescription

__all__ = ["PLAUSIBLE_RATIO", "Account", "Track", "power_between"]

PLAUSIBLE_RATIO = 1.2
"""Above this multiple of the power limit a reading is rejected."""
_STUCK_LEAST_S = 1.0
_LONGEST_POWER_GAP_S = 3.0
"""Across a longer gap between two power readings (default period 1 s) the trapezoid is a guess: it is flagged."""


class Account(NamedTuple):
    """A track's totals at one moment; the difference of two is a window."""

    at_ns: int
    counts: int
    integral_j: float
    bridged_s: float
    """Seconds of the integral that were bridged across too long a gap."""
    samples: int
    errors: int
    wraps: int
    resets: int
    faults: int
    edges: int
    """Changes of the value that were seen."""
    power_sum_w: float
    power_squares_w2: float
    power_samples: int
    power_w: float | None
    """The last power reading; ``None`` without one."""
    problem: str | None
    """Why there is no reading at this moment."""
    last_fault: str | None
    last_error: str | None
    changes: ChangeLog
    """The values of the counter; the same object for all accounts of an outermost window."""


def power_between(opened: Account, closed: Account) -> tuple[int, float, float]:
    """Return number, mean and standard deviation (watts) of the power readings between two accounts."""
    samples = closed.power_samples - opened.power_samples
    if samples < 1:
        return 0, 0.0, 0.0
    mean_w = (closed.power_sum_w - opened.power_sum_w) / samples
    squares_w2 = (closed.power_squares_w2 - opened.power_squares_w2) / samples
    return samples, mean_w, math.sqrt(max(squares_w2 - mean_w**2, 0.0))


class Track:
    """Adds up one sensor's readings. Times are monotonic nanoseconds and must not decrease."""

    __slots__ = (
        "_bridged_s",
        "_changed_ns",
        "_changes",
        "_count",
        "_counts",
        "_edges",
        "_errors",
        "_faults",
        "_integral_j",
        "_last_error",
        "_last_fault",
        "_power",
        "_power_samples",
        "_power_squares_w2",
        "_power_sum_w",
        "_problem",
        "_read_ns",
        "_resets",
        "_samples",
        "_seen_ns",
        "_stuck_s",
        "_wraps",
        "description",
    )

    def __init__(self, description: SensorDescription) -> None:
        self.description = description
        self._last_error: str | None = None
        self._last_fault: str | None = None
        self._count: int | None = None
        self._power: tuple[int, float] | None = None
        self._problem: str | None = "not read yet"
        self._read_ns = self._changed_ns = self._seen_ns = 0
        self._counts = self._samples = self._errors = self._wraps = self._resets = self._faults = self._edges = 0
        self._power_samples = 0
        self._integral_j = self._bridged_s = self._power_sum_w = self._power_squares_w2 = 0.0
        self._stuck_s = _stuck_after_s(description)
        self._changes = ChangeLog()

    def feed(self, at_ns: int, reading: Reading) -> None:
        """Add one reading; a wrong one becomes a fault, never a number."""
        self._seen_ns = at_ns
        if self.description.joules_per_count is not None:
            problem = self._feed_count(at_ns, reading.counter)
            if problem is None:
                self._changes.note(at_ns, self._counts, self._faults)
            if problem is None and reading.power_w is not None:
                self._feed_power(at_ns, reading.power_w)
        else:
            problem = self._feed_power(at_ns, reading.power_w)
        if problem is None:
            self._samples += 1
            self._problem = None
        else:
            self._faults += 1
            self._last_fault = self._problem = problem

    def fail(self, at_ns: int, reason: str) -> None:
        """Note that a reading failed. A counter loses nothing by it, unless the window ends here."""
        self._seen_ns = at_ns
        self._errors += 1
        self._last_error = self._problem = reason

    def account(self) -> Account:
        """Return the totals after the last reading."""
        return Account(
            self._seen_ns, self._counts, self._integral_j, self._bridged_s, self._samples, self._errors,
            self._wraps, self._resets, self._faults, self._edges,
            self._power_sum_w, self._power_squares_w2, self._power_samples,
            None if self._power is None else self._power[1],
            self._problem, self._last_fault, self._last_error, self._changes,
        )  # fmt: skip

    @property
    def joules(self) -> float:
        """Joules since the first reading: the counter's, or the integral's where there is no counter."""
        per_count = self.description.joules_per_count
        return self._integral_j if per_count is None else self._counts * per_count

    @property
    def changes(self) -> ChangeLog:
        """The values of the counter since no window was open."""
        return self._changes

    @property
    def counts(self) -> int:
        """Counts since the first reading."""
        return self._counts

    @property
    def problem(self) -> str | None:
        """Why the last reading gave nothing, or ``None``."""
        return self._problem

    def restart(self) -> None:
        """Forget the last reading, so that the energy until the next one is not counted; totals stay."""
        self._count = None
        self._power = None
        self._problem = "not read yet"
        self._changes = ChangeLog()

    def _feed_count(self, at_ns: int, count: int | None) -> str | None:
        if count is None:
            return "the sensor gave no counter value"
        last, self._count = self._count, count
        last_ns, self._read_ns = self._read_ns, at_ns
        if count < 0:
            self._count = None
            return f"the counter is negative ({count})"
        limit = self.description.wraps_at_counts
        if limit is not None and count >= limit:
            self._count = None
            return f"the counter stands at {count}, above its range of {limit}"
        if last is None:
            self._changed_ns = at_ns
            return None
        if count == last:
            return self._unchanged(at_ns)
        problem = self._advance(count - last, (at_ns - last_ns) / NS_PER_S)
        self._changed_ns = at_ns
        return problem

    def _unchanged(self, at_ns: int) -> str | None:
        still_s = (at_ns - self._changed_ns) / NS_PER_S
        return f"the counter has not moved for {format_seconds(still_s)}" if still_s > self._stuck_s else None

    def _advance(self, step: int, gap_s: float) -> str | None:
        about = self.description
        wrapped = step < 0
        if wrapped and about.wraps_at_counts is None:
            self._resets += 1
            return "the counter went backwards: it was reset (a reloaded driver does that)"
        step += (about.wraps_at_counts or 0) if wrapped else 0
        problem = _implausible(about, step, gap_s)
        if problem is not None:
            return problem
        self._counts += step
        self._wraps += wrapped
        self._edges += 1
        return None

    def _feed_power(self, at_ns: int, power_w: float | None) -> str | None:
        about = self.description
        problem = None
        if power_w is None:
            problem = "the sensor gave no power value"
        elif not (math.isfinite(power_w) and power_w >= 0):
            problem = f"a power of {power_w} W is impossible"
        elif about.max_w is not None and power_w > PLAUSIBLE_RATIO * about.max_w:
            problem = f"a power of {power_w:.0f} W is above {PLAUSIBLE_RATIO} times the limit of {about.max_w:.0f} W"
        if problem is not None or power_w is None:
            self._power = None
            return problem
        self._power_samples += 1
        self._power_sum_w += power_w
        self._power_squares_w2 += power_w * power_w
        last, self._power = self._power, (at_ns, power_w)
        if last is not None:
            gap_s = (at_ns - last[0]) / NS_PER_S
            self._integral_j += (last[1] + power_w) / 2 * gap_s
            self._bridged_s += gap_s if gap_s > _LONGEST_POWER_GAP_S else 0.0
            if about.joules_per_count is None and power_w != last[1]:
                self._edges += 1
        return None


def _implausible(about: SensorDescription, step: int, gap_s: float) -> str | None:
    """Return why a step of the counter is implausible, or ``None``."""
    step_j = step * (about.joules_per_count or 0.0)
    if about.wraps_at_counts is not None:
        range_j = about.wraps_at_counts * (about.joules_per_count or 0.0)
        # without a limit the observed mean stands in: half a range in one gap may hide a whole one
        most_j = step_j if about.max_w is None else about.max_w * gap_s
        if most_j > range_j / 2:
            return f"{format_seconds(gap_s)} passed between two readings: the counter may have wrapped unseen"
    if about.max_w is None:
        return None
    # a counter that updates late delivers up to one interval more than the gap holds
    allowed_s = gap_s + (COUNTER_UPDATE_S if about.update_interval_s is None else about.update_interval_s)
    if step_j > PLAUSIBLE_RATIO * about.max_w * allowed_s + about.quantum_j:
        return (
            f"the counter jumped by {format_joules(step_j)} in {format_seconds(gap_s)}, "
            f"more than {PLAUSIBLE_RATIO} times its limit allows"
        )
    return None


def _stuck_after_s(about: SensorDescription) -> float:
    """Return the seconds after which a motionless counter is stuck: many updates, and time to fill its quantum."""
    update_s = USUAL_UPDATE_S if about.update_interval_s is None else about.update_interval_s
    return max(_STUCK_LEAST_S, STUCK_UPDATES * update_s, about.quantum_j / LEAST_POWER_W)
