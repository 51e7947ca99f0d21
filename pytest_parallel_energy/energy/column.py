"""One sensor in one window: the joules with their uncertainty and flags, or the reason why there are none."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from ..records.energy_values import Quality
from ..units import NS_PER_S, format_joules, format_seconds
from .assumptions import LEAST_POWER_W, SLOWEST_UPDATE_S, STILL_UPDATES
from .edges import waits_for_edges
from .ends import CounterEnds, CounterWindow
from .part_time import HIDDEN_DOWN_RATIO, Sight, is_part_time, sight_of, sight_of_spread, step_coverage_ratio
from .sensor import SensorDescription
from .track import Account, power_between
from .uncertainty import ErrorBudget, WindowErrors, budget

__all__ = ["Ends", "SensorWindow"]

_SHORT_RATIO = 0.01
"""A window whose ends leave more than this share of its energy open is flagged …"""
_MATTERS_RATIO = 0.5
"""… and more than this share of the rest of its uncertainty: less would widen the interval by 12 % at most."""
_CROSS_CHECK_RATIO = 0.05
_CROSS_CHECK_LEAST = 10
"""Counter and integral agree within 1 % (Zeus issue 12), and were seen 1.7 times apart (181): flagged above 5 %."""
_FEW_THREADS_RATIO = 0.1
_INTERVAL_OFF_RATIO = 1.5
_INTERVAL_MATTERS_S = 0.005
"""The interval of a quicker counter is not reported."""


class Ends(NamedTuple):
    """The two ends of a window as its meter saw them."""

    opened_ns: int
    closed_ns: int
    read_s: float
    """Seconds that reading all sensors took: the ends are blurred by it."""
    wanted_edges: bool = False
    """Whether the meter waited for changes of the counters."""
    step_s: float | None = None
    """Time of one step of a load that repeats, where it is known."""

    @property
    def window_s(self) -> float:
        """Length of the window."""
        return (self.closed_ns - self.opened_ns) / NS_PER_S


class SensorWindow:
    """The readings of one sensor in one window, and the energy that follows from them.

    Args:
        about: the sensor.
        ends: the window.
        opened: the sensor's account when the window opened.
        closed: the sensor's account when it closed.
        intervals_s: the update intervals that were seen while the meter waited for the two edges.
    """

    def __init__(
        self,
        about: SensorDescription,
        ends: Ends,
        opened: Account,
        closed: Account,
        intervals_s: tuple[float | None, float | None] = (None, None),
    ) -> None:
        self.about = about
        self.ends = ends
        self.opened = opened
        self.closed = closed
        found_s = [interval_s for interval_s in intervals_s if interval_s is not None]
        self._has_edges = len(found_s) == len(intervals_s)
        self.update_s: float | None = sum(found_s) / len(found_s) if self._has_edges else self._usual_update_s()
        """The update interval as measured at edges, else as described; ``None`` when neither is known."""
        self._counter = self._counter_window()
        self._counted: CounterEnds | None = None if self._counter is None else self._counter.energy()
        self.reason = self._reason()
        """The reason why there is no number, or ``None``."""
        self.joules = self._joules()
        """Joules of the window, 0 or more; 0 where there is a reason."""
        self._sight = self._part_time_sight()

    @property
    def window_s(self) -> float:
        """Length of the window."""
        return self.ends.window_s

    @property
    def settled(self) -> bool:
        """Whether later readings cannot change the result."""
        faulty = self.closed.problem is not None or self.closed.faults != self.opened.faults
        return faulty or self._counter is None or self._counter.settled

    @property
    def budget(self) -> ErrorBudget:
        """The parts of the uncertainty."""
        mean_w = self.joules / self.window_s if self.window_s > 0 else 0.0
        return budget(self.about, WindowErrors(self.window_s, mean_w, self._ends_j, self._sight))

    @property
    def interval_j(self) -> tuple[float, float] | None:
        """The ends of the 95 % interval where it is not symmetric, joules; ``None`` elsewhere."""
        parts = self.budget
        if self.about.model is not None:
            low_j, high_j = self.about.model.interval_j(self.joules, self.window_s)
            down_j, up_j = self.joules - low_j, high_j - self.joules
        elif self._sight is not None and self._sight.hidden_ratio > 0:
            down_j, up_j = HIDDEN_DOWN_RATIO * self._sight.hidden_ratio * self.joules, parts.alias_j
        else:
            return None
        others_j = parts._replace(alias_j=0.0, gain_j=0.0 if self.about.model is not None else parts.gain_j).u95_j
        return max(0.0, self.joules - math.hypot(down_j, others_j)), self.joules + math.hypot(up_j, others_j)

    def flags(self) -> Iterator[str]:
        """Yield the remarks that a reader of an available number must know."""
        yield from self._reading_flags()
        yield from self._ending_flags()
        yield from self._sight_flags()
        yield from self._model_flags()
        yield from self._cross_check()

    def _usual_update_s(self) -> float | None:
        measured_s = self.closed.changes.interval_s
        return self.about.update_interval_s if measured_s is None else measured_s

    def _counter_window(self) -> CounterWindow | None:
        """Return the counter's view; ``None`` for power, for a model, and where the update interval is not known.

        A model's counter is exact at every reading. Without an interval the difference of the readings has to do.
        """
        if self.about.joules_per_count is None or self.about.quality is Quality.ESTIMATED or self.update_s is None:
            return None
        if self.opened.problem is not None or self.closed.changes is not self.opened.changes:
            return None
        return CounterWindow(
            self.about,
            self.closed.changes,
            (self.ends.opened_ns, self.ends.closed_ns),
            self.update_s,
            outside=self.ends.wanted_edges,
        )

    def _reason(self) -> str | None:
        about, opened, closed = self.about, self.opened, self.closed
        if opened.problem is not None:
            return f"no reading when the window opened: {opened.problem}"
        if closed.faults != opened.faults:
            return closed.last_fault
        if closed.problem is not None:
            return f"no reading when the window closed: {closed.problem}"
        if about.joules_per_count is None:
            return None if closed.power_samples > opened.power_samples else "no power reading inside the window"
        return self._still()

    def _still(self) -> str | None:
        """Return why a counter that hardly moved gives no number, or ``None``."""
        about, opened, closed = self.about, self.opened, self.closed
        update_s = SLOWEST_UPDATE_S if self.update_s is None else self.update_s
        patience_s = max(STILL_UPDATES * update_s, about.quantum_j / LEAST_POWER_W)
        if closed.counts == opened.counts and self.window_s > patience_s:
            return f"the counter did not move in {format_seconds(self.window_s)}"
        length = format_seconds(self.window_s)
        if self._counter is not None and self._counted is None:
            return (
                f"the window of {length} is too short for a counter that changes every "
                f"{format_seconds(self._counter.update_s)}: no two changes were seen around it"
            )
        if self._counter is None and about.quality is not Quality.ESTIMATED and closed.counts == opened.counts:
            return f"the counter did not change in {length}, and how often it changes is not known"
        return None

    def _joules(self) -> float:
        if self.reason is not None:
            return 0.0
        if self._counted is not None:
            return self._counted.joules
        per_count = self.about.joules_per_count
        if per_count is None:
            return self.closed.integral_j - self.opened.integral_j
        return (self.closed.counts - self.opened.counts) * per_count

    def _part_time_sight(self) -> Sight | None:
        about, step_s = self.about, self.ends.step_s
        if self.reason is not None or not is_part_time(about) or self.window_s <= 0:
            return None
        coverage_ratio = None
        if step_s is not None and about.averaging_s is not None:
            coverage_ratio = step_coverage_ratio(
                update_s=SLOWEST_UPDATE_S if self.update_s is None else self.update_s,
                averaging_s=about.averaging_s, step_s=step_s, window_s=self.window_s,
            )  # fmt: skip
        if self._counter is not None:
            return sight_of(self._counter.powers_w(), coverage_ratio)
        return sight_of_spread(*power_between(self.opened, self.closed), coverage_ratio)

    @property
    def _ends_j(self) -> float:
        """Half-width of what the ends of the window leave open."""
        if self.about.quality is Quality.ESTIMATED:
            return 0.0
        mean_w = self.joules / self.window_s if self.window_s > 0 else 0.0
        if self._counted is not None:
            return self._counted.doubt_j + self.ends.read_s / 2 * mean_w
        blur_s = SLOWEST_UPDATE_S if self.update_s is None else self.update_s
        if self.about.joules_per_count is None:
            # an averaged power lags by its averaging time as well: bias (W + U)/2T of the step at an end
            blur_s += self.about.averaging_s or 0.0
        sides_w = (self.opened.power_w or 0.0, self.closed.power_w or 0.0)
        return (blur_s + self.ends.read_s) * max(mean_w, *sides_w)

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
        if self.ends.wanted_edges and not self._has_edges and waits_for_edges(self.about):
            yield f"{name}: no counter edge was found at an end of the window, which may be off by an update interval"
        if (
            said_s is not None
            and measured_s is not None
            and measured_s > max(_INTERVAL_MATTERS_S, _INTERVAL_OFF_RATIO * said_s)
        ):
            yield f"{name} updates every {format_seconds(measured_s)}, not every {format_seconds(said_s)}"
        parts = self.budget
        others_j = parts._replace(window_j=0.0).u95_j
        if parts.window_j <= max(_SHORT_RATIO * self.joules, _MATTERS_RATIO * others_j):
            return
        length = format_seconds(self.window_s)
        if self._counted is not None and self._counted.between_updates:
            yield (
                f"{name}: the counter did not change inside this window of {length}: "
                f"its energy is that of the mean power around it, ± {format_joules(self._ends_j)}"
            )
        else:
            percent = f" ({100 * self._ends_j / self.joules:.2g} %)" if self.joules > 0 else ""
            yield (
                f"{name}: a window of {length} is short for a sensor that updates every {format_seconds(measured_s)}: "
                f"the power around its ends leaves ± {format_joules(self._ends_j)}{percent} open"
            )

    def _sight_flags(self) -> Iterator[str]:
        sight, name = self._sight, self.about.name
        if sight is None or sight.hidden_ratio <= 0:
            return
        if sight.coverage_ratio is not None:
            seen = f"{sight.coverage_ratio:.0%} of a step of {format_seconds(self.ends.step_s)}"
            yield (
                f"aliased: {name} sees {seen}; "
                "shift the phase of the steps (four to eight delays of a part of a step) and average"
            )
            return
        seen = f"{format_seconds(self.about.averaging_s)} of every {format_seconds(self.about.update_interval_s)}"
        yield (
            f"{name} sees {seen}: a load that repeats in step with that may be hidden, and the time of a step is not "
            "known; measure steps as inner windows, or set step_s of the window, to narrow the interval"
        )

    def _model_flags(self) -> Iterator[str]:
        model = self.about.model
        if model is None or (model.threads_per_core or 1) == 1:
            return
        load = model.load_ratio(self.joules, self.window_s)
        if _FEW_THREADS_RATIO < load < 1 - _FEW_THREADS_RATIO:
            yield (
                f"{self.about.name}: {load:.0%} of the hardware threads were at work, and a core has "
                f"{model.threads_per_core} of them: a core whose second thread idles takes more than half of the "
                "power, so that the estimate may be too low"
            )

    def _cross_check(self) -> Iterator[str]:
        """Compare the counter with the integrated power where a sensor gives both, often enough and without holes."""
        opened, closed = self.opened, self.closed
        samples, mean_w, sigma_w = power_between(opened, closed)
        if self.about.joules_per_count is None or samples < _CROSS_CHECK_LEAST or self.joules <= 0:
            return
        if closed.bridged_s > opened.bridged_s:
            return
        ratio = (closed.integral_j - opened.integral_j) / self.joules
        # the integral itself is a sample: an error within its own scatter is not a finding
        chance_ratio = 2 * sigma_w / max(mean_w, 1e-9) / math.sqrt(samples)
        if abs(ratio - 1) > _CROSS_CHECK_RATIO + chance_ratio:
            yield f"{self.about.name}: integrated power is {ratio:.2f} times the counter's energy; one of them is wrong"
