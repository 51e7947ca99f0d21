"""A sensor with known truth: an exact power profile behind the imperfections that real sensors have.

>>> clock = VirtualClock()
>>> sensor = FakeSensor(PowerProfile.constant(100.0), clock=clock)
>>> clock.advance(2.0)
>>> sensor.read().counter, sensor.truth_j(0.0, 2.0)
(200000000, 200.0)
"""

from __future__ import annotations

import bisect
import enum
import random
import time
from collections.abc import Callable, Sequence

from msgspec import Struct

from ..energy.sensor import Reading, SensorDescription
from ..errors import ConfigError, SensorError
from ..records.energy_values import Quality
from ..units import NS_PER_S

__all__ = ["FakeSensor", "Fault", "FaultKind", "PowerProfile", "Traits", "VirtualClock"]


class VirtualClock:
    """Monotonic nanoseconds that pass when told to. Starts at an odd time, so that no test relies on zero."""

    def __init__(self, start_ns: int = 1_000_000_007) -> None:
        self._now_ns = start_ns

    def __call__(self) -> int:
        """Return the time, nanoseconds."""
        return self._now_ns

    def advance(self, seconds: float) -> None:
        """Let time pass; never backwards."""
        if seconds < 0:
            raise ConfigError(f"time does not run backwards (advance by {seconds} s)")
        self._now_ns += round(seconds * NS_PER_S)


class PowerProfile(Struct, frozen=True, kw_only=True):
    """Power over time, constant in pieces, with its exact integral. Time is seconds since the sensor was made.

    Args:
        starts_s: where each piece begins; the first is 0, strictly increasing.
        watts: power of each piece, one each.
        period_s: the whole repeats with this period; ``None``: the last piece lasts for ever.
    """

    starts_s: tuple[float, ...]
    watts: tuple[float, ...]
    period_s: float | None = None

    def __post_init__(self) -> None:
        if not self.starts_s or self.starts_s[0] != 0 or len(self.starts_s) != len(self.watts):
            raise ConfigError(f"pieces begin at 0 and have one power each, not {self.starts_s} with {self.watts}")
        if list(self.starts_s) != sorted(set(self.starts_s)):
            raise ConfigError(f"pieces begin one after the other, not at {self.starts_s}")
        if self.period_s is not None and self.period_s <= self.starts_s[-1]:
            raise ConfigError(f"the period of {self.period_s} s ends before the last piece begins")

    @classmethod
    def constant(cls, watts: float) -> PowerProfile:
        """Return a profile of the same power at all times."""
        return cls(starts_s=(0.0,), watts=(watts,))

    @classmethod
    def square(cls, low_w: float, high_w: float, period_s: float, duty_ratio: float = 0.5) -> PowerProfile:
        """Return a square wave: high for ``duty_ratio`` of each period, then low."""
        return cls(starts_s=(0.0, duty_ratio * period_s), watts=(high_w, low_w), period_s=period_s)

    @classmethod
    def steps(cls, pieces: Sequence[tuple[float, float]]) -> PowerProfile:
        """Return a profile of pieces ``(seconds, watts)``; the last power continues.

        >>> PowerProfile.steps([(1.0, 50.0), (2.0, 200.0), (1.0, 50.0)]).energy_j(4.0)
        500.0
        """
        starts_s, now_s = [], 0.0
        for length_s, _ in pieces:
            starts_s.append(now_s)
            now_s += length_s
        return cls(starts_s=tuple(starts_s), watts=tuple(watts for _, watts in pieces))

    def energy_j(self, until_s: float) -> float:
        """Return the exact integral from 0, joules; the first power extends to times before 0."""
        if until_s <= 0:
            return until_s * self.watts[0]
        if self.period_s is None:
            return self._piece_j(until_s)
        rounds, rest_s = divmod(until_s, self.period_s)
        return rounds * self._piece_j(self.period_s) + self._piece_j(rest_s)

    def _piece_j(self, until_s: float) -> float:
        last = bisect.bisect_right(self.starts_s, until_s) - 1
        ends_s = [*self.starts_s[1 : last + 1], until_s]
        pieces = zip(self.starts_s, ends_s, self.watts, strict=False)
        return sum((end_s - start_s) * watts for start_s, end_s, watts in pieces)


class FaultKind(enum.StrEnum):
    """The effect of a fault while it lasts."""

    RAISES = "raises"
    """Reading fails."""
    STUCK = "stuck"
    """The value stays what it was."""
    ZERO = "zero"
    """The value is 0."""
    NEGATIVE = "negative"
    """The value is -1."""
    RESET = "reset"
    """The counter starts again from 0, and goes on from there for good."""
    OFFSET = "offset"
    """``amount`` (counts, or watts of a power sensor) is added."""


class Fault(Struct, frozen=True, kw_only=True):
    """A fault from ``at_s`` (included) to ``until_s`` (not included), seconds since the sensor was made."""

    kind: FaultKind
    at_s: float
    until_s: float = float("inf")
    amount: int = 0


class Traits(Struct, frozen=True, kw_only=True):
    """The imperfections of a fake sensor. The default is perfect: continuous, exact, in microjoules."""

    update_interval_s: float | None = None
    """The value changes on this grid; ``None``: with every reading."""
    jitter_ratio: float = 0.0
    """Each update comes late by up to this share of the interval."""
    averaging_s: float | None = None
    """Power readings average over this time before the update; ``None``: over the whole interval."""
    part_time: bool = False
    """The counter adds up what the averaging window sees, as NVIDIA's A100 and H100 do."""
    gain_error_ratio: float = 0.0
    """The error that this very sensor has; its description states only how large such errors usually are."""
    offset_error_w: float = 0.0
    noise_ratio: float = 0.0
    """Standard deviation of a random error of each power reading."""
    start_count: int = 0
    faults: tuple[Fault, ...] = ()
    seed: int = 0


class FakeSensor:
    """Reads a power profile through ``traits``; obeys the contract of every sensor.

    Args:
        profile: the truth.
        description: what the sensor claims to be; by default a CPU package with a counter in microjoules.
        traits: its imperfections.
        clock: monotonic nanoseconds; time 0 of the profile is when the sensor is made.
    """

    def __init__(
        self,
        profile: PowerProfile,
        *,
        description: SensorDescription | None = None,
        traits: Traits | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._profile = profile
        self._traits = Traits() if traits is None else traits
        self._clock = clock
        self._start_ns = clock()
        self._description = _package(self._traits) if description is None else description
        self._phase = random.Random(self._traits.seed).random()  # noqa: S311 - a simulation wants repeatable numbers
        self._part_time = (0, 0.0)
        self.closed = False
        self.reads = 0
        """Number of readings so far."""

    @property
    def description(self) -> SensorDescription:
        """The description that the sensor gives of itself."""
        return self._description

    def read(self) -> Reading:
        """Return the value that this sensor shows now.

        Raises:
            SensorError: a fault says so, or the sensor is closed.
        """
        if self.closed:
            raise SensorError("the sensor is closed")
        self.reads += 1
        now_s = (self._clock() - self._start_ns) / NS_PER_S
        return self._apply_faults(now_s)

    def close(self) -> None:
        """Close; reading fails from then on."""
        self.closed = True

    def truth_j(self, from_s: float, until_s: float) -> float:
        """Return the true energy between two times, joules; seconds since the sensor was made."""
        return self._profile.energy_j(until_s) - self._profile.energy_j(from_s)

    def _apply_faults(self, now_s: float) -> Reading:
        reading = self._clean(now_s)
        for fault in self._traits.faults:
            if fault.at_s <= now_s < fault.until_s:
                reading = self._break(reading, fault)
        return reading

    def _break(self, reading: Reading, fault: Fault) -> Reading:
        match fault.kind:
            case FaultKind.RAISES:
                raise SensorError("the fake sensor was told to fail")
            case FaultKind.STUCK:
                return self._clean(fault.at_s)
            case FaultKind.RESET:
                before = self._clean(fault.at_s).counter or 0
                return reading._replace(counter=(reading.counter or 0) - before)
            case FaultKind.ZERO | FaultKind.NEGATIVE:
                value = 0 if fault.kind is FaultKind.ZERO else -1
                return Reading(
                    counter=None if reading.counter is None else value,
                    power_w=None if reading.power_w is None else float(value),
                )
            case FaultKind.OFFSET:
                return Reading(
                    counter=None if reading.counter is None else reading.counter + fault.amount,
                    power_w=None if reading.power_w is None else reading.power_w + fault.amount,
                )

    def _clean(self, now_s: float) -> Reading:
        update, at_s = self._last_update(now_s)
        per_count = self._description.joules_per_count
        if per_count is None:
            return Reading(power_w=self._power_w(update, at_s), sensor_ns=self._start_ns + round(at_s * NS_PER_S))
        traits = self._traits
        true_j = self._seen_j(update) if traits.part_time else self._profile.energy_j(at_s)
        shown_j = true_j * (1 + traits.gain_error_ratio) + traits.offset_error_w * at_s
        step = self._description.resolution_counts
        # the small term keeps a value that is exact on paper from falling below its step in binary
        counts = traits.start_count + int(shown_j / per_count / step + 1e-6) * step
        limit = self._description.wraps_at_counts
        return Reading(counter=counts if limit is None else counts % limit)

    def _last_update(self, now_s: float) -> tuple[int, float]:
        """Return the number and the time of the last change of the value."""
        interval_s = self._traits.update_interval_s
        if interval_s is None:
            return 0, now_s
        update = int(now_s / interval_s + self._phase)
        for number in (update, update - 1):
            at_s = self._update_at_s(number)
            if at_s <= now_s:
                return number, at_s
        return update - 2, self._update_at_s(update - 2)

    def _update_at_s(self, number: int) -> float:
        interval_s = self._traits.update_interval_s or 0.0
        late = 0.0
        if self._traits.jitter_ratio:
            # one generator an update: the same whatever the order in which updates are asked for
            late = random.Random(f"{self._traits.seed}/{number}").random() * self._traits.jitter_ratio  # noqa: S311 - see above
        return (number - self._phase + late) * interval_s

    def _power_w(self, update: int, at_s: float) -> float:
        window_s = self._traits.averaging_s or self._traits.update_interval_s or 1e-6
        true_w = (self._profile.energy_j(at_s) - self._profile.energy_j(at_s - window_s)) / window_s
        noise = 0.0
        if self._traits.noise_ratio:
            noise = random.Random(f"{self._traits.seed}/noise/{update}").gauss(0.0, self._traits.noise_ratio)  # noqa: S311 - see above
        return max(0.0, true_w * (1 + self._traits.gain_error_ratio + noise) + self._traits.offset_error_w)

    def _seen_j(self, update: int) -> float:
        """Return the joules of a counter that takes the power of an averaging window for that of a whole interval."""
        interval_s = self._traits.update_interval_s or 0.0
        window_s = self._traits.averaging_s or interval_s
        number, total_j = self._part_time
        while number < update:
            number += 1
            at_s = self._update_at_s(number)
            seen_j = self._profile.energy_j(at_s) - self._profile.energy_j(at_s - window_s)
            total_j += seen_j * interval_s / window_s
        self._part_time = number, total_j
        return total_j


def _package(traits: Traits) -> SensorDescription:
    return SensorDescription(
        name="package-0",
        kind="cpu",
        source="fake",
        quality=Quality.COUNTER,
        covers="CPU packages",
        joules_per_count=1e-6,
        update_interval_s=traits.update_interval_s or 1e-6,
        averaging_s=traits.averaging_s,
    )
