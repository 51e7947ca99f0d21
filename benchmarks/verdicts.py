"""Simulate the verdicts of the gate against known truth, and print a Markdown table.

    python benchmarks/verdicts.py [--runs 400] [--processes 1]

Each row is one situation, simulated with its own seed: the same numbers on each machine. ``false alarm`` is the share
of comparisons of equal runs with at least one ``worse`` or ``better``, with its 95 % interval, because a share of so
many simulated comparisons is itself uncertain; ``detected`` the share of changed cells that are ``worse``; ``wrong no
change`` the share of changed cells that are called unchanged; ``contradictions`` counts the verdicts that their own
interval does not support. All comparisons go through ``compare_runs``, with the threshold 5 %.
"""

from __future__ import annotations

import argparse
import itertools
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from pytest_parallel_energy.records.energy_values import Quality
from pytest_parallel_energy.records.record import DomainEnergy, Record, Status, WindowResult
from pytest_parallel_energy.statistics.compare import Comparison, compare_runs
from pytest_parallel_energy.statistics.judgement import Verdict
from pytest_parallel_energy.statistics.quantities import parse_threshold

_QUANTITIES = ("total_j", "seconds", "mean_w")


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What is simulated."""

    cells: int = 1
    quantities: int = 1
    n: tuple[int, int] = (5, 5)
    """Repeats per session in the older and in the newer run."""
    cv: tuple[float, float] = (0.02, 0.02)
    change: float = 0.0
    """True change of the newer run in each cell."""
    disturbed: float = 0.0
    """Share of readings that something disturbed: they are 1.2 to 2 times as high."""
    session_sd: float = 0.0
    sessions: tuple[int, int] = (1, 1)
    threshold: str = "5%"

    def __str__(self) -> str:
        old, new = self.n
        cv = "/".join(f"{100 * value:g}" for value in dict.fromkeys(self.cv))
        parts = [f"{self.cells} × {self.quantities}", f"n {old}" if old == new else f"n {old} and {new}", f"CV {cv} %"]
        parts += [f"{100 * self.change:+g} %"] if self.change else []
        parts += [f"{100 * self.disturbed:g} % disturbed"] if self.disturbed else []
        parts += [f"session SD {100 * self.session_sd:g} %"] if self.session_sd else []
        parts += [f"{self.sessions[0]} sessions against {self.sessions[1]}"] if self.session_sd else []
        parts += [f"threshold {self.threshold}"] if self.threshold != "5%" else []
        return ", ".join(parts)


def _record(session: int, cell: int, values: Sequence[float]) -> Record:
    total_j, seconds, mean_w = (*values, 1.0, 1.0)[:3]
    domain = DomainEnergy(
        name="p",
        kind="cpu",
        joules=total_j,
        u95_j=0.001,
        quality=Quality.COUNTER,
        mean_w=0.001,
        update_interval_s=0.001,
    )
    energy = WindowResult(total_j=total_j, mean_w=mean_w, window_s=seconds, quality=Quality.COUNTER, domains=(domain,))
    return Record(
        record_id="", run_id=f"session-{session}", nodeid=f"t.py::test[{cell}]", cell=f"{cell}", status=Status.PASSED,
        started_at="", duration_s=1.0, energy=energy,
    )  # fmt: skip


def _run(draw: random.Random, situation: Situation, side: int) -> list[Record]:
    records = []
    for session in range(situation.sessions[side]):
        level = 100 * (1 + situation.change * side) * (1 + draw.gauss(0, situation.session_sd))
        for cell in range(situation.cells):
            for _ in range(situation.n[side]):
                values = []
                for _ in range(situation.quantities):
                    value = level * max(1 + draw.gauss(0, situation.cv[side]), 0.01)
                    values.append(value * draw.uniform(1.2, 2) if draw.random() < situation.disturbed else value)
                records.append(_record(10 * side + session, cell, values))
    return records


def comparison(draw: random.Random, situation: Situation) -> Comparison:
    """Return one simulated comparison."""
    thresholds = [parse_threshold(f"{name}:{situation.threshold}") for name in _QUANTITIES[: situation.quantities]]
    return compare_runs(("old", _run(draw, situation, 0)), ("new", _run(draw, situation, 1)), thresholds)


def contradictions(found: Comparison) -> int:
    """Return how many verdicts lie outside of what their interval supports."""
    count = 0
    for row in found.rows:
        change = row.change
        if change is None or change.low is None or change.high is None:
            count += row.verdict in {Verdict.WORSE, Verdict.BETTER, Verdict.NO_CHANGE}
            continue
        limit = row.threshold.limit
        count += row.verdict is Verdict.WORSE and not (change.low > 0 and change.value >= limit)
        count += row.verdict is Verdict.BETTER and not (change.high < 0 and change.value <= -limit)
        count += row.verdict is Verdict.NO_CHANGE and not -limit < change.low <= change.high < limit
    return count


def simulate(situation: Situation, runs: int) -> tuple[Counter[Verdict], int, int]:
    """Return the verdicts of all rows, the comparisons with a ``worse`` or ``better``, and the contradictions."""
    draw = random.Random(f"{situation}")
    verdicts: Counter[Verdict] = Counter()
    alarms = wrong = 0
    for _ in range(runs):
        found = comparison(draw, situation)
        verdicts.update(row.verdict for row in found.rows)
        alarms += any(row.verdict in {Verdict.WORSE, Verdict.BETTER} for row in found.rows)
        wrong += contradictions(found)
    return verdicts, alarms, wrong


def power_at_need(situation: Situation, runs: int) -> tuple[float, float]:
    """Return the share of runs with the repeats that a pilot asked for that show twice the threshold, and their mean.

    The pilot compares two equal runs; the repeats that its reason names are then run with a true change of 10 %.
    """
    draw = random.Random(f"need {situation}")
    shown = total = asked = 0
    while total < runs:
        (row, *_) = comparison(draw, situation).rows
        match = re.search(r"need (\d+) to show 10 %", row.reason)
        if match is None:
            continue
        k = int(match[1])
        again = Situation(cells=situation.cells, n=(k, k), cv=situation.cv, change=0.10)
        (row, *_) = comparison(draw, again).rows
        shown += row.verdict is Verdict.WORSE
        asked += k
        total += 1
    return shown / total, asked / total


def same_runs() -> Iterator[Situation]:
    """Yield situations without a change."""
    for cells, quantities in ((1, 1), (20, 1), (20, 3)):
        for n in (3, 5, 10, 30):
            yield Situation(cells=cells, quantities=quantities, n=(n, n), cv=(0.05, 0.05))
    for cv in (0.01, 0.10):
        yield Situation(cells=20, quantities=3, n=(5, 5), cv=(cv, cv))
    yield Situation(cells=20, n=(5, 15), cv=(0.06, 0.02))
    yield Situation(cells=20, n=(15, 5), cv=(0.06, 0.02))
    yield Situation(cells=20, n=(10, 10), disturbed=0.03)
    yield Situation(cells=20, n=(3, 3), disturbed=0.03)
    for cells in (1, 20):
        yield Situation(cells=cells, session_sd=0.03, sessions=(5, 1))
    yield Situation(session_sd=0.03, sessions=(4, 4))
    yield Situation(session_sd=0.03)


def changed_runs() -> Iterator[Situation]:
    """Yield situations with a change at or above the threshold."""
    for n in (3, 5, 10):
        yield Situation(n=(n, n), change=0.10)
    yield Situation(cells=20, n=(3, 3), change=0.10)
    yield Situation(cells=20, n=(5, 5), change=0.10)
    yield Situation(cells=20, quantities=3, n=(5, 5), change=0.10)
    yield Situation(n=(5, 5), change=0.10, threshold="5%!")
    yield Situation(n=(5, 5), change=0.05)
    yield Situation(n=(30, 30), cv=(0.05, 0.05), change=0.05)
    yield Situation(n=(30, 30), cv=(0.05, 0.05), change=0.06)
    yield Situation(n=(10, 10), change=0.10, disturbed=0.03)
    yield Situation(n=(5, 5), change=0.50, cells=20)


def share_interval(hits: int, runs: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Clopper and Pearson 1934, Biometrika 26:404)."""
    from scipy import special

    low = float(special.betaincinv(hits, runs - hits + 1, 0.025)) if hits else 0.0
    high = float(special.betaincinv(hits + 1, runs - hits, 0.975)) if hits < runs else 1.0
    return low, high


def same_row(situation: Situation, runs: int) -> str:
    """Return the row of a situation without a change."""
    _, alarms, wrong = simulate(situation, runs)
    low, high = share_interval(alarms, runs)
    return f"| {situation} | {alarms / runs:.1%} | {low:.1%} to {high:.1%} | {wrong} |"


def changed_row(situation: Situation, runs: int) -> str:
    """Return the row of a situation with a change."""
    verdicts, _, wrong = simulate(situation, runs)
    count = verdicts.total()
    detected, missed = verdicts[Verdict.WORSE] / count, verdicts[Verdict.NO_CHANGE] / count
    return f"| {situation} | {detected:.1%} | {missed:.1%} | {wrong} |"


def pilot_row(situation: Situation, runs: int) -> str:
    """Return the row of a pilot and of the runs that it asks for."""
    power, k = power_at_need(situation, runs)
    return f"| {situation} | {k:.1f} | {power:.1%} |"


def pilots() -> Iterator[Situation]:
    """Yield the pilots."""
    for cells, cv, n in ((1, 0.05, 5), (1, 0.10, 5), (1, 0.05, 3), (20, 0.05, 5)):
        yield Situation(cells=cells, n=(n, n), cv=(cv, cv))


TABLES: tuple[tuple[str, Callable[[Situation, int], str], Callable[[], Iterator[Situation]]], ...] = (
    (
        "| equal runs: cells × quantities | false alarms | 95 % interval | contradictions |\n|---|--:|--:|--:|",
        same_row,
        same_runs,
    ),
    (
        "\n| changed runs | detected | wrong no change | contradictions |\n|---|--:|--:|--:|",
        changed_row,
        changed_runs,
    ),
    ("\n| pilot | mean k that its reason asks for | power at k for +10 % |\n|---|--:|--:|", pilot_row, pilots),
)


def print_tables(runs: int, processes: int) -> None:
    """Print the three tables; the numbers do not depend on how many processes work at them."""
    with ProcessPoolExecutor(processes) as pool:
        for head, row, situations in TABLES:
            print(head, flush=True)
            for text in pool.map(row, situations(), itertools.repeat(runs)):
                print(text, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=400, help="simulated comparisons per row (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=1, help="rows simulated at a time (default: %(default)s)")
    arguments = parser.parse_args()
    print_tables(arguments.runs, arguments.processes)
