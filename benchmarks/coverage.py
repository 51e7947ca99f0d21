"""Measure how often the printed 95 % interval holds the true energy, on simulated sensors and known power.

    python benchmarks/coverage.py                          # the table of docs/accuracy.md, about 10 minutes
    python benchmarks/coverage.py --windows 20 --cells     # a smaller sample, cell by cell

Per cell: the share of windows whose interval holds the truth, the median half-width over the needed one (the 95 %
quantile of the errors of the same windows), and the share of windows that are flagged or refused. A cell passes when at
least 93 % are held and the interval of the windows without a flag is at most 1.5 times as wide as needed.
"""

from __future__ import annotations

import argparse
import bisect
import itertools
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from pytest_parallel_energy import EnergyMeter
from pytest_parallel_energy.energy.sensor import SensorDescription
from pytest_parallel_energy.energy.window import Window
from pytest_parallel_energy.records.energy_values import Quality
from pytest_parallel_energy.testing import FakeSensor, PowerProfile, Traits, VirtualClock
from pytest_parallel_energy.units import format_seconds

KINDS = ("test", "step", "part-time")
LEAST_COVERED_RATIO = 0.93
MOST_WIDTH_RATIO = 1.5
TOLD_RATIO = 0.95
"""From this share of flagged windows on, a cell counts as flagged."""
_LEAST_NEEDED_RATIO = 0.01
"""A needed width below this share of the energy counts as this: every sensor's gain is known worse."""


class Bursts:
    """Power that jumps between two levels after random times: the energy is exact, and no period fits it."""

    def __init__(
        self, chance: random.Random, *, mean_s: float, low_s: float | None = None, low_w: float = 60.0,
        high_w: float = 400.0,
    ) -> None:  # fmt: skip
        starts_s, joules, now_s, total_j = [], [], 0.0, 0.0
        self._watts = []
        for number in itertools.count():
            watts = high_w if number % 2 else low_w
            starts_s.append(now_s)
            joules.append(total_j)
            self._watts.append(watts)
            length_s = chance.expovariate(1 / (mean_s if number % 2 or low_s is None else low_s))
            now_s += length_s
            total_j += length_s * watts
            if now_s > 60:  # noqa: PLR2004 - longer than every simulated window
                break
        self._starts_s, self._joules = starts_s, joules

    def energy_j(self, until_s: float) -> float:
        """Return the exact integral from 0, joules; the first power extends to times before 0."""
        if until_s <= 0:
            return until_s * self._watts[0]
        piece = bisect.bisect_right(self._starts_s, until_s) - 1
        return self._joules[piece] + (until_s - self._starts_s[piece]) * self._watts[piece]


SHAPES: dict[str, Callable[[random.Random], object]] = {
    "constant": lambda _: PowerProfile.constant(200.0),
    "wave 25 ms": lambda _: PowerProfile.square(80.0, 320.0, 0.025),
    "wave 100 ms": lambda _: PowerProfile.square(80.0, 320.0, 0.1),
    "wave 130 ms": lambda _: PowerProfile.square(80.0, 320.0, 0.13),
    "wave 800 ms": lambda _: PowerProfile.square(80.0, 320.0, 0.8),
    "bursts 20 ms": lambda chance: Bursts(chance, mean_s=0.02),
    "bursts 200 ms": lambda chance: Bursts(chance, mean_s=0.2),
    "rare bursts": lambda chance: Bursts(chance, mean_s=0.02, low_s=0.08),
}
"""Power over time: one that is steady, one that repeats in step with a sensor or not, one that does not repeat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One cell: which windows on which sensor under which power."""

    kind: str
    """``test`` closes on counter edges, as the window of a test does; ``step`` is one of many inside it."""
    window_s: float
    update_s: float
    shape: str
    averaging_s: float | None = None
    """Time that each update of a part-time sensor sees."""
    gain: bool = False
    """Whether the sensor has the gain and offset errors of an NVIDIA board, and says so."""

    @property
    def sort(self) -> str:
        """The kind of the window and of the sensor, in words."""
        return f"{self.kind}, sees {self.averaging_s * 1e3:g} ms" if self.averaging_s else self.kind


@dataclass(slots=True)
class Tally:
    """The windows of one cell."""

    covered: list[bool] = field(default_factory=list)
    errors_j: list[float] = field(default_factory=list)
    truths_j: list[float] = field(default_factory=list)
    u95_j: list[float] = field(default_factory=list)
    flagged_known: list[bool] = field(default_factory=list)
    refused: int = 0

    @property
    def covered_ratio(self) -> float:
        """The share of the windows with a number whose interval holds the truth; 1 where there is no number."""
        return statistics.fmean(self.covered) if self.covered else 1.0

    @property
    def needed_j(self) -> float:
        """The 95 % quantile of the errors, and at least 1 % of the energy."""
        quantile_j = sorted(self.errors_j)[max(0, round(0.95 * len(self.errors_j)) - 1)]
        return max(quantile_j, _LEAST_NEEDED_RATIO * statistics.median(self.truths_j))

    @property
    def width_ratio(self) -> float:
        """The median half-width over the needed one."""
        return statistics.median(self.u95_j) / self.needed_j if self.errors_j else 0.0

    @property
    def half_width_ratio(self) -> float:
        """The median half-width over the median energy."""
        return statistics.median(self.u95_j) / statistics.median(self.truths_j) if self.errors_j else 0.0

    @property
    def flagged_ratio(self) -> float:
        """The share of the windows that have a flag or no number."""
        return (sum(self.flagged_known) + self.refused) / (len(self.flagged_known) + self.refused)

    @property
    def passes(self) -> bool:
        """Whether the cell keeps what the intervals promise."""
        plain_j = [u95_j for u95_j, flagged in zip(self.u95_j, self.flagged_known, strict=True) if not flagged]
        narrow = not plain_j or statistics.median(plain_j) <= MOST_WIDTH_RATIO * self.needed_j
        return self.covered_ratio >= LEAST_COVERED_RATIO and (narrow or self.flagged_ratio >= TOLD_RATIO)


class _Bench:
    """One sensor under one meter on a clock that passes when told to."""

    def __init__(self, case: Case, seed: int) -> None:
        self.case = case
        self.chance = chance = random.Random(f"{case}/{seed}")
        self.clock = VirtualClock()
        self._start_ns = self.clock()
        about = SensorDescription(
            name="gpu-0", kind="gpu", source="fake", quality=Quality.COUNTER, covers="GPU boards",
            joules_per_count=1e-3, update_interval_s=case.update_s, averaging_s=case.averaging_s,
            gain_ratio=0.037 if case.gain else 0.0, offset_w=5.9 if case.gain else 0.0,
        )  # fmt: skip
        traits = Traits(
            update_interval_s=case.update_s, averaging_s=case.averaging_s, part_time=case.averaging_s is not None,
            jitter_ratio=0.05, seed=seed,
            gain_error_ratio=chance.gauss(0.0, 0.037) if case.gain else 0.0,
            offset_error_w=chance.gauss(0.0, 5.9) if case.gain else 0.0,
        )  # fmt: skip
        profile = SHAPES[case.shape](chance)
        self.sensor = FakeSensor(profile, description=about, traits=traits, clock=self.clock)  # type: ignore[arg-type]
        self.meter = EnergyMeter([self.sensor], clock_ns=self.clock, sleep=self.clock.advance).open()
        # the sampler reads a part-time sensor twice per update, others once a second
        self._period_ns = round(1e9 * (1.0 if case.averaging_s is None else case.update_s / 2))
        self._sample_ns = self.clock() + self._period_ns
        self.run(2.0 + chance.random())

    def now_s(self) -> float:
        """Return the seconds since the sensor was made."""
        return (self.clock() - self._start_ns) / 1e9

    def run(self, seconds: float) -> None:
        """Let time pass, with the sampler at work."""
        until_ns = self.clock() + round(seconds * 1e9)
        while self._sample_ns <= until_ns:
            self.clock.advance(max(0, self._sample_ns - self.clock()) / 1e9)
            self.meter.sample()
            self._sample_ns += self._period_ns
        self.clock.advance((until_ns - self.clock()) / 1e9)


def simulate(case: Case, windows: int) -> Tally:
    """Return the tally of about so many windows of one cell."""
    tally = Tally()
    rounds = windows if case.kind == "test" else max(1, windows // 10)
    for seed in range(rounds):
        bench = _Bench(case, seed)
        for window, truth_j in (_test if case.kind == "test" else _steps)(bench):
            result = window.result
            if result.total_j is None or result.total_u95_j is None:
                tally.refused += 1
            else:
                tally.flagged_known.append(bool(window.flags))
                tally.covered.append(abs(result.total_j - truth_j) <= result.total_u95_j + 1e-9)
                tally.errors_j.append(abs(result.total_j - truth_j))
                tally.truths_j.append(truth_j)
                tally.u95_j.append(result.total_u95_j)
        bench.meter.close()
    return tally


def _test(bench: _Bench) -> Iterator[tuple[Window, float]]:
    window = bench.meter.begin(edges=True)
    opened_s = bench.now_s()
    bench.run(bench.case.window_s)
    closed_s = bench.now_s()
    window.close()
    yield window, bench.sensor.truth_j(opened_s, closed_s)


def _steps(bench: _Bench) -> Iterator[tuple[Window, float]]:
    """Steps of one length, with pauses of random length between them."""
    found = []
    with bench.meter.window("test", edges=True):
        bench.run(0.2)
        for _ in range(10):
            step = bench.meter.begin("step")
            opened_s = bench.now_s()
            bench.run(bench.case.window_s)
            closed_s = bench.now_s()
            step.close()
            found.append((step, bench.sensor.truth_j(opened_s, closed_s)))
            bench.run(bench.chance.random() * 0.3 * bench.case.window_s)
        bench.run(0.2)
    yield from found


def cells(kinds: Sequence[str] = KINDS) -> Iterator[Case]:
    """Yield the cells of the table."""
    for shape in SHAPES:
        if "test" in kinds:
            for update_s, window_s in itertools.product((0.001, 0.02, 0.1, 0.5), (0.02, 0.1, 1.0, 10.0)):
                yield Case(kind="test", window_s=window_s, update_s=update_s, shape=shape)
        if "step" in kinds:
            for update_s, window_s in itertools.product((0.001, 0.02, 0.1), (0.01, 0.03, 0.1, 1.0)):
                yield Case(kind="step", window_s=window_s, update_s=update_s, shape=shape)
        if "part-time" in kinds:
            for window_s in (0.1, 1.0, 10.0):
                yield Case(kind="test", window_s=window_s, update_s=0.1, shape=shape, averaging_s=0.025, gain=True)


def main() -> None:
    """Simulate, and print one line per sort of window over all shapes of power, or one per cell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=60, help="windows per cell (default: 60)")
    parser.add_argument("--kind", action="append", choices=KINDS, help="only these (default: all)")
    parser.add_argument("--cells", action="store_true", help="one line per cell instead of one per sort of window")
    options = parser.parse_args()
    found: dict[tuple[str, float, float], list[Tally]] = {}
    if options.cells:
        print("| windows | length | update | power | held | width / needed | flagged | passes |")
        print("|---|---|---|---|---|---|---|---|")
    for case in cells(options.kind or KINDS):
        tally = simulate(case, options.windows)
        found.setdefault((case.sort, case.window_s, case.update_s), []).append(tally)
        if options.cells:
            print(
                f"| {case.sort} | {case.window_s * 1e3:g} ms | {case.update_s * 1e3:g} ms | {case.shape} "
                f"| {tally.covered_ratio:.0%} | {tally.width_ratio:.2f} | {tally.flagged_ratio:.0%} "
                f"| {'yes' if tally.passes else 'NO'} |",
                flush=True,
            )
    if not options.cells:
        _print_summary(found)
    tallies = [tally for group in found.values() for tally in group]
    print(f"\n{sum(tally.passes for tally in tallies)} of {len(tallies)} cells pass")


def _print_summary(found: dict[tuple[str, float, float], list[Tally]]) -> None:
    print("| windows | length | update | held, mean (lowest shape) | median half-width | flagged | passing shapes |")
    print("|---|---|---|---|---|---|---|")
    for (sort, window_s, update_s), tallies in sorted(found.items()):
        held = [tally.covered_ratio for tally in tallies]
        widths = [tally.half_width_ratio for tally in tallies]
        flagged = [tally.flagged_ratio for tally in tallies]
        passing = sum(tally.passes for tally in tallies)
        print(
            f"| {sort} | {format_seconds(window_s)} | {update_s * 1e3:g} ms "
            f"| {statistics.fmean(held):.0%} ({min(held):.0%}) | ± {100 * statistics.median(widths):.2g} % "
            f"| {statistics.fmean(flagged):.0%} | {passing} of {len(tallies)} |"
        )


if __name__ == "__main__":
    main()
