"""The report in Markdown (GitHub's dialect)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..records.record import HostPart
from ..statistics.grouping import Cell, group_cells
from ..statistics.host_overview import cells_by_class, host_overview
from ..units import count_of, format_joules
from .board_lines import node_table
from .compare_text import comparison_markdown, escape
from .costs import cost_sentences
from .notes import Notes
from .remarks import origins
from .report import Report
from .terminal_table import cell_columns, provenance
from .work_lines import projection_sentences

__all__ = ["host_sentence", "markdown_report", "markdown_table"]


def markdown_report(report: Report, *, most_cells: int | None = None) -> str:
    """Return the report with at most ``most_cells`` rows of cells, and a line that counts the others."""
    cells = group_cells(report.records)
    lines = [f"## Energy: {escape(report.title)}", "", *_facts(report, cells), ""]
    lines += _hosts(report)
    for heading, members in _by_class(cells[:most_cells]):
        lines += [*heading, *markdown_table(members), ""]
    if cells and most_cells is not None and len(cells) > most_cells:
        lines += [f"… and {len(cells) - most_cells} more cells; all are in the run's folder.", ""]
    if nodes := list(node_table(report.records)):
        lines += ["### Nodes", "", *nodes, ""]
    if report.comparison is not None:
        lines += [comparison_markdown(report.comparison)]
    if report.problems:
        lines += ["### Problems", "", *(f"- {escape(problem)}" for problem in report.problems), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _facts(report: Report, cells: Sequence[Cell]) -> Iterator[str]:
    records = report.records
    failed = sum(len(cell.failed) for cell in cells)
    yield f"- {count_of(len(cells), 'cell')}, {count_of(len(records), 'attempt')}, {failed} not passed"
    estimated = " (estimated)" if report.known_quality == "estimated" and report.total_j is not None else ""
    yield f"- all attempts together: {format_joules(report.total_j)}{estimated}"
    if cells:
        yield f"- {escape(provenance(cells))}"
        yield from (f"- {escape(sentence)}" for sentence in (*projection_sentences(cells), *origins(cells)))
    hosts = dict.fromkeys(host_sentence(record.host) for record in records)
    yield from (f"- host: {escape(host)}" for host in hosts)
    yield from (
        f"- {escape(sentence)}" for sentence in cost_sentences(report.total_j, report.factors, report.known_quality)
    )


def _hosts(report: Report) -> Iterator[str]:
    """Yield a table of the hosts, where there are several."""
    hosts = host_overview(report.records, report.info.fleet if report.info else ())
    if len(hosts) < 2:  # noqa: PLR2004 - one host is in the facts
        return
    yield "### Hosts"
    yield ""
    yield "| host | cells | attempts | not passed | with remarks | sensors | clock | class |"
    yield "|---|--:|--:|--:|--:|---|--:|---|"
    for host in hosts:
        counts = f"{host.cells} | {host.attempts} | {host.failed} | {host.flagged}"
        clock = "" if host.clock_offset_s is None else f"{host.clock_offset_s:+.1f} s"
        words = [escape(host.name), counts, escape(", ".join(host.sensors) or "none"), clock, escape(host.host_class)]
        yield f"| {' | '.join(words)} |"
    yield ""
    yield "Joules of different machines are never averaged, and compared only within a class."
    yield ""


def _by_class(cells: Sequence[Cell]) -> Iterator[tuple[list[str], list[Cell]]]:
    """Yield the cells of each class of hosts under a heading; of one class without a heading."""
    classes = cells_by_class(cells)
    for name, members in classes.items():
        yield ([f"### {escape(name)}", ""] if len(classes) > 1 else []), members


def markdown_table(cells: Sequence[Cell]) -> Iterator[str]:
    """Yield one row per cell, and the notes below the table."""
    notes = Notes()
    columns = cell_columns(cells, notes)
    yield f"| experiment | {' | '.join(escape(column.head) for column in columns)} |"
    yield f"|---|{'|'.join('--:' if column.right else '---' for column in columns)}|"
    for index, cell in enumerate(cells):
        yield f"| {escape(cell.name)} | {' | '.join(escape(column.texts[index]) for column in columns)} |"
    if notes.sentences:
        yield ""
        yield from (f"{number}. {escape(note)}" for number, note in enumerate(notes.sentences, 1))


def host_sentence(host: HostPart) -> str:
    """Return the machine in one line, without what is unknown."""
    parts = [host.hostname, host.cpu, f"{host.threads} threads" if host.threads else None]
    parts += [gpu.name for gpu in host.gpus]
    parts += [f"governor {host.governor}" if host.governor else None, "virtual" if host.virtualised else None]
    parts += [
        f"torch {host.torch}" if host.torch else None,
        f"commit {host.git_commit[:10]}" if host.git_commit else None,
    ]
    return ", ".join(part for part in parts if part) or "unknown"
