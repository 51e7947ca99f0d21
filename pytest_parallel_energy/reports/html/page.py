"""The content of the page, section by section, in the order in which a reader asks. The template decides the markup."""

from __future__ import annotations

import importlib.util
import shlex
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ...records.record import HostPart, Record, Status
from ...statistics.compare import Comparison
from ...statistics.grouping import Cell, group_cells, worst_quality
from ...units import format_joules, format_seconds
from ..board_lines import node_sentences
from ..costs import cost_sentences
from ..load_lines import ESTIMATED_PAIR
from ..notes import merged_counts
from ..remarks import remarks
from ..report import Report
from ..terminal_table import provenance
from ..work_lines import projection_sentences
from . import charts, study_charts, tables, trace_charts
from .cell_labels import CellNames, cell_labels, shared_label
from .chart_rows import Chart
from .epoch_chart import epoch_chart
from .hosts_table import hosts_table
from .nodes_table import nodes_table

__all__ = ["have_charts", "page_content"]

_MOST_CELLS = 1000
_MOST_DRAWN = 200
_MOST_ATTEMPTS = 2000
"""Bounds of a page that a browser can still open without a delay."""

_NO_CHARTS = "Charts need Altair and its offline bundle: pip install altair vl-convert-python"
_NO_ENERGY = "No attempt has a known energy, so that there is no chart of it; the last section says what measured."


class _Tile(NamedTuple):
    """One figure of the summary."""

    name: str
    text: str
    style: str = ""


def page_content(report: Report) -> dict[str, Any]:
    """Return the variables of the template; ``data`` is what the page's script gets.

    Of very large runs the page shows the first thousand cells, and counts what is left out.
    """
    every = group_cells(report.records)
    cells = every[:_MOST_CELLS]
    labels = cell_labels(cells)
    names = CellNames(cells, labels)
    drawn = _charts(cells[:_MOST_DRAWN], labels[:_MOST_DRAWN])
    traces = _traces(report, names)
    return {
        "title": report.title,
        "subtitle": " · ".join(_subtitle(report)),
        "tiles": list(_tiles(report, every)),
        "facts": _facts(report, every),
        "problems": report.problems,
        "remarks": merged_counts(text for record in report.records for text in remarks(record)),
        "node_table": nodes_table(report.records),
        "left_out": list(_left_out(len(every), len(cells))),
        "comparison": report.comparison and _comparison(report.comparison, names),
        "hints": [_NO_CHARTS] if not drawn and not have_charts() else [],
        "has_traces": bool(traces["traces"]),
        **_studies(cells, labels, drawn),
        **_load_tables(cells, names),
        **_attempts(cells, labels),
        **_environment(report),
        "host_table": hosts_table(report),
        "data": {"charts": {chart.key: _chart_data(chart, report) for chart in drawn}, **traces},
    }


def have_charts() -> bool:
    """Return whether Altair and the offline bundle are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("altair", "vl_convert"))


def _charts(cells: Sequence[Cell], labels: Sequence[str]) -> list[Chart]:
    if not cells or not have_charts():
        return []
    found = [
        charts.energy_chart(cells, labels, shared_label(cells)),
        charts.load_chart(cells, labels, shared_label(cells)),
        epoch_chart(cells, labels),
        *study_charts.hyperparameter_charts(cells),
        *study_charts.pareto_charts(cells, labels),
    ]
    return [chart for chart in found if chart is not None]


def _chart_data(chart: Chart, report: Report) -> dict[str, Any]:
    return {
        "spec": chart.spec,
        "title": chart.title,
        "caption": chart.caption or chart.title,
        "description": chart.description,
        "footnote": f"{chart.footnote} · {_run(report)}",
    }


def _run(report: Report) -> str:
    return f"run {report.info.run_id if report.info else report.title}"


def _traces(report: Report, names: CellNames) -> dict[str, Any]:
    if not report.traces or not have_charts():
        return {"traces": {}}
    shown = [record for record in report.records if record.record_id in report.traces and record in names]
    titles = {
        record.record_id: f"{names.of(record)[0]}, repetition {record.repetition}"
        + (f", attempt {record.attempt}" if record.attempt > 1 else "")
        for record in shown
    }
    footnotes = {record.record_id: f"readings: {record.energy.quality} · n = 1 · {_run(report)}" for record in shown}
    return {
        "traces": trace_charts.trace_data(report),
        "traceTitles": titles,
        "traceFootnotes": footnotes,
        "traceSpecs": trace_charts.trace_specs(),
    }


def _subtitle(report: Report) -> Iterator[str]:
    if report.info is not None:
        yield report.info.started_at.partition(".")[0].replace("T", " ")
        yield report.info.run_id
        yield from (f"{name}={value}" for name, value in report.info.labels.items())


def _tiles(report: Report, cells: Sequence[Cell]) -> Iterator[_Tile]:
    records = report.records
    bad = sum(record.status not in {Status.PASSED, Status.XFAILED} for record in records)
    quality = worst_quality(record.energy for record in records)
    yield _Tile("cells", str(len(cells)))
    yield _Tile("attempts", str(len(records)))
    yield _Tile("not passed", str(bad), "bad" if bad else "")
    yield _Tile("all attempts together", format_joules(report.total_j))
    yield _Tile("measured time", format_seconds(sum(r.duration_s for r in records)) if records else "–")
    yield _Tile("worst quality", quality, f"quality quality-{quality}")
    if report.comparison is not None:
        worse, inconclusive = len(report.comparison.regressions), len(report.comparison.inconclusive)
        # "0 regressions" is good news only where every test has spoken.
        settled = bool(report.comparison.rows) and not inconclusive
        yield _Tile("regressions", str(worse), "bad" if worse else "good" if settled else "warn")
        if inconclusive:
            yield _Tile("inconclusive verdicts", str(inconclusive), "warn")


def _facts(report: Report, cells: Sequence[Cell]) -> list[str]:
    known_j, known = report.known_j
    sentences = [provenance(cells), *projection_sentences(cells), *node_sentences(report.records)] if cells else []
    if known < len(report.records):
        sentences.append(
            f"{known} of {len(report.records)} attempts have a known energy: {format_joules(known_j)} together"
        )
    return [*sentences, *cost_sentences(known_j if known else None, report.factors, report.known_quality)]


def _left_out(count: int, shown: int) -> Iterator[str]:
    """Yield what the page does not show of a very large run."""
    if count > shown:
        yield f"Tables show the first {shown} of {count} cells; all are in summary.csv."
    if count > _MOST_DRAWN:
        yield f"Charts show the first {_MOST_DRAWN} of {count} cells."


def _comparison(comparison: Comparison, names: CellNames) -> dict[str, Any]:
    missing = [("only in the older run", comparison.only_old), ("only in the newer run", comparison.only_new)]
    return {
        "table": tables.comparison_table(comparison, names),
        "remarks": comparison.remarks,
        "unmatched": [f"{label}: {', '.join(found)}" for label, found in missing if found],
    }


def _studies(cells: Sequence[Cell], labels: Sequence[str], drawn: Sequence[Chart]) -> dict[str, Any]:
    pairs, correlations = tables.pairs_table(cells, labels), tables.correlation_table(cells)
    fronts = [chart for chart in drawn if chart.key.startswith("pareto-")]
    unknown = have_charts() and not any(chart.key == "energy" for chart in drawn)
    reasons = []
    if not pairs.rows:
        reasons.append(
            "No workload ran both alone and alongside a load with the same values, so that the page has no comparison "
            "of the two."
        )
    if not correlations.rows:
        reasons.append("No hyperparameter varies among the cells of a workload, so that there is nothing to correlate.")
    if not fronts and have_charts():
        reasons.append(
            "Energy against accuracy is not shown: it needs a workload with three cells or more, each with a metric "
            "of which the registry says whether higher or lower is better."
        )
    return {
        "cells": tables.cells_tables(cells, labels),
        "energy_notes": [_NO_ENERGY] if unknown else [],
        "charts": {key: next((c for c in drawn if c.key == key), None) for key in ("energy", "load", "epochs")},
        "pairs": pairs if pairs.rows else None,
        "pairs_notes": [f"Here {ESTIMATED_PAIR}."] if any(cell.quality == "estimated" for cell in cells) else [],
        "correlations": correlations if correlations.rows else None,
        "hyperparameter_charts": [chart for chart in drawn if chart.key.startswith("hyperparameter-")],
        "pareto_charts": fronts,
        "reasons": reasons,
    }


def _load_tables(cells: Sequence[Cell], names: CellNames) -> dict[str, Any]:
    records: list[Record] = [record for cell in cells for record in cell.records][:_MOST_ATTEMPTS]
    if not any(record.background for record in records):
        return {"loads": None, "owners": None}
    return {"loads": tables.load_table(records, names), "owners": tables.owners_table(records, names)}


def _attempts(cells: Sequence[Cell], labels: Sequence[str]) -> dict[str, Any]:
    table = tables.attempts_table(cells, labels)
    more = len(table.rows) - _MOST_ATTEMPTS
    return {
        "attempts": table.first(_MOST_ATTEMPTS) if cells else None,
        "more_attempts": [f"{more} more attempts are in summary.csv."] if more > 0 else [],
    }


def _environment(report: Report) -> dict[str, Any]:
    info = report.info
    hosts = dict.fromkeys(record.host for record in report.records)
    if not hosts and info is not None:
        hosts = {info.host: None}
    sensors = [("Sensors", info.sensors), ("Not measured, and why", info.refusals)] if info else []
    return {
        "hosts": [{"name": host.hostname or "host", "facts": list(_host_facts(host))} for host in hosts],
        "sensors": [(title, sentences) for title, sentences in sensors if sentences],
        "command": shlex.join(info.arguments) if info else "",
    }


def _host_facts(host: HostPart) -> Iterator[tuple[str, str]]:
    memory = f"{host.memory_bytes / 2**30:.1f} GiB" if host.memory_bytes else None
    virtual = None if host.virtualised is None else "yes" if host.virtualised else "no"
    gpus = ", ".join(f"{gpu.name} ({gpu.uuid})" for gpu in host.gpus) or None
    facts = (
        ("processor", host.cpu), ("sockets", host.sockets), ("threads", host.threads), ("memory", memory),
        ("GPUs", gpus), ("virtual machine", virtual), ("governor", host.governor), ("kernel", host.kernel),
        ("Python", host.python), ("PyTorch", host.torch), ("plugin", host.plugin_version), ("commit", host.git_commit),
        ("machine", host.machine_id),
    )  # fmt: skip
    return ((name, "–" if value is None else str(value)) for name, value in facts)
