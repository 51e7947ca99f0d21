"""The page: sections in the order in which a reader asks."""

from __future__ import annotations

import functools
import html
import importlib.util
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from ...records.codec import encode_value
from ...records.record import HostPart, Status
from ...statistics.grouping import Cell, group_cells, worst_quality
from ...units import format_joules, format_seconds
from ..costs import cost_sentences
from ..remarks import remarks
from ..report import Report
from ..terminal_table import provenance
from . import charts, tables
from .charts import Chart

__all__ = ["build_page"]

_MOST_CELLS = 1000
_MOST_DRAWN = 200
_MOST_ATTEMPTS = 2000
"""Bounds of a page that a browser can still open with pleasure."""
_GLOBALS = "window.vegaEmbed = vegaEmbed;"

_NO_CHARTS = "Charts need Altair and its offline bundle: pip install 'pytest-parallel-energy[report]'"
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; img-src data: blob:; "
    "form-action 'none'; base-uri 'none'"
)
"""Nothing may be fetched, by whatever the page holds. ``unsafe-eval``: Vega compiles its expressions."""


def build_page(report: Report, *, style: str, script: str) -> str:
    """The whole file: of very large runs the first thousand cells; what is left out is counted, and in summary.csv."""
    every = group_cells(report.records)
    cells = every[:_MOST_CELLS]
    labels = cell_labels(cells)
    drawn = _charts(cells[:_MOST_DRAWN], labels[:_MOST_DRAWN])
    data = {"charts": {chart.key: _chart_data(chart) for chart in drawn}, **_traces(report, cells, labels)}
    body = "\n".join(_sections(report, every, labels, drawn))
    title = html.escape(f"Energy: {report.title}")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
{body}
<script type="application/json" id="data">{_script_safe(encode_value(data).decode())}</script>
<script>{_bundle() if data["charts"] or data["traces"] else ""}</script>
<script>
{script}
</script>
</body>
</html>
"""


def cell_labels(cells: Sequence[Cell]) -> list[str]:
    """A name a cell, unique: cells that share one have their hash behind it."""
    if len({cell.name.partition("[")[0] for cell in cells}) == 1 and all("[" in cell.name for cell in cells):
        names = [cell.name.partition("[")[2].removesuffix("]") for cell in cells]  # one test: its parameters tell apart
    else:
        names = [cell.name for cell in cells]
    counts = Counter(names)
    return [name if counts[name] == 1 else f"{name} ({cell.cell})" for name, cell in zip(names, cells, strict=True)]


def _script_safe(text: str) -> str:
    """JSON that cannot end the script element it stands in."""
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def have_charts() -> bool:
    """Whether Altair and the offline bundle are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("altair", "vl_convert"))


@functools.cache
def _bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script without a closing tag inside."""
    import altair as alt
    import vl_convert

    version = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    bundle: str = vl_convert.javascript_bundle(_GLOBALS, version)
    return bundle.replace("</script", "<\\/script")


def _charts(cells: Sequence[Cell], labels: Sequence[str]) -> list[Chart]:
    if not cells or not have_charts():
        return []
    found = [
        charts.energy_chart(cells, labels),
        charts.load_chart(cells, labels),
        *charts.hyperparameter_charts(cells),
        *charts.pareto_charts(cells, labels),
    ]
    return [chart for chart in found if chart is not None]


def _chart_data(chart: Chart) -> dict[str, Any]:
    return {"spec": chart.spec, "title": chart.title, "description": chart.description}


def _traces(report: Report, cells: Sequence[Cell], labels: Sequence[str]) -> dict[str, Any]:
    if not report.traces or not have_charts():
        return {"traces": {}}
    names = dict(zip((cell.cell for cell in cells), labels, strict=True))
    titles = {
        record.record_id: f"{names[record.cell]}, repetition {record.repetition}"
        + (f", attempt {record.attempt}" if record.attempt > 1 else "")
        for record in report.records
        if record.record_id in report.traces
    }
    return {"traces": charts.trace_data(report), "traceTitles": titles, "traceSpecs": charts.trace_specs()}


def _sections(report: Report, every: Sequence[Cell], labels: Sequence[str], drawn: Sequence[Chart]) -> Iterator[str]:
    cells = every[: len(labels)]
    by_key = {chart.key: chart for chart in drawn}
    yield _header(report)
    yield "<main>"
    yield _section("summary", "Summary", _summary(report, every))
    yield from _left_out(every, len(cells))
    if report.comparison is not None:
        table = tables.comparison_table(report.comparison, dict(zip((c.cell for c in cells), labels, strict=True)))
        yield _section("comparison-section", "Comparison", table.markup() + _unmatched(report))
    if cells:
        if not drawn and not have_charts():
            yield f'<p class="note">{html.escape(_NO_CHARTS)}</p>'
        yield _section(
            "energy", "Energy per cell", _figure(by_key.get("energy")) + tables.cells_table(cells, labels).markup()
        )
        yield from _studies(cells, labels, by_key)
    if report.traces and have_charts():
        yield _section("traces", "Power over time", _TRACES)
    if any(record.background for record in report.records):
        names = dict(zip((cell.cell for cell in cells), labels, strict=True))
        records = [record for cell in cells for record in cell.records][:_MOST_ATTEMPTS]
        loads, owners = tables.load_table(records, names), tables.owners_table(records, names)
        yield _section("background", "Background loads", f"{loads.markup()}<h3>Whose joules</h3>{owners.markup()}")
    if cells:
        table = tables.attempts_table(cells, labels)
        more = len(table.rows) - _MOST_ATTEMPTS
        note = f'<p class="note">… and {more} more; all are in summary.csv.</p>' if more > 0 else ""
        yield _section("all-attempts", "Attempts", table.first(_MOST_ATTEMPTS).markup() + note)
    yield _section("environment", "Environment and sensors", "".join(_environment(report)))
    yield "</main>"


_TRACES = """<p><label>Attempt <select id="trace-choice"></select></label></p>
<div class="chart" id="trace-power"></div>
<div class="chart" id="trace-spans"></div>
<div class="chart" id="trace-heat"></div>"""


def _studies(cells: Sequence[Cell], labels: Sequence[str], by_key: dict[str, Chart]) -> Iterator[str]:
    pairs = tables.pairs_table(cells, labels)
    if pairs.rows:
        hint = (
            "Slowdown is time, inflation the energy of the whole machine, the load's own included. Interference is "
            "power that neither needs alone; it takes the load's rate as unchanged."
        )
        body = _figure(by_key.get("load")) + f'<p class="note">{hint}</p>' + pairs.markup()
        yield _section("co-running", "Alone against co-running", body)
    correlations = tables.correlation_table(cells)
    if correlations.rows:
        figures = "".join(_figure(chart) for key, chart in by_key.items() if key.startswith("hyperparameter-"))
        body = f'<div class="grid">{figures}</div>{correlations.markup()}'
        yield _section("hyperparameters", "Hyperparameters against energy", body)
    fronts = "".join(_figure(chart) for key, chart in by_key.items() if key.startswith("pareto-"))
    if fronts:
        yield _section("trade", "Energy against accuracy", f'<div class="grid">{fronts}</div>')


def _header(report: Report) -> str:
    info = report.info
    parts = [info.started_at.partition(".")[0].replace("T", " "), info.run_id] if info else []
    if info and info.labels:
        parts += [f"{name}={value}" for name, value in info.labels.items()]
    return (
        f"<header><div><h1>{html.escape(report.title)}</h1><p>{html.escape(' · '.join(parts))}</p></div>"
        '<button type="button" id="theme" aria-label="Switch between light and dark">◐</button></header>'
    )


def _section(key: str, title: str, body: str) -> str:
    link = f'<a class="self" href="#{key}" aria-label="Link to {html.escape(title)}">#</a>'
    return f'<section id="{key}"><h2>{html.escape(title)} {link}</h2>{body}</section>'


def _figure(chart: Chart | None) -> str:
    if chart is None:
        return ""
    caption = f"<figcaption>{html.escape(chart.caption or chart.title)}</figcaption>"
    return f'<figure>{caption}<div class="chart" id="chart-{chart.key}" data-chart="{chart.key}"></div></figure>'


def _left_out(every: Sequence[Cell], shown: int) -> Iterator[str]:
    """What the page does not show of a very large run."""
    if len(every) > shown:
        yield f'<p class="note">Tables show the first {shown} of {len(every)} cells; all are in summary.csv.</p>'
    if len(every) > _MOST_DRAWN:
        yield f'<p class="note">Charts show the first {_MOST_DRAWN} of {len(every)} cells.</p>'


def _summary(report: Report, cells: Sequence[Cell]) -> str:
    records = report.records
    statuses = Counter(record.status for record in records)
    bad = len(records) - statuses[Status.PASSED]
    quality = worst_quality(record.energy for record in records)
    tiles = [
        ("cells", str(len(cells)), ""),
        ("attempts", str(len(records)), ""),
        ("not passed", str(bad), "bad" if bad else ""),
        ("all attempts together", format_joules(report.total_j), ""),
        ("measured time", format_seconds(sum(r.duration_s for r in records)) if records else "–", ""),
        ("worst quality", quality, f"quality quality-{quality}"),
    ]
    if report.comparison is not None:
        worse, open_rows = len(report.comparison.regressions), len(report.comparison.inconclusive)
        settled = bool(report.comparison.rows) and not open_rows  # "0 regressions" is good news only where tests spoke
        tiles.append(("regressions", str(worse), "bad" if worse else "good" if settled else "warn"))
        if open_rows:
            tiles.append(("inconclusive verdicts", str(open_rows), "warn"))
    shown = "".join(
        f'<div><dt>{name}</dt><dd class="{style}">{html.escape(text)}</dd></div>' for name, text, style in tiles
    )
    sentences = [provenance(cells)] if cells else []
    known_j, known = report.known_j
    if known < len(records):
        sentences.append(f"{known} of {len(records)} attempts have a known energy: {format_joules(known_j)} together")
    sentences += cost_sentences(known_j if known else None, report.factors)
    facts = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences)
    return f'<dl class="tiles">{shown}</dl><ul class="facts">{facts}</ul>{_remarks(report)}'


def _remarks(report: Report) -> str:
    """Return the remarks on all attempts, most frequent first, with the number of attempts that each concerns."""
    counts = Counter(sentence for record in report.records for sentence in remarks(record))
    lines = [f"<li>{html.escape(problem)}</li>" for problem in report.problems]
    lines += [f"<li>{html.escape(sentence)} <small>{count} ×</small></li>" for sentence, count in counts.most_common()]
    return f'<h3>Remarks</h3><ul class="flags">{"".join(lines)}</ul>' if lines else "<p>No remarks.</p>"


def _unmatched(report: Report) -> str:
    comparison = report.comparison
    if comparison is None:
        return ""
    found = [("only in the older run", comparison.only_old), ("only in the newer run", comparison.only_new)]
    remarks = "".join(f'<p class="note">{html.escape(remark)}</p>' for remark in comparison.remarks)
    return remarks + "".join(f"<p>{label}: {html.escape(', '.join(names))}</p>" for label, names in found if names)


def _environment(report: Report) -> Iterator[str]:
    hosts = dict.fromkeys(record.host for record in report.records)
    if not hosts and report.info is not None:
        hosts = {report.info.host: None}
    for host in hosts:
        rows = "".join(f"<div><dt>{name}</dt><dd>{html.escape(text)}</dd></div>" for name, text in _host_facts(host))
        yield f'<h3>{html.escape(host.hostname or "host")}</h3><dl class="facts">{rows}</dl>'
    if report.info is None:
        return
    for title, sentences in (("Sensors", report.info.sensors), ("Not measured, and why", report.info.refusals)):
        if sentences:
            yield f"<h3>{title}</h3><ul>{''.join(f'<li>{html.escape(text)}</li>' for text in sentences)}</ul>"
    if report.info.arguments:
        yield f"<h3>Command</h3><pre>{html.escape(shlex.join(report.info.arguments))}</pre>"


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
