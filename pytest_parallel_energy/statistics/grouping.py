"""Records grouped by cell, with the numbers that a table shows: means, and intervals that need no SciPy."""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from msgspec import Struct
from msgspec.structs import replace

from ..records.record import Phase, Record, Status, WindowResult, all_metrics
from .measured_as import MeasuredAs, measured_as

__all__ = [
    "Cell",
    "Mean",
    "all_metrics",
    "cell_name",
    "function_of",
    "group_cells",
    "mean_of",
    "mean_or_none",
    "named_cells",
    "sample_sd",
    "short_name",
    "t_quantile",
]

_QUALITIES = ("counter", "integrated", "apportioned", "estimated", "missing")
"""Best first: ``energy.result.Quality``, as records hold it."""

# Student's t, 97.5 %, for 1 to 30 degrees of freedom (NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2).
_T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


class Mean(Struct, frozen=True, kw_only=True):
    """A mean and the half-width of its 95 % interval; both ``None`` where they cannot be known."""

    value: float | None
    u95: float | None
    n: int
    """Number of values that it is the mean of."""
    ends: tuple[float, float] | None = None
    """The ends of the interval where it is not symmetric (``u95`` is then the longer side), else ``None``."""


class Cell(Struct, frozen=True, kw_only=True, dict=True):
    """All records of one cell, in the order of writing.

    What is averaged (``sample``): the attempts that passed and are not warm-up. Where none did, the other measured
    attempts stand in, so that their energy is shown; ``n`` is 0 then.
    """

    cell: str
    name: str
    """The test's id without its repetition."""
    records: tuple[Record, ...]
    number: int = 1
    """Counts the cells with one hash that differ in their code or in how they were measured."""

    @property
    def key(self) -> str:
        """The hash, with the number behind it from the second cell of the same hash on: unique among cells."""
        return self.cell if self.number == 1 else f"{self.cell}-{self.number}"

    @cached_property
    def passed(self) -> tuple[Record, ...]:
        """The attempts that count."""
        return tuple(r for r in self.records if r.phase is Phase.MEASURED and r.status is Status.PASSED)

    @cached_property
    def failed(self) -> tuple[Record, ...]:
        """Attempts that ended in any other way, warm-ups among them; a failure that was expected is none."""
        return tuple(r for r in self.records if r.status not in {Status.PASSED, Status.XFAILED})

    @property
    def warmups(self) -> tuple[Record, ...]:
        """Attempts that were planned not to count."""
        return tuple(r for r in self.records if r.phase is Phase.WARMUP)

    @property
    def n(self) -> int:
        """Number of attempts that count."""
        return len(self.passed)

    @cached_property
    def sample(self) -> tuple[Record, ...]:
        """The records whose mean stands for the cell; never empty."""
        return self.passed or tuple(r for r in self.records if r.phase is Phase.MEASURED) or self.records

    @cached_property
    def quality(self) -> str:
        """The worst quality of the sample."""
        return max((record.energy.quality for record in self.sample), key=_rank)

    def mean_s(self) -> float:
        """Return the mean duration in seconds: of the window where there is one, else of the test."""
        return statistics.fmean(_seconds(record) for record in self.sample)

    def energy(self) -> Mean:
        """Return the mean joules of the total."""
        mean = mean_of([(r.energy.total_j, r.energy.total_u95_j) for r in self.sample])
        low_j = mean_or_none([r.energy.total_low_j for r in self.sample])
        high_j = mean_or_none([r.energy.total_high_j for r in self.sample])
        if mean.value is None or mean.u95 is None or low_j is None or high_j is None:
            return mean
        # what the mean's half-width has beyond the meter's is the spread of the repeats, which is symmetric
        meter_j = statistics.fmean([r.energy.total_u95_j or 0.0 for r in self.sample])
        spread_j = math.sqrt(max(0.0, mean.u95**2 - meter_j**2))
        ends = (
            mean.value - math.hypot(mean.value - low_j, spread_j),
            mean.value + math.hypot(high_j - mean.value, spread_j),
        )
        return replace(mean, ends=(max(0.0, ends[0]), ends[1]))

    def part_j(self, name: str) -> float | None:
        """Return the mean joules of ``cpu``, ``gpu`` or ``dram``; ``None`` unless each record of the sample has it."""
        values = [getattr(record.energy, f"{name}_j") for record in self.sample]
        return None if any(value is None for value in values) else statistics.fmean(values)

    def metrics(self) -> dict[str, float | None]:
        """Return the mean of each metric over the records that report it; ``None`` where one is unknown."""
        values: dict[str, list[float | None]] = {}
        for record in self.sample:
            for name, value in all_metrics(record).items():
                values.setdefault(name, []).append(value)
        return {name: mean_or_none(found) for name, found in values.items()}


def group_cells(records: Iterable[Record]) -> tuple[Cell, ...]:
    """Return the cells of ``records`` in the order in which each first appears.

    Records of another test, of other code, of another machine, or measured in another way are cells of their own, whose
    names say in what they differ: a mean over both would be a mean of nothing. Attempts without a total stay with the
    first way.
    """
    found = [(record, _key(record), measured_as(record)) for record in records]
    first: dict[tuple[str | None, ...], MeasuredAs] = {}
    for _, key, way in found:
        if way is not None:
            first.setdefault(key, way)
    grouped: dict[tuple[object, ...], list[Record]] = {}
    for record, key, way in found:
        grouped.setdefault((*key, way or first.get(key)), []).append(record)
    return named_cells(list(grouped.values()))


def _key(record: Record) -> tuple[str | None, ...]:
    return record.cell, function_of(record), record.code, record.host.machine_id


def named_cells(parts: Sequence[Sequence[Record]]) -> tuple[Cell, ...]:
    """Return a cell for each part of some records; where several have one name, with the facts in which they differ."""
    numbers: Counter[str] = Counter()
    cells = []
    for part, name in zip(parts, _names(parts), strict=True):
        numbers[part[0].cell] += 1
        cells.append(Cell(cell=part[0].cell, name=name, records=tuple(part), number=numbers[part[0].cell]))
    return tuple(cells)


def function_of(record: Record) -> str:
    """Return the test of a record: its file and function, without parameters."""
    return record.nodeid.partition("[")[0]


def _names(parts: Sequence[Sequence[Record]]) -> Iterator[str]:
    named: dict[str, list[Sequence[Record]]] = {}
    for part in parts:
        named.setdefault(short_name(part[0].nodeid), []).append(part)
    suffixes: dict[str, str] = {}
    for same in named.values():
        columns = list(zip(*map(_facts, same), strict=True)) if len(same) > 1 else []
        differing = [column for column in columns if len(set(column)) > 1]
        for index, part in enumerate(same):
            words = "; ".join(column[index] for column in differing)
            suffixes[part[0].record_id] = f" ({words})" if words else ""
    for part in parts:
        yield short_name(part[0].nodeid) + suffixes[part[0].record_id]


def _facts(part: Sequence[Record]) -> tuple[str, ...]:
    way = next(filter(None, map(measured_as, part)), None)
    sensors, boundary = (way.sensors, way.boundary) if way else ("not measured", "")
    host = part[0].host
    machine = f"on {host.hostname or host.machine_id or 'an unknown machine'}"
    return part[0].nodeid.partition("::")[0], f"code {part[0].code or 'unknown'}", machine, sensors, boundary


def mean_of(values: Sequence[tuple[float | None, float | None]]) -> Mean:
    """Return the mean of (value, half-width of its 95 % interval) pairs, at least one.

    Spread and measurement add in quadrature: ``t * s / sqrt(n)`` for the spread of the repeats (Student), and the mean
    of the half-widths for the meter, because most of it is gain, which is the same in each repeat and does not average
    out (JCGM 100:2008, 5.1 and 5.2). One unknown value makes the mean unknown; one unknown half-width the half-width.
    """
    known = [value for value, _ in values if value is not None]
    n = len(values)
    if len(known) < n or not known:
        return Mean(value=None, u95=None, n=n)
    meter = mean_or_none([u95 for _, u95 in values])
    if meter is None:
        return Mean(value=statistics.fmean(known), u95=None, n=n)
    spread = t_quantile(n - 1) * sample_sd(known) / math.sqrt(n) if n > 1 else 0.0
    return Mean(value=statistics.fmean(known), u95=math.hypot(spread, meter), n=n)


def sample_sd(values: Sequence[float]) -> float:
    """Return the standard deviation of two values or more (n - 1), in floats: 50 times as fast as ``statistics``."""
    mean = statistics.fmean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def t_quantile(degrees: int) -> float:
    """Return the 97.5 % quantile of Student's t for 1 or more degrees of freedom, to three decimals.

    Above 30 by the expansion of Abramowitz and Stegun, 26.7.5.

    >>> t_quantile(2), round(t_quantile(100), 3)
    (4.303, 1.984)
    """
    if degrees <= len(_T_975):
        return _T_975[degrees - 1]
    z = 1.959964
    return z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)


_REPETITION = re.compile(r"(^|-)(rep|warmup)\d+$")


def cell_name(nodeid: str) -> str:
    """Return the test's id with its file and without its repetition: the name of its cell on any host."""
    return f"{nodeid.partition('::')[0]}::{short_name(nodeid)}"


def short_name(nodeid: str) -> str:
    """Return a test's id without its file and without the part of its parameters that counts repetitions.

    >>> short_name("experiments/test_a.py::test_lr[lr=0.1-bg=toy/net-rep0]")
    'test_lr[lr=0.1-bg=toy/net]'
    >>> short_name("test_a.py::TestA::test_b[rep2]")
    'TestA::test_b'
    """
    name = nodeid.partition("::")[2] or nodeid
    head, bracket, parameters = name.partition("[")
    if not bracket:
        return name
    kept = _REPETITION.sub("", parameters.removesuffix("]"))
    return f"{head}[{kept}]" if kept else head


def worst_quality(energies: Iterable[WindowResult]) -> str:
    """Return the worst quality among some windows; ``missing`` for none."""
    return max((energy.quality for energy in energies), key=_rank, default="missing")


def _rank(quality: str) -> int:
    return _QUALITIES.index(quality) if quality in _QUALITIES else len(_QUALITIES)


def _seconds(record: Record) -> float:
    return record.duration_s if record.energy.window_s is None else record.energy.window_s


def mean_or_none(values: Sequence[float | None]) -> float | None:
    """Return the mean; ``None`` where a value is unknown, or there is none."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known and len(known) == len(values) else None
