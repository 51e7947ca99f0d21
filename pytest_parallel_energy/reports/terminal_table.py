"""The table in the terminal: one row per cell, numbered notes below it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ..records.record import Record
from ..statistics.grouping import Cell, group_cells
from ..units import format_joules, format_seconds
from .board_lines import cell_boards, cell_left_out, node_sentences
from .layout import Column, Line, fit_columns, format_interval, format_number, format_share, shorten, wrap
from .load_lines import render_loads
from .notes import Notes
from .ratio_columns import ratio_columns
from .remarks import cell_remarks, origins
from .window_lines import cell_windows
from .work_lines import cell_work, projection_sentences

__all__ = ["Line", "cell_columns", "provenance", "render_table"]

_NARROWEST = 60
"""Columns below which the table does not shrink any further."""
_NAME_WISHES = ((100, 40), (0, 28))
"""Terminal width from which on a name asks for so many characters before other columns leave the table."""
_STACKED = 6
"""Characters left of the first column where names stand in lines of their own, with the gap."""
_PARTS = ("cpu", "gpu", "dram")


def render_table(records: Sequence[Record], *, width: int) -> list[Line]:
    """Return the lines of the table for ``width`` characters, the notes and the loads; none for no records.

    What does not fit beside the numbers that matter most (n, time, energy, quality, ratio, load) goes to an indented
    line below its row. Nothing unknown is printed as a number.
    """
    if not records:
        return []
    cells = group_cells(records)
    width = max(width, _NARROWEST)
    notes = Notes()
    lines = [*_rows(cells, width, notes), Line(text="")]
    for number, text in enumerate(notes.sentences, 1):
        lines += [Line(text=part, severity="warn") for part in wrap(f"[{number}] {text}", width, indent="    ")]
    for text in (*projection_sentences(cells), *node_sentences(records), provenance(cells), *origins(cells)):
        lines += [Line(text=part) for part in wrap(text, width, indent="    ")]
    if any(cell.n == 1 for cell in cells):
        lines += [Line(text=part) for part in wrap(_SINGLE, width, indent="    ")]
    loads = render_loads(
        cells, {id(cell): name for cell, name in zip(cells, _load_names(cells), strict=True)}, width=width
    )
    if loads:
        lines += [Line(text=""), Line(text="background loads:", severity="head"), *loads]
    return lines


_SINGLE = "± is the 95 % interval; where n is 1 it holds the meter's error alone, not the spread of repeats"


def _rows(cells: Sequence[Cell], width: int, notes: Notes) -> Iterator[Line]:
    names = _names(cells)
    columns = cell_columns(cells, notes)
    kept, moved, name_width = _fitted(columns, max(len(name) for _, name in names), width)
    corner = "experiment" if name_width > _STACKED else ""
    yield Line(
        text="  ".join([corner.ljust(name_width), *(c.cell(c.head) for c in kept)]).rstrip(),
        severity="head",
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
        found = [(f"{c.head} {c.texts[index]}", c.below) for c in moved if c.texts[index]]
        details = ["; ".join(text for text, below in found if not below), *(text for text, below in found if below)]
        for text in filter(None, details):  # what always stands below has a line of its own
            yield from (Line(text=f"      {part}") for part in wrap(text, width - 6))


def _fitted(columns: Sequence[Column], longest: int, width: int) -> tuple[tuple[Column, ...], tuple[Column, ...], int]:
    """Return the columns that stand in the rows, the others, and the width of the names.

    Names stand in lines of their own where a wanted column would otherwise leave the table.
    """
    wish = min(longest, next(wish for least, wish in _NAME_WISHES if width >= least))
    kept, moved = fit_columns(columns, width - wish - 2)
    if any(column.wanted for column in moved):
        kept, moved = fit_columns(columns, width - _STACKED)
        return kept, moved, _STACKED - 2
    room = max(width - sum(column.width + 2 for column in kept), 12)
    return kept, moved, min(room, max(longest, len("experiment")))


def cell_columns(cells: Sequence[Cell], notes: Notes) -> list[Column]:
    """Return all columns but the name, one text per cell, and fill ``notes`` with what their column refers to."""

    def column(head: str, texts: Iterable[str], *, optional: bool = True, right: bool = True, **more: bool) -> Column:
        return Column(head=head, texts=tuple(texts), optional=optional, right=right, **more)

    energies = [cell.energy() for cell in cells]
    columns = [
        column("n", (str(cell.n) for cell in cells), optional=False),
        column("time", (format_seconds(cell.mean_s()) for cell in cells), optional=False),
        column("energy ± 95 %", (format_interval(e.value, e.u95, "J", e.ends) for e in energies), optional=False),
        column("quality", (cell.quality for cell in cells), optional=False, right=False),
    ]
    columns += [column(ratio.head, ratio.texts, wanted=True) for ratio in ratio_columns(cells)]
    if any(record.background for cell in cells for record in cell.sample):
        columns.append(column("load ran", (_load(cell) for cell in cells), wanted=True))
    for part in _PARTS:
        texts = [_part(cell, part) for cell in cells]
        if any(texts):
            columns.append(column(part, texts))
    metrics = [cell.metrics() for cell in cells]
    names = dict.fromkeys(name for found in metrics for name in found)
    columns += [column(name, (format_number(f[name]) if name in f else "" for f in metrics)) for name in names]
    for head, words in _BELOW.items():
        texts = [words(cell) for cell in cells]
        if any(texts):
            columns.append(column(head, texts, right=False, below=True))
    numbers = [notes.refer(cell_remarks(cell)) for cell in cells]
    if any(numbers):
        columns.append(column("notes", (f"[{text}]" if text else "" for text in numbers), optional=False, right=False))
    return columns


_BELOW: Mapping[str, Callable[[Cell], str]] = {
    "GPUs": cell_boards,
    "not counted": cell_left_out,
    "work": cell_work,
    "windows": cell_windows,
}
"""Columns whose texts are too long for a table: in a terminal they stand below their row."""


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


def _load_names(cells: Sequence[Cell]) -> list[str]:
    """Return the names of cells without the name of their test where all have the same."""
    names = _names(cells)
    one_test = len({head for head, _ in names}) == 1
    return [name.strip() if one_test or not head else f"{head}[{name.strip()}]" for head, name in names]


def _part(cell: Cell, part: str) -> str:
    """Return the joules of one kind of domain; a dash where they are missing, empty without such a domain."""
    value_j = cell.part_j(part)
    wanted = any(domain.kind.startswith(part) for record in cell.sample for domain in record.energy.domains)
    return format_joules(value_j) if wanted or value_j is not None else ""


def _load(cell: Cell) -> str:
    """Return the lowest share of the window during which a load ran; empty without loads."""
    loads = [load for record in cell.sample for load in record.background]
    known = [load.coverage_ratio for load in loads if load.coverage_ratio is not None]
    return format_share(min(known) if len(known) == len(loads) else None) if loads else ""


def _severity(cell: Cell) -> str:
    if cell.n == 0 and cell.failed:
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
