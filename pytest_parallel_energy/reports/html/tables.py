"""The report's tables: each value as text for people and, where it sorts otherwise than its text, as a number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

from msgspec import Struct
from msgspec.structs import replace

from ...records.record import Record
from ...statistics.analysis import hyperparameter_effects, load_pairs
from ...statistics.compare import Comparison
from ...statistics.grouping import Cell
from ...statistics.host_overview import cells_by_class
from ...statistics.judgement import Verdict
from ...statistics.ratios import Ratio
from ...units import format_joules, format_seconds
from ..compare_text import change_text, format_mean, interval_text
from ..layout import format_interval, format_number, format_share
from ..load_lines import ESTIMATED_PAIR, exit_codes, interval_words, level
from ..ratio_columns import ratio_columns
from ..remarks import remarks
from ..window_lines import cell_windows
from .cell_labels import CellNames

__all__ = [
    "Table",
    "attempts_table",
    "cells_tables",
    "comparison_table",
    "correlation_table",
    "load_table",
    "owners_table",
    "pairs_table",
]

_PARTS = ("cpu", "gpu", "dram")
_FEW_ROWS = 4
_LONG_TEXT = 40
"""Characters above which a text gets a wide column."""


class Value(Struct, frozen=True, kw_only=True):
    """One field of a table."""

    text: str
    sort: float | str | None = None
    """The sort key; ``None`` sorts last."""
    style: str = ""
    """A class of the style sheet: ``bad``, ``good``, ``warn``, ``quality-counter`` …"""
    link: str = ""
    """The target of the text inside the page, without ``#``."""
    title: str = ""
    """What the browser shows when the pointer rests on it."""
    anchor: str = ""
    """The name under which this row can be linked to, without ``#``."""


class Table(Struct, frozen=True, kw_only=True, dict=True):
    """A sortable table with a caption, which is its accessible name."""

    key: str
    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]

    def first(self, most: int) -> Table:
        """Return the same table with at most so many rows."""
        return self if len(self.rows) <= most else replace(self, rows=self.rows[:most])

    @cached_property
    def numeric(self) -> tuple[bool, ...]:
        """For each column, whether it holds numbers: they stand to the right and sort by value."""
        return tuple(_is_numeric([row[i] for row in self.rows]) for i in range(len(self.heads)))

    @property
    def has_filter(self) -> bool:
        """Whether a box above the table filters its rows: a few rows are seen at once."""
        return len(self.rows) >= _FEW_ROWS


def _is_numeric(values: Iterable[Value]) -> bool:
    found = [value.sort for value in values if value.sort is not None]
    return bool(found) and all(isinstance(value, float) for value in found)


_NONE = Value(text="")
"""Nothing to be known, as a metric that this training does not have."""


def _plain(text: str, style: str = "") -> Value:
    return Value(text=text, sort=text, style=style)


def _number(value: float | None, text: str, style: str = "") -> Value:
    return Value(text=text, sort=None if value is None else float(value), style=style)


def _joules(value: float | None) -> Value:
    return _number(value, format_joules(value))


def _ratio(ratio: Ratio | None) -> Value:
    return _number(ratio.value if ratio else None, interval_words(ratio) if ratio else "–")


def _count(value: int | None, style: str = "") -> Value:
    return _number(value, "–" if value is None else str(value), style)


def quality_value(quality: str) -> Value:
    """Return a quality with its colour; the word itself says it too."""
    return _plain(quality, f"quality quality-{quality}")


def cells_tables(cells: Sequence[Cell], labels: Sequence[str]) -> list[Table]:
    """Return the cells: one table per class of machines, whose joules are not to be compared."""
    label_of = {cell.key: label for cell, label in zip(cells, labels, strict=True)}
    classes = cells_by_class(cells)
    several = len(classes) > 1
    return [
        _cells_table(
            members,
            [label_of[cell.key] for cell in members],
            key="cells" if number == 1 else f"cells-{number}",
            caption=f"Cells on {name}" if several else "Cells",
        )
        for number, (name, members) in enumerate(classes.items(), 1)
    ]


def _cells_table(cells: Sequence[Cell], labels: Sequence[str], *, key: str, caption: str) -> Table:
    """Return one row per cell, linked to its attempts."""
    metrics = list(dict.fromkeys(name for cell in cells for name in cell.metrics()))
    parts = [part for part in _PARTS if any(cell.part_j(part) is not None for cell in cells)]
    rows = []
    ratios = list(ratio_columns(cells))
    windows = [cell_windows(cell) for cell in cells]
    for index, (cell, label) in enumerate(zip(cells, labels, strict=True)):
        mean, found = cell.energy(), cell.metrics()
        state = "" if not cell.failed else "bad" if cell.n == 0 else "warn"
        row = [
            Value(text=label, sort=label, link=f"attempts-{cell.key}", anchor=f"cell-{cell.key}", title=cell.name),
            _number(cell.n, f"{cell.n} of {len(cell.records)}" if cell.n != len(cell.records) else str(cell.n), state),
            _number(cell.mean_s(), format_seconds(cell.mean_s())),
            _number(mean.value, format_interval(mean.value, mean.u95, "J", mean.ends)),
            quality_value(cell.quality),
            *(_number(column.values[index], column.texts[index]) for column in ratios),
            *(_number(cell.part_j(part), format_joules(cell.part_j(part))) for part in parts),
            _coverage(cell),
            *(_number(found[name], format_number(found[name])) if name in found else _NONE for name in metrics),
            *([_plain(windows[index], "wide")] if any(windows) else []),
        ]
        rows.append(tuple(row))
    heads: tuple[str, ...] = ("experiment", "n", "time", "energy ± 95 %", "quality")
    heads += (*(column.head for column in ratios), *parts, "load", *metrics, *(["windows"] if any(windows) else []))
    return Table(key=key, caption=caption, heads=heads, rows=tuple(rows))


def _coverage(cell: Cell) -> Value:
    loads = [load for record in cell.sample for load in record.background]
    if not loads:
        return Value(text="alone")
    known = [load.coverage_ratio for load in loads if load.coverage_ratio is not None]
    lowest = min(known) if len(known) == len(loads) else None
    names = " + ".join(dict.fromkeys(load.name for load in loads))
    return _number(lowest, f"{names}, {format_share(lowest)}")


def attempts_table(cells: Sequence[Cell], labels: Sequence[str]) -> Table:
    """Return one row per attempt, failed ones and warm-ups too; the first of each cell can be linked to."""
    rows = []
    for cell, label in zip(cells, labels, strict=True):
        for index, record in enumerate(cell.records):
            anchor = f"attempts-{cell.key}" if index == 0 else ""
            rows.append((Value(text=label, sort=label, link=f"cell-{cell.key}", anchor=anchor), *_attempt(record)))
    heads = (
        "experiment",
        "repetition",
        "attempt",
        "phase",
        "status",
        "duration",
        "energy ± 95 %",
        "mean power",
        "remarks",
        "folder",
    )
    return Table(key="attempts", caption="Attempts", heads=heads, rows=tuple(rows))


def _attempt(record: Record) -> tuple[Value, ...]:
    energy = record.energy
    ends = (energy.total_low_j, energy.total_high_j)
    return (
        _number(record.repetition, str(record.repetition)),
        _number(record.attempt, str(record.attempt)),
        _plain(record.phase),
        _plain(record.status, {"passed": "good", "xfailed": ""}.get(record.status, "bad")),
        _number(record.duration_s, format_seconds(record.duration_s)),
        _number(energy.total_j, format_interval(energy.total_j, energy.total_u95_j, "J", ends)),
        _number(energy.mean_w, format_interval(energy.mean_w, None, "W").removesuffix(" ± –")),
        _plain("; ".join(remarks(record)), "wide"),
        _plain(record.folder or ""),
    )


def comparison_table(comparison: Comparison, names: CellNames) -> Table:
    """Return one row per cell and quantity, with the verdict in words and colour."""
    styles = {Verdict.WORSE: "bad", Verdict.BETTER: "good", Verdict.NO_CHANGE: ""}
    rows = []
    for row in comparison.rows:
        label = names.of_hash(row.cell)
        name = label or row.name
        rows.append((
            Value(text=name, sort=name, link=f"cell-{row.cell}" if label else ""),
            _plain(row.quantity),
            _number(row.old_mean, format_mean(row.old_mean, row.quantity)),
            _number(row.new_mean, format_mean(row.new_mean, row.quantity)),
            _number(row.change.value if row.change else None, change_text(row)),
            _plain(interval_text(row), "whole"),
            _number(row.p, format_number(row.p, 2)),
            _plain(f"{row.verdict}{f' ({row.reason})' if row.reason else ''}", styles.get(row.verdict, "warn")),
        ))  # fmt: skip
    heads = ("experiment", "quantity", "old", "new", "change", "95 % interval", "p (Holm)", "verdict")
    caption = f"{comparison.old_name} against {comparison.new_name}"
    return Table(key="comparison", caption=caption, heads=heads, rows=tuple(rows))


def pairs_table(cells: Sequence[Cell], labels: Sequence[str]) -> Table:
    """Return slowdown, inflation and interference of each cell alongside a load, against the same cell alone."""
    names = {cell.key: label for cell, label in zip(cells, labels, strict=True)}
    rows = []
    for pair in load_pairs(cells):
        alone, beside = pair.alone.energy(), pair.beside.energy()
        rows.append((
            Value(text=names[pair.beside.key], sort=names[pair.beside.key], link=f"cell-{pair.beside.key}"),
            _plain(pair.load),
            _number(alone.value, format_interval(alone.value, alone.u95, "J", alone.ends)),
            _number(beside.value, format_interval(beside.value, beside.u95, "J", beside.ends)),
            _ratio(pair.slowdown),
            _ratio(pair.inflation),
            _number(pair.foreground_j, format_joules(pair.foreground_j)),
            _number(pair.interference_w, format_interval(pair.interference_w, None, "W").removesuffix(" ± –")),
        ))  # fmt: skip
    heads = (
        "experiment",
        "load",
        "alone",
        "with the load",
        "slowdown",
        "inflation",
        "foreground's share",
        "interference",
    )
    estimated = any("estimated" in {pair.alone.quality, pair.beside.quality} for pair in load_pairs(cells))
    caption = f"Alone against co-running ({ESTIMATED_PAIR})" if estimated else "Alone against co-running"
    return Table(key="pairs", caption=caption, heads=heads, rows=tuple(rows))


def correlation_table(cells: Sequence[Cell]) -> Table:
    """Return Spearman's correlation of each hyperparameter with energy."""
    rows = []
    for effect in hyperparameter_effects(cells):
        found = effect.correlation
        rows.append((
            _plain(effect.name),
            _plain(effect.workload),
            _plain(effect.load, "wide" if len(effect.load) > _LONG_TEXT else ""),
            _number(len(effect.points), str(len(effect.points))),
            _number(found.rho if found else None, f"{found.rho:+.2f}" if found else "–"),
            _number(found.p if found else None, format_number(found.p if found else None, 2)),
        ))  # fmt: skip
    heads = ("hyperparameter", "workload", "load", "cells", "Spearman's rho", "p (Holm)")
    return Table(key="correlations", caption="Hyperparameters against energy", heads=heads, rows=tuple(rows))


def _experiment(record: Record, names: CellNames) -> Value:
    label, key = names.of(record)
    return Value(text=label, sort=label, link=f"cell-{key}")


def load_table(records: Sequence[Record], names: CellNames) -> Table:
    """Return one row per load and attempt: rounds, coverage, gaps, what it used, and the way it was stopped."""
    rows = [
        (
            _experiment(record, names),
            _plain(load.name),
            _plain(level(load)),
            _count(load.rounds_completed),
            _count(load.rounds_failed, "warn" if load.rounds_failed else ""),
            _plain(exit_codes(load)),
            _number(load.round_mean_s, format_seconds(load.round_mean_s)),
            _number(load.coverage_ratio, format_share(load.coverage_ratio)),
            _number(load.gap_s, format_seconds(load.gap_s)),
            _number(load.uptime_s, format_seconds(load.uptime_s)),
            _number(load.cpu_s, format_seconds(load.cpu_s)),
            _number(load.gpu_percent, "–" if load.gpu_percent is None else f"{load.gpu_percent:.0f} %"),
            _plain(load.stop or "–", "warn" if load.stop in {"forced", "lost"} else ""),
            _plain(load.container or "–"),
        )
        for record in records
        for load in record.background
    ]
    heads = (
        "experiment",
        "load",
        "held at",
        "rounds",
        "failed",
        "exit codes",
        "a round",
        "coverage",
        "longest gap",
        "uptime",
        "CPU time",
        "GPU",
        "stop",
        "isolated by",
    )
    return Table(key="loads", caption="Background loads", heads=heads, rows=tuple(rows))


def owners_table(records: Sequence[Record], names: CellNames) -> Table:
    """Return one row per attempt alongside loads: the owners of the energy of its window."""
    rows = [
        (
            _experiment(record, names),
            _joules(record.energy.total_j),
            _joules(record.attribution.foreground_j),
            _joules(record.attribution.low_j),
            _joules(record.attribution.high_j),
            _joules(record.attribution.background_j),
            _joules(record.attribution.other_j),
            _joules(record.attribution.idle_j),
            _plain(record.attribution.method),
        )
        for record in records
        if record.background
    ]
    heads = ("experiment", "all", "foreground", "at least", "at most", "background", "others", "idle", "by")
    return Table(key="owners", caption="Energy attribution", heads=heads, rows=tuple(rows))
