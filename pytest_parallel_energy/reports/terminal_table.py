"""The table in the terminal: one row per cell, numbered notes below it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ..records.record import Record
from ..statistics.grouping import Cell, group_cells
from ..units import format_joules, format_seconds
from .layout import Column, Line, fit_columns, format_interval, format_number, format_share, shorten, wrap
from .remarks import cell_remarks, origins
from .window_lines import cell_windows

__all__ = ["Line", "Notes", "cell_columns", "provenance", "render_table"]

_NARROWEST = 60
"""Columns below which the table does not shrink any further."""
_NAME_WISHES = ((100, 40), (0, 28))
"""Terminal width from which on a name asks for so many characters before other columns leave the table."""
_PARTS = ("cpu", "gpu", "dram")


@dataclass(slots=True)
class Notes:
    """Sentences numbered from 1 in the order of their first use, each once."""

    numbers: dict[str, int] = field(default_factory=dict)

    def refer(self, sentences: Iterable[str]) -> str:
        """Return the numbers of ``sentences``, in ascending order."""
        found = {self.numbers.setdefault(sentence, len(self.numbers) + 1) for sentence in sentences}
        return " ".join(str(number) for number in sorted(found))


def render_table(records: Sequence[Record], *, width: int) -> list[Line]:
    """Return the lines of the table for ``width`` characters; none for no records.

    What does not fit beside the numbers that matter most (n, time, energy, quality) goes to an indented line below its
    row. Nothing unknown is printed as a number.
    """
    if not records:
        return []
    cells = group_cells(records)
    width = max(width, _NARROWEST)
    notes = Notes()
    lines = [*_rows(cells, width, notes), Line(text="")]
    for text, number in notes.numbers.items():
        lines += [Line(text=part, severity="warn") for part in wrap(f"[{number}] {text}", width, indent="    ")]
    for text in (provenance(cells), *origins(cells)):
        lines += [Line(text=part) for part in wrap(text, width, indent="    ")]
    if any(cell.n == 1 for cell in cells):
        lines += [Line(text=part) for part in wrap(_SINGLE, width, indent="    ")]
    return lines


_SINGLE = "± is the 95 % interval; where n is 1 it holds the meter's error alone, not the spread of repeats"


def _rows(cells: Sequence[Cell], width: int, notes: Notes) -> Iterator[Line]:
    names = _names(cells)
    longest = max(len(name) for _, name in names)
    wish = min(longest, next(wish for least, wish in _NAME_WISHES if width >= least))
    kept, moved = fit_columns(cell_columns(cells, notes), width - wish - 2)
    room = max(width - sum(column.width + 2 for column in kept), 12)
    name_width = min(room, max(longest, len("experiment")))
    yield Line(
        text="  ".join(["experiment".ljust(name_width), *(c.cell(c.head) for c in kept)]).rstrip(), severity="head"
    )
    group = ""
    for index, (cell, (head, name)) in enumerate(zip(cells, names, strict=True)):
        if head != group and head:
            yield Line(text=shorten(head, width))
        group = head
        fits = len(name) <= name_width
        if not fits:  # a row of its own: an id that is cut cannot be typed after -k
            yield Line(text=shorten(name, width), severity=_severity(cell))
        texts = [(name if fits else "").ljust(name_width), *(c.cell(c.texts[index]) for c in kept)]
        yield Line(text="  ".join(texts).rstrip(), severity=_severity(cell))
        details = [f"{c.head} {c.texts[index]}" for c in moved if c.texts[index]]
        if details:
            yield from (Line(text=f"      {part}") for part in wrap("; ".join(details), width - 6))


def cell_columns(cells: Sequence[Cell], notes: Notes) -> list[Column]:
    """Return all columns but the name, one text per cell, and fill ``notes`` with what their column refers to."""

    def column(head: str, texts: Iterable[str], *, optional: bool = True, right: bool = True) -> Column:
        return Column(head=head, texts=tuple(texts), optional=optional, right=right)

    energies = [(mean.value, mean.u95) for mean in (cell.energy() for cell in cells)]
    columns = [
        column("n", (str(cell.n) for cell in cells), optional=False),
        column("time", (format_seconds(cell.mean_s()) for cell in cells), optional=False),
        column("energy ± 95 %", (format_interval(*energy, "J") for energy in energies), optional=False),
        column("quality", (cell.quality for cell in cells), optional=False, right=False),
    ]
    for part in _PARTS:
        texts = [_part(cell, part) for cell in cells]
        if any(texts):
            columns.append(column(part, texts))
    if any(record.background for cell in cells for record in cell.sample):
        columns.append(column("load", (_load(cell) for cell in cells)))
    metrics = [cell.metrics() for cell in cells]
    names = dict.fromkeys(name for found in metrics for name in found)
    columns += [column(name, (format_number(f[name]) if name in f else "" for f in metrics)) for name in names]
    windows = [cell_windows(cell) for cell in cells]
    if any(windows):
        columns.append(column("windows", windows, right=False))
    numbers = [notes.refer(cell_remarks(cell)) for cell in cells]
    if any(numbers):
        columns.append(column("notes", (f"[{text}]" if text else "" for text in numbers), optional=False, right=False))
    return columns


def _names(cells: Sequence[Cell]) -> list[tuple[str, str]]:
    """Return a heading and a name per cell: tests with parameters stand indented below their function."""
    counts = Counter(cell.name for cell in cells)
    found = []
    for cell in cells:
        head, bracket, parameters = cell.name.partition("[")
        parts = [parameters.removesuffix("]")] if bracket else []
        if counts[cell.name] > 1:  # one test on two kinds of host, or beside another load
            parts.append(cell.cell)
        found.append((head, f"  {'-'.join(parts)}") if parts else ("", head))
    return found


def _part(cell: Cell, part: str) -> str:
    """Return the joules of one kind of domain; a dash where they are missing, empty without such a domain."""
    value_j = cell.part_j(part)
    wanted = any(domain.kind.startswith(part) for record in cell.sample for domain in record.energy.domains)
    return format_joules(value_j) if wanted or value_j is not None else ""


def _load(cell: Cell) -> str:
    """Return the rounds of all loads in a mean attempt and the lowest coverage; empty without loads."""
    loads = [load for record in cell.sample for load in record.background]
    if not loads:
        return ""
    attempts = sum(bool(record.background) for record in cell.sample)
    known = [load.coverage_ratio for load in loads if load.coverage_ratio is not None]
    coverage = format_share(min(known) if len(known) == len(loads) else None)
    counts = [load.rounds_completed for load in loads if load.rounds_completed is not None]
    rounds = sum(counts) / attempts if len(counts) == len(loads) else None
    return f"{format_number(rounds)} {'round' if rounds == 1 else 'rounds'}, {coverage}"


def _severity(cell: Cell) -> str:
    if cell.n == 0:
        return "bad"
    return "warn" if cell.failed or cell.quality in {"estimated", "missing"} else "plain"


def provenance(cells: Sequence[Cell]) -> str:
    """Return one sentence on the qualities of the cells and what their totals contain."""
    qualities = Counter(cell.quality for cell in cells)
    boundaries = Counter(record.energy.boundary or "unknown" for cell in cells for record in cell.sample)
    quality = next(iter(qualities)) if len(qualities) == 1 else _counted(qualities, "cells")
    boundary = (
        next(iter(boundaries))
        if len(boundaries) == 1
        else f"not the same everywhere: {_counted(boundaries, 'records')}"
    )
    return f"quality: {quality} | boundary: {boundary}"


def _counted(counts: Counter[str], unit: str) -> str:
    return "; ".join(
        f"{name} ({count} {unit if count != 1 else unit.removesuffix('s')})" for name, count in counts.most_common()
    )
