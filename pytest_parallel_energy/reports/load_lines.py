"""The background loads in words: what they did in each cell, and what they changed for the training next to them."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from ..records.record import IDLE_INCLUDED, LoadReport
from ..statistics.analysis import LoadPair, load_pairs
from ..statistics.grouping import Cell, mean_or_none
from ..statistics.like_cells import load_names
from ..statistics.measured_as import measured_as
from ..statistics.ratios import Ratio
from ..units import format_joules, format_seconds
from .layout import Line, format_number, format_ratio, format_share, wrap

__all__ = [
    "ESTIMATED_PAIR",
    "exit_codes",
    "failed_rounds",
    "interval_words",
    "level",
    "load_facts",
    "neighbour",
    "render_loads",
]

_MOST_CELLS = 40
_LOW_RATIO = 0.9
_LONG_GAP_RATIO = 0.1
"""Share of a round above which the longest gap between two is worth its words."""
_NEARLY_ALL = 0.995
"""Shares above it are written ">99 %", which needs no "at least"."""
_ALONE_HINT = "no cell ran the same training alone to compare with: parametrize background_load with None and the load"
_WHOLE_IS_SPLIT = (
    "the idle power was not measured, so the whole energy is split: a part is not what the training caused, which may "
    "be several times less (--energy-idle measures the idle power)"
)
ESTIMATED_PAIR = "the energy is estimated, linear in CPU time: it cannot show what a load changes"


def render_loads(cells: Sequence[Cell], names: Mapping[int, str], *, width: int) -> list[Line]:
    """Return what each load did and changed: one line per cell and load, and one that compares with the same alone.

    40 cells at most, and then how many more; none where there was no load.

    Args:
        cells: all cells of the run.
        names: the names of cells by ``id()``.
        width: characters; longer lines are wrapped.
    """
    loaded = [cell for cell in cells if cell.sample[0].background]
    pairs = {id(pair.beside): pair for pair in load_pairs(cells)}
    found = []
    for cell in loaded[:_MOST_CELLS]:
        for facts, bad in load_facts(cell):
            found.append((f"{names[id(cell)]}: {facts}", "warn" if bad else "plain", 2))
        found.append((neighbour(cell, pairs.get(id(cell))), "plain", 4))
    methods = dict.fromkeys(r.attribution.method for c in loaded for r in c.sample if r.attribution.foreground_j)
    if methods:
        found.append((f"shares attributed by {'; '.join(methods)}", "plain", 2))
    if any(method.endswith(IDLE_INCLUDED) for method in methods):
        found.append((_WHOLE_IS_SPLIT, "plain", 2))
    if loaded and not pairs:
        found.append((_ALONE_HINT, "plain", 2))
    if len(loaded) > _MOST_CELLS:
        found.append((f"… and {len(loaded) - _MOST_CELLS} more cells with loads, in the HTML report", "plain", 2))
    return [
        Line(text=f"{' ' * (indent if first else indent + 2)}{part}", severity=severity)
        for text, severity, indent in found
        for first, part in _numbered(wrap(text, width - indent - 2))
    ]


def _numbered(parts: Sequence[str]) -> Iterator[tuple[bool, str]]:
    return ((number == 0, part) for number, part in enumerate(parts))


def load_facts(cell: Cell) -> Iterator[tuple[str, bool]]:
    """Yield in one sentence what each load did in the attempts of a cell, and whether something went wrong with it."""
    attempts = [record.background for record in cell.sample if record.background]
    by_name: dict[tuple[str, int], list[LoadReport]] = {}
    for loads in attempts:
        seen: Counter[str] = Counter()
        for load in loads:
            by_name.setdefault((load.name, seen[load.name]), []).append(load)
            seen[load.name] += 1
    for (name, _), reports in by_name.items():
        lowest = _lowest_coverage(reports)
        stops = Counter(str(load.stop) for load in reports if load.stop in {"forced", "lost"})
        bad = lowest is None or lowest < _LOW_RATIO or stops or any(load.rounds_failed for load in reports)
        yield f"{name}: {', '.join(_facts(reports, lowest, stops))}", bool(bad)


def _facts(loads: Sequence[LoadReport], lowest: float | None, stops: Mapping[str, int]) -> Iterator[str]:
    yield _rounds(loads)
    rounds_s = [load.round_mean_s for load in loads if load.round_mean_s is not None]
    gap_s = max((load.gap_s for load in loads if load.gap_s is not None), default=None)
    if gap_s is not None and rounds_s and gap_s > _LONG_GAP_RATIO * statistics.fmean(rounds_s):
        yield f"gaps up to {format_seconds(gap_s)}"
    at_least = "at least " if len(loads) > 1 and lowest is not None and 0 < lowest < _NEARLY_ALL else ""
    yield f"ran {at_least}{format_share(lowest)} of the window"
    if stalled_s := sum(load.stalled_s or 0.0 for load in loads):
        yield f"stopped by a signal for {format_seconds(stalled_s)}"
    if hung_s := sum(load.hung_s or 0.0 for load in loads):
        yield f"hung for {format_seconds(hung_s)}"
    shares = [load.gpu_percent for load in loads if load.gpu_percent is not None]
    if shares:
        yield f"{statistics.fmean(shares):.0f} % of the GPU"
    yield from dict.fromkeys(level(load) for load in loads if load.level is not None)
    yield from dict.fromkeys(f"batch {' → '.join(map(str, load.batch_sizes))}" for load in loads if load.batch_sizes)
    yield from (f"stopped: {stop}{_of(count, len(loads))}" for stop, count in stops.items())


def _of(count: int, attempts: int) -> str:
    return f" ({count} of {attempts} attempts)" if attempts > 1 else ""


def _rounds(loads: Sequence[LoadReport]) -> str:
    if failed := [load for load in loads if load.rounds_failed]:
        words = "; ".join(dict.fromkeys(map(failed_rounds, failed)))
        return words + (_of(len(failed), len(loads)) if len(failed) < len(loads) else "")
    counts = [load.rounds_completed for load in loads if load.rounds_completed is not None]
    if len(counts) < len(loads):
        return "rounds unknown"
    mean = statistics.fmean(counts)
    rounds_s = [load.round_mean_s for load in loads if load.round_mean_s is not None]
    each = f" of {format_seconds(statistics.fmean(rounds_s))}" if rounds_s and len(rounds_s) == len(loads) else ""
    per = " per attempt" if len(loads) > 1 else ""
    return f"{format_number(mean, 3)} {'round' if mean == 1 else 'rounds'}{each}{per}"


def _lowest_coverage(loads: Sequence[LoadReport]) -> float | None:
    known = [load.coverage_ratio for load in loads if load.coverage_ratio is not None]
    return min(known) if len(known) == len(loads) else None


def neighbour(cell: Cell, pair: LoadPair | None) -> str:
    """Return in one sentence what the loads of a cell changed: time, energy, this training's share, and the verdict.

    Args:
        cell: a cell with a load.
        pair: the same with its partner alone; ``None`` where it has none.
    """
    parts = []
    if pair is not None:
        time_words = interval_words(pair.slowdown).replace("(", "(95 % ")
        parts = [f"time {time_words}", f"machine energy {interval_words(pair.inflation)}"]
    parts.append(_share(cell))
    verdicts = ", ".join(_verdicts(pair)) if pair else ""
    return f"alongside {load_names(cell)}: {', '.join(parts)}{f': {verdicts}' if verdicts else ''}"


def interval_words(ratio: Ratio | None) -> str:
    """Return a ratio with its 95 % interval.

    >>> interval_words(Ratio(value=1.09, low=1.052, high=1.131)), interval_words(None)
    ('× 1.09 (1.05 to 1.13)', 'unknown')
    """
    if ratio is None:
        return "unknown"
    if ratio.low is None or ratio.high is None:
        return format_ratio(ratio.value)
    low, high = (format_ratio(end).removeprefix("× ") for end in (ratio.low, ratio.high))
    return f"{format_ratio(ratio.value)} ({low} to {high})"


def _share(cell: Cell) -> str:
    """Return the share of the machine's energy that is this training's, with the bounds of the attribution."""
    shares = [record.attribution for record in cell.sample]
    totals = [record.energy.total_j for record in cell.sample]
    if len({measured_as(record, "foreground_j") for record in cell.sample}) > 1:
        return "this training's share unknown (attributed in several ways)"
    own_j, total_j = mean_or_none([share.foreground_j for share in shares]), mean_or_none(totals)
    if own_j is None or not total_j:
        return "this training's share unknown"
    low_j, high_j = mean_or_none([share.low_j for share in shares]), mean_or_none([share.high_j for share in shares])
    bounds = ""
    if low_j is not None and high_j is not None:
        bounds = f" ({format_share(low_j / total_j)} to {format_share(high_j / total_j)})"
    name = "part by use" if shares[0].method.endswith(IDLE_INCLUDED) else "share"
    return f"this training's {name} {format_share(own_j / total_j)}{bounds}, {format_joules(own_j)}"


def _verdicts(pair: LoadPair) -> Iterator[str]:
    """Yield the verdicts on time and energy; an interval that holds 1 shows no change, which is not "no change"."""
    slowdown, inflation = pair.slowdown, pair.inflation
    if slowdown is not None:
        words = {1: "slower", -1: "faster", 0: "no slowdown shown"}
        yield words.get(slowdown.direction, "") if slowdown.direction is not None else _single(pair)
    if "estimated" in {pair.alone.quality, pair.beside.quality}:
        yield ESTIMATED_PAIR
    elif inflation is not None and inflation.direction is not None:
        yield {1: "more energy", -1: "less energy", 0: "no change of energy shown"}[inflation.direction]


def _single(pair: LoadPair) -> str:
    return f"no verdict from {pair.alone.n} and {pair.beside.n} attempts (use --energy-repeats=3 or more)"


def failed_rounds(load: LoadReport) -> str:
    """Return how many of the load's rounds failed, and with which exit codes."""
    ended = "" if load.rounds_completed is None else f" of {load.rounds_completed + (load.rounds_failed or 0)}"
    rounds = "round" if load.rounds_failed == 1 and not ended else "rounds"
    return f"{load.rounds_failed}{ended} {rounds} failed (exit {exit_codes(load, failed=True)})"


def exit_codes(load: LoadReport, *, failed: bool = False) -> str:
    """Return the exit codes of its rounds, the most frequent first with its count; a dash before the first.

    Args:
        load: the load, from its record.
        failed: leave out those that passed.
    """
    counts = Counter(code for code in load.exit_codes if code or not failed)
    words = (f"{code} × {count}" if count > 1 else f"{code}" for code, count in counts.most_common())
    return ", ".join(words) or "–"


def level(load: LoadReport) -> str:
    """Return the level that a load was held at and the level that it reached; empty for a load that ran freely."""
    if load.level is None:
        return ""
    reached = "unknown" if load.level_reached is None else f"{load.level_reached:.3g}"
    error = "" if load.level_u95 is None else f" ± {load.level_u95:.2g}"
    asked = "unknown" if load.level_asked is None else f"{load.level_asked:g}"
    return f"{load.level} {asked} (reached {reached}{error})"
