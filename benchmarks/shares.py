"""Simulate the attribution of energy against known truth, and print a Markdown table.

    python benchmarks/shares.py [--runs 400]

Each run is one session on a machine of its own: an idle leg of 5 s, the training alone, the load alone for 5 s, and
both together. Power is ``idle + curve(a·F + b·B) + c·O`` of the cores that foreground, background and other programs
use, with slowly wandering idle power, rounds of the load with pauses between them, and a sensor with a gain error. The
truth is the Shapley share of the foreground at each moment. ``covered`` is the share of runs in which it lies between
``low_j`` and ``high_j``; ``half-width`` and ``needed`` are relative to the truth, and ``needed`` is the half-width with
which 95 % of the runs would be covered around the middle of each interval.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pytest_parallel_energy.energy.meter import EnergyMeter
from pytest_parallel_energy.energy.sensor import Reading, SensorDescription
from pytest_parallel_energy.records.energy_values import Quality
from pytest_parallel_energy.records.record import Attribution, WindowResult
from pytest_parallel_energy.run.legs import LegBook, WindowNotes
from pytest_parallel_energy.run.window_watch import CpuMoment
from pytest_parallel_energy.testing import VirtualClock

_STEP_S = 0.005
_GAIN_SIGMA = 0.04


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What is simulated."""

    name: str
    curve: Callable[[float], float] = float
    """Watts above idle over the watts of a linear machine."""
    watts: tuple[float, float, float] = (20.0, 20.0, 20.0)
    """Of a core of the foreground, the background and others."""
    idle_w: float = 40.0
    alone: bool = True
    """Whether the training was measured alone too."""
    legs: bool = True
    """Whether the idle power and the load alone were measured."""
    idle: bool = True
    cores: tuple[float, float] = (1.0, 1.0)
    """Of the foreground and the background while they work, together."""
    background_alone: float = 1.2
    """Cores of the background without the foreground."""
    others: float = 0.0
    """Cores of other programs in the window, from time to time."""


class Machine:
    """A machine on a clock of its own: a sensor, the clocks of its processes, and the truth."""

    def __init__(self, situation: Situation, seed: int) -> None:
        self.clock = VirtualClock()
        self.foreground = self.background = self.others = 0.0
        """Cores that are used now."""
        self._situation = situation
        self._random = random.Random(seed)
        self._gain = 1 + self._random.gauss(0, _GAIN_SIGMA)
        self._wander = 0.0
        self._shown_j = 0.0
        self._cpu_s = [0.0, 0.0, 0.0]
        self._switch_s = 0.0
        self._pauses = False
        self.truth_j = 0.0
        self.description = SensorDescription(
            name="package-0",
            kind="cpu",
            source="simulated",
            quality=Quality.COUNTER,
            covers="CPU packages",
            joules_per_count=1e-6,
            update_interval_s=0.001,
            gain_ratio=_GAIN_SIGMA,
        )

    def read(self) -> Reading:
        """Return the counter, microjoules."""
        return Reading(counter=1_000_000 + int(self._shown_j * 1e6))

    def close(self) -> None:
        """There is nothing to close."""

    def advance(self, seconds: float) -> None:
        """Let time pass in small steps."""
        steps = max(1, round(seconds / _STEP_S))
        for _ in range(steps):
            self._step(seconds / steps)
            self.clock.advance(seconds / steps)

    def _step(self, step_s: float) -> None:
        cores = self._cores(step_s)
        mine, loads, others = (watts * used for watts, used in zip(self._situation.watts, cores, strict=True))
        curve = self._situation.curve
        both = curve(mine + loads)
        self.truth_j += (curve(mine) + both - curve(loads)) / 2 * step_s
        self._wander = 0.95 * self._wander + self._random.gauss(0, 0.01 * self._situation.idle_w)
        power_w = self._situation.idle_w + self._wander + curve(mine + loads + others)
        self._shown_j += power_w * self._gain * step_s
        self._cpu_s = [total + used * step_s for total, used in zip(self._cpu_s, cores, strict=True)]

    def _cores(self, step_s: float) -> tuple[float, float, float]:
        """Return the cores in use: the load pauses for about 50 ms after rounds of about 0.3 s."""
        self._switch_s -= step_s
        if self._switch_s <= 0:
            self._pauses = not self._pauses
            self._switch_s = self._random.uniform(0.02, 0.08) if self._pauses else self._random.uniform(0.2, 0.4)
        others = self._random.choice((0.0, self.others))
        return self.foreground, 0.0 if self._pauses else self.background, others

    # --- what the plugin sees: a watch of processes --------------------------------------------------------------

    def poll(self) -> None:
        """There is nothing to poll."""

    @property
    def began(self) -> CpuMoment:
        """The moment at which it began: now."""
        return self.moment()

    def moment(self) -> CpuMoment:
        """Return the CPU seconds of all owners."""
        mine_s, loads_s, others_s = self._cpu_s
        return CpuMoment(
            at_s=self.clock() / 1e9,
            foreground_s=mine_s,
            loads_s={"load 1": loads_s},
            machine_s=round(mine_s + loads_s + others_s, 2),
        )

    def gpu_shares(self, _name: str) -> None:
        """There is no GPU."""


def simulate(situation: Situation, seed: int) -> tuple[Attribution, float]:
    """Return the attribution of one session, and the true joules of the foreground."""
    machine = Machine(situation, seed)
    with EnergyMeter([machine], clock_ns=machine.clock, sleep=machine.advance) as meter:
        book = LegBook(meter=meter, leg_s=5.0 if situation.legs else 0.0, new_watch=lambda *_: machine)  # type: ignore[arg-type]
        if situation.idle:
            meter.measure_idle(5.0, busy_s=lambda: 0.0)
        if situation.alone:
            notes = WindowNotes()
            result = _window(machine, book, notes, 4.0, situation.cores[0] / 0.8)
            book.remember(result, "work", notes)
        machine.background = situation.background_alone
        notes = WindowNotes(leg=book.measure_loads([object()]))  # type: ignore[list-item]
        machine.background, machine.others = situation.cores[1], situation.others
        before_j = machine.truth_j
        result = _window(machine, book, notes, 5.0, situation.cores[0])
        truth_j = machine.truth_j - before_j
        return book.attribute(result, "work", notes, loaded=True), truth_j


def _window(machine: Machine, book: LegBook, notes: WindowNotes, seconds: float, cores: float) -> WindowResult:
    book.open_window(notes, list)
    with book.meter.window("test") as window:
        machine.foreground = cores
        machine.advance(seconds)
        machine.foreground = 0.0
    book.note_end(notes)
    book.close_window()
    return window.result


def concave(watts: float) -> float:
    """Return the power of a machine that clocks down under load."""
    return float(60 * (watts / 60) ** 0.6)


def smt(watts: float) -> float:
    """Return the power of a machine whose second hyper-threads cost a third."""
    return min(watts, 20.0) + 0.3 * max(0.0, watts - 20.0)


SITUATIONS: Mapping[str, Situation] = {
    situation.name: situation
    for situation in (
        Situation(name="linear, all legs"),
        Situation(name="linear, a slowed load", cores=(1.0, 0.4)),
        Situation(name="linear, a niced load", cores=(1.0, 0.05)),
        Situation(name="unequal watts, all legs", watts=(15.0, 30.0, 20.0)),
        Situation(name="concave, all legs", curve=concave),
        Situation(name="SMT, all legs", curve=smt),
        Situation(name="linear, others at work", others=1.0),
        Situation(name="linear, load alone", alone=False),
        Situation(name="concave, load alone", curve=concave, alone=False),
        Situation(name="unequal watts, load alone", watts=(15.0, 30.0, 20.0), alone=False),
        Situation(name="linear, by CPU time", legs=False, alone=False),
        Situation(name="concave, by CPU time", curve=concave, legs=False, alone=False),
        Situation(name="unequal watts, by CPU time", watts=(15.0, 30.0, 20.0), legs=False, alone=False),
        Situation(name="linear, no idle leg", legs=False, alone=False, idle=False),
    )
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the intervals of many runs were worth."""

    method: str
    covered_ratio: float
    half_width_ratio: float
    """Median half-width over the truth."""
    needed_ratio: float
    """Half-width over the truth with which 95 % of the runs are covered."""


def judge(found: Sequence[tuple[Attribution, float]]) -> Outcome:
    """Return the coverage and the width of the intervals."""
    inside, widths, errors = [], [], []
    for shares, truth_j in found:
        low_j, high_j = shares.low_j or 0.0, shares.high_j or 0.0
        inside.append(low_j <= truth_j <= high_j)
        widths.append((high_j - low_j) / 2 / truth_j)
        errors.append(abs((high_j + low_j) / 2 - truth_j) / truth_j)
    errors.sort()
    return Outcome(
        method=found[0][0].method,
        covered_ratio=statistics.fmean(inside),
        half_width_ratio=statistics.median(widths),
        needed_ratio=errors[min(len(errors) - 1, round(0.95 * len(errors)))],
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=400, help="sessions per situation")
    runs = parser.parse_args().runs
    print("| machine and legs | method | covered | half-width | needed |\n|---|---|--:|--:|--:|")
    for name, situation in SITUATIONS.items():
        outcome = judge([simulate(situation, seed) for seed in range(runs)])
        figures = (outcome.covered_ratio, outcome.half_width_ratio, outcome.needed_ratio)
        print(f"| {name} | {outcome.method} | {' | '.join(f'{figure:.1%}' for figure in figures)} |", flush=True)


if __name__ == "__main__":
    main()
