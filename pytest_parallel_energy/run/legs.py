"""The legs of one run (idle, loads alone, foreground alone, both together) and the energy attribution of a test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from ..records.record import Attribution, WindowResult
from ..units import format_seconds
from .load_leg import LoadLeg, measure_load_leg
from .use_shares import by_shares, other_power, use_range_w, with_use
from .window_watch import CpuMoment, WindowWatch

if TYPE_CHECKING:
    from ..energy.attribution import Leg, Legs
    from ..energy.meter import EnergyMeter
    from ..host.cpu_use import CpuUse
    from ..load.background import BackgroundLoad

__all__ = ["LegBook", "WindowNotes"]

_LESS_WORK_RATIO = 0.9
"""The same work does not take less CPU time next to a load than alone: below this share it was less work."""


class _Alone(NamedTuple):
    """The window of a test that passed without loads."""

    leg: Leg
    use: CpuUse | None


class WindowNotes(Struct, kw_only=True):
    """Notes on the window of one attempt: who used the CPU and the GPUs."""

    leg: LoadLeg | None = None
    """The loads alone, before the test; ``None`` where they were not measured."""
    watch: WindowWatch | None = None
    opened: CpuMoment | None = None
    closed: CpuMoment | None = None

    def use(self, window_s: float) -> CpuUse | None:
        """Return the CPU time of the window, up to now if it is open; ``None`` before it opens."""
        if self.watch is None or self.opened is None:
            return None
        found = self.opened.until(self.closed or self.watch.moment())
        return None if found is None or window_s <= 0 else found.within(window_s)


class LegBook(Struct, kw_only=True):
    """Keeps the solo legs of a run, so that a loaded test can be compared with the same training alone.

    Args:
        meter: the run's meter.
        leg_s: length of the leg of a load alone, seconds; 0: not measured.
        new_watch: makes the watch of a window, for the given loads.
    """

    meter: EnergyMeter
    leg_s: float
    new_watch: Callable[[EnergyMeter, Callable[[], Sequence[BackgroundLoad]]], WindowWatch] = WindowWatch
    _alone: dict[str, _Alone] = field(default_factory=dict)

    def measure_loads(self, loads: Sequence[BackgroundLoad]) -> LoadLeg | None:
        """Measure the loads alone, just before the test; ``None`` without loads and where idle power is not known."""
        if not loads or self.meter.idle is None or self.leg_s <= 0:
            return None
        return measure_load_leg(self.meter, self.new_watch(self.meter, lambda: loads), self.leg_s)

    def open_window(self, notes: WindowNotes, loads: Callable[[], Sequence[BackgroundLoad]]) -> None:
        """Note the CPU time just before the window opens.

        Args:
            notes: of the window that opens; what they say about an earlier attempt is forgotten.
            loads: returns the loads that run; a test may start some in its window.
        """
        notes.watch = self.meter.watch = self.new_watch(self.meter, loads)
        notes.opened, notes.closed = notes.watch.began, None

    def close_window(self) -> None:
        """Stop following processes and GPUs."""
        self.meter.watch = None

    def note_end(self, notes: WindowNotes) -> None:
        """Note the CPU time just after the end of the window."""
        if notes.watch is not None:
            notes.closed = notes.watch.moment()

    def attribute(self, result: WindowResult, what: str, notes: WindowNotes, *, loaded: bool) -> Attribution:
        """Return the joules of a test by owner: from legs where they were measured, else from shares of use.

        Args:
            result: the test's window.
            what: names the foreground's work, the same for each test that does the same.
            notes: those of the window.
            loaded: whether a background load was started.
        """
        if result.total_j is None or result.mean_w is None or not result.window_s:
            return Attribution()
        use = notes.use(result.window_s)
        legs = self._legs(result, what, notes.leg, use) if loaded else None
        if legs is None:
            found = by_shares(result, notes.watch, use, self.meter, loaded=loaded)
        else:
            found = _by_legs(legs, result.window_s, self._alone.get(what), use)
            found = replace(found, flags=(*found.flags, *(notes.leg.flags() if notes.leg is not None else ())))
        return with_use(found, result, notes.watch, use)

    def use_alone(self, result: WindowResult, notes: WindowNotes) -> Attribution:
        """Return who used the CPU and the GPUs in a window whose joules cannot be divided."""
        return with_use(Attribution(), result, notes.watch, notes.use(result.window_s or 0.0))

    def remember(self, result: WindowResult, what: str, notes: WindowNotes) -> None:
        """Keep the window of a test that passed without loads, as the foreground's leg of later tests with loads.

        Args:
            result: the test's window.
            what: as for :meth:`attribute`.
            notes: those of the window.
        """
        if result.mean_w is not None and result.window_s:
            use = notes.use(result.window_s)
            self._alone[what] = _Alone(self._window_leg(result, use), use)

    def _window_leg(self, result: WindowResult, use: CpuUse | None) -> Leg:
        """Return a test's window as a leg, in which the foreground did one piece of work."""
        from ..energy.attribution import Leg
        from ..energy.resources import scatter_u95_j

        window_s, mean_w = result.window_s or 1.0, result.mean_w or 0.0
        others = other_power(mean_w, use, self.meter.idle)
        return Leg(
            mean_w=mean_w,
            foreground_rate=1 / window_s,
            # the load's CPU time stands for its work: rounds are too long to count in a leg of seconds
            background_rate=None if use is None else use.background_s / use.seconds,
            u95_w=scatter_u95_j(result, self.meter) / window_s,
            other_w=others.watts,
            other_u95_w=others.u95_w,
        )

    def _legs(self, result: WindowResult, what: str, leg: LoadLeg | None, use: CpuUse | None) -> Legs | None:
        """Return the legs of a test; ``None`` without the power of the idle machine or of the loads alone."""
        from ..energy.attribution import Leg, Legs
        from ..energy.resources import gain_u95_ratio

        idle = self.meter.idle
        if idle is None or idle.mean_w is None or leg is None or leg.mean_w is None:
            return None
        both, alone = self._window_leg(result, use), self._alone.get(what)
        others = other_power(leg.mean_w, leg.use, idle, foreground_is_other=True)
        legs = Legs(
            idle_w=idle.mean_w,
            both=both,
            foreground=None if alone is None else alone.leg,
            background=Leg(
                mean_w=leg.mean_w,
                background_rate=leg.rate,
                u95_w=leg.u95_w,
                other_w=others.watts,
                other_u95_w=others.u95_w,
            ),
            idle_u95_w=idle.scatter_u95_w,
            gain_u95_ratio=gain_u95_ratio(result, self.meter),
            by_use_w=use_range_w(both.clean_w - idle.mean_w, use),
        )
        if alone is None or alone.use is None or use is None or not _did_less(alone.use, use):
            return legs
        return legs._replace(
            both=both._replace(foreground_rate=use.foreground_s / use.seconds),
            foreground=alone.leg._replace(foreground_rate=alone.use.foreground_s / alone.use.seconds),
        )


def _by_legs(legs: Legs, window_s: float, alone: _Alone | None, use: CpuUse | None) -> Attribution:
    from ..energy.attribution import attribute_legs, interaction

    found, effect = attribute_legs(legs, window_s), interaction(legs)
    if effect is None or alone is None:
        return found
    found = replace(found, interference_j=effect.interference_w * window_s)
    if alone.use is None or use is None or not _did_less(alone.use, use):
        return replace(found, slowdown_ratio=effect.slowdown_ratio)
    flag = (
        f"the test used {format_seconds(use.foreground_s)} of CPU time with the load and "
        f"{format_seconds(alone.use.foreground_s)} alone, so it did less work: its energy alone was scaled by CPU "
        "time, and the slowdown is unknown; let the test do a fixed amount of work instead of working for a fixed time"
    )
    return replace(found, flags=(*found.flags, flag))


def _did_less(alone: CpuUse, beside: CpuUse) -> bool:
    """Return whether a test did less work than alone, as one that works for a fixed time does."""
    ticks_s = alone.other_u95_s
    return beside.foreground_s + ticks_s < _LESS_WORK_RATIO * alone.foreground_s
