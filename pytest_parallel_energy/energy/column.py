"""One sensor in one window: the joules with their uncertainty and flags, or the reason why there are none."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from ..records.energy_values import Quality
from ..units import NS_PER_S, format_seconds
from .assumptions import LEAST_POWER_W, SLOWEST_UPDATE_S, STILL_UPDATES
from .edges import Edge, waits_for_edges
from .sensor import SensorDescription
from .track import Account
from .uncertainty import (
    LEAST_COVERAGE_RATIO,
    ErrorBudget,
    Power,
    WindowEnds,
    budget,
    step_coverage_ratio,
)

__all__ = ["SensorWindow"]

_SHORT_RATIO = 0.01
"""A window whose ends are known worse than this share of its length is flagged."""
_OUTSIDE_SHARE = 0.1
"""The power just outside a window comes from one update interval: a tenth of its energy counts as uncertain."""
_CROSS_CHECK_RATIO = 0.05
_CROSS_CHECK_LEAST = 10
"""Counter and integral agree within 1 % (Zeus issue 12), and were seen 1.7 times apart (181): flagged above 5 %."""
_INTERVAL_OFF_RATIO = 1.5
_INTERVAL_MATTERS_S = 0.005
"""The interval of a quicker counter is not reported."""


class SensorWindow(NamedTuple):
    """The readings of one sensor in one window."""

    about: SensorDescription
    opened_ns: int
    closed_ns: int
    read_s: float
    """Seconds that reading all sensors took: the ends are blurred by it."""
    opened: Account
    closed: Account
    open_edge: Edge | None = None
    close_edge: Edge | None = None
    wanted_edges: bool = False
    step_s: float | None = None
    """Time of one step of a load that repeats, where it is known."""

    @property
    def window_s(self) -> float:
        """Length of the window."""
        return (self.closed_ns - self.opened_ns) / NS_PER_S

    @property
    def edges(self) -> tuple[Edge, Edge] | None:
        """The edges that the window can be tied to: both found, and no fault next to them."""
        first, last = self.open_edge, self.close_edge
        if first is None or last is None:
            return None
        sound = first.account.faults == self.opened.faults and last.account.faults == self.closed.faults
        return (first, last) if sound else None

    @property
    def update_s(self) -> float | None:
        """The update interval as measured at the window's edges, else as described; ``None`` when neither is known."""
        if self.edges is None:
            return self.about.update_interval_s
        return (self.edges[0].interval_s + self.edges[1].interval_s) / 2

    @property
    def reason(self) -> str | None:
        """The reason why there is no number, or ``None``."""
        about, opened, closed = self.about, self.opened, self.closed
        if opened.problem is not None:
            return f"no reading when the window opened: {opened.problem}"
        if closed.faults != opened.faults:
            return closed.last_fault
        if closed.problem is not None:
            return f"no reading when the window closed: {closed.problem}"
        if about.joules_per_count is None:
            return None if closed.power_samples > opened.power_samples else "no power reading inside the window"
        patience_s = max(STILL_UPDATES * self._assumed_s, about.quantum_j / LEAST_POWER_W)
        if closed.counts == opened.counts and self.window_s > patience_s:
            return f"the counter did not move in {format_seconds(self.window_s)}"
        return None

    @property
    def joules(self) -> float:
        """Joules of the window; never negative, because a counter does not fall without a fault."""
        per_count = self.about.joules_per_count
        if per_count is None:
            return self.closed.integral_j - self.opened.integral_j
        if self.edges is None:
            return (self.closed.counts - self.opened.counts) * per_count
        first, last = self.edges
        between_j = (last.account.counts - first.account.counts) * per_count
        return max(0.0, between_j - self._outside_j)

    @property
    def budget(self) -> ErrorBudget:
        """The parts of the uncertainty."""
        ends = WindowEnds(
            window_s=self.window_s,
            blur_s=self._blur_s,
            outside_j=0.0 if self.edges is None else _OUTSIDE_SHARE * self._outside_j,
            unseen_ratio=1.0 - self.coverage_ratio,
        )
        return budget(self.about, ends, self.power)

    @property
    def power(self) -> Power:
        """Mean and spread of the power."""
        opened, closed = self.opened, self.closed
        samples = closed.power_samples - opened.power_samples
        sigma_w = 0.0
        if samples > 1:
            mean_w = (closed.power_sum_w - opened.power_sum_w) / samples
            squares_w2 = (closed.power_squares_w2 - opened.power_squares_w2) / samples
            sigma_w = math.sqrt(max(squares_w2 - mean_w**2, 0.0))
        mean_w = self.joules / self.window_s if self.window_s > 0 else 0.0
        return Power(mean_w=mean_w, sigma_w=sigma_w, samples=samples)

    @property
    def coverage_ratio(self) -> float:
        """Share of a repeating step that the sensor sees; 1 where no step time or no part-time sensor is known."""
        if self.step_s is None or self.about.averaging_s is None or self.window_s <= 0:
            return 1.0
        return step_coverage_ratio(
            update_s=self._assumed_s, averaging_s=self.about.averaging_s, step_s=self.step_s, window_s=self.window_s
        )

    def flags(self) -> Iterator[str]:
        """Yield the remarks that a reader of an available number must know."""
        yield from self._reading_flags()
        yield from self._ending_flags()
        if self.coverage_ratio < LEAST_COVERAGE_RATIO:
            seen = f"{self.coverage_ratio:.0%} of a step of {format_seconds(self.step_s)}"
            yield (
                f"aliased: {self.about.name} sees {seen}; "
                "shift the phase of the steps (four to eight delays of a part of a step) and average"
            )
        yield from self._cross_check()

    @property
    def _assumed_s(self) -> float:
        return SLOWEST_UPDATE_S if self.update_s is None else self.update_s

    @property
    def _blur_s(self) -> float:
        if self.edges is not None:
            return self.edges[0].blur_s + self.edges[1].blur_s
        # an averaged power lags by its averaging time as well: bias (W + U)/2T of the step at an end
        averaging_s = 0.0 if self.about.joules_per_count is not None else self.about.averaging_s or 0.0
        return self._assumed_s + averaging_s + self.read_s

    @property
    def _outside_j(self) -> float:
        """Energy between the edges that lies outside the window."""
        if self.edges is None:
            return 0.0
        first, last = self.edges
        head_s = (self.opened_ns - first.at_ns) / NS_PER_S
        tail_s = (last.at_ns - self.closed_ns) / NS_PER_S
        return first.outside_w * head_s + last.outside_w * tail_s

    def _reading_flags(self) -> Iterator[str]:
        name = self.about.name
        errors = self.closed.errors - self.opened.errors
        if errors:
            tries = errors + self.closed.samples - self.opened.samples
            yield f"{errors} of {tries} readings of {name} failed: {self.closed.last_error}"
        bridged_s = self.closed.bridged_s - self.opened.bridged_s
        if bridged_s > 0 and self.about.joules_per_count is None:
            whole = format_seconds(self.window_s)
            yield f"{name}: {format_seconds(bridged_s)} of {whole} had no power reading and are bridged"

    def _ending_flags(self) -> Iterator[str]:
        name, said_s, measured_s = self.about.name, self.about.update_interval_s, self.update_s
        if self.wanted_edges and self.edges is None and waits_for_edges(self.about):
            yield f"{name}: no counter edge was found at an end of the window, which may be off by an update interval"
        if (
            said_s is not None
            and measured_s is not None
            and measured_s > max(_INTERVAL_MATTERS_S, _INTERVAL_OFF_RATIO * said_s)
        ):
            yield f"{name} updates every {format_seconds(measured_s)}, not every {format_seconds(said_s)}"
        if self._blur_s > _SHORT_RATIO * self.window_s and self.about.quality is not Quality.ESTIMATED:
            percent = min(100.0, 100 * self._blur_s / self.window_s) if self.window_s > 0 else 100.0
            yield (
                f"{name}: a window of {format_seconds(self.window_s)} is short: its ends are known to "
                f"{format_seconds(self._blur_s)}, up to {percent:.2g} % off"
            )

    def _cross_check(self) -> Iterator[str]:
        """Compare the counter with the integrated power where a sensor gives both, often enough and without holes."""
        opened, closed, power = self.opened, self.closed, self.power
        if self.about.joules_per_count is None or power.samples < _CROSS_CHECK_LEAST or self.joules <= 0:
            return
        if closed.bridged_s > opened.bridged_s:
            return
        ratio = (closed.integral_j - opened.integral_j) / self.joules
        # the integral itself is a sample: an error within its own scatter is not a finding
        chance_ratio = 2 * power.sigma_w / max(power.mean_w, 1e-9) / math.sqrt(power.samples)
        if abs(ratio - 1) > _CROSS_CHECK_RATIO + chance_ratio:
            yield f"{self.about.name}: integrated power is {ratio:.2f} times the counter's energy; one of them is wrong"
