"""A comparison as lines for the terminal, Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from ..records.codec import encode_value
from ..statistics.compare import Comparison, Row
from ..statistics.judgement import Verdict
from ..statistics.quantities import unit_of
from .layout import Column, Line, fit_columns, format_interval, format_number, shorten, shorten_apart, wrap

__all__ = [
    "FORMATS",
    "change_text",
    "comparison_csv",
    "comparison_json",
    "comparison_lines",
    "comparison_markdown",
    "format_change",
    "format_mean",
    "interval_text",
]

_SEVERITIES = {
    Verdict.WORSE: "bad",
    Verdict.BETTER: "good",
    Verdict.INCONCLUSIVE: "warn",
    Verdict.NOT_COMPARABLE: "warn",
    Verdict.NOT_TESTED: "warn",
}

_VERDICT_WIDTH = 14
"""Characters that are kept for the verdict and its gap."""


def format_change(ratio: float | None) -> str:
    """Return a relative change in percent with its sign; 0 only for exactly no change.

    >>> format_change(0.0512), format_change(-0.00001), format_change(0.0), format_change(None)
    ('+5.1 %', '-0.0 %', '0 %', '–')
    """
    if ratio is None:
        return "–"
    return "0 %" if ratio == 0 else f"{ratio * 100:+.1f} %"


def comparison_lines(comparison: Comparison, *, width: int) -> list[Line]:
    """Return the table for ``width`` characters: a row per cell and quantity, and a last line that counts verdicts."""
    rows = comparison.rows
    lines = [Line(text=shorten(f"{comparison.old_name} -> {comparison.new_name}", width))]
    if rows:
        lines += _table(rows, width)
    for label, names in (
        ("only in the older run", comparison.only_old),
        ("only in the newer run", comparison.only_new),
    ):
        if names:
            lines += [Line(text=text) for text in wrap(f"{label}: {', '.join(names)}", width, indent="    ")]
    for remark in comparison.remarks:
        lines += [Line(text=text) for text in wrap(f"remark: {remark}", width, indent="    ")]
    return [*lines, _verdict_line(rows)]


def _columns(rows: Sequence[Row]) -> list[Column]:
    """Return all columns but the name and the verdict."""
    one_quantity = len({row.quantity for row in rows}) == 1
    return [
        _column("quantity", rows, lambda row: row.quantity, right=False, optional=one_quantity),
        _column("old", rows, lambda row: format_mean(row.old_mean, row.quantity), wanted=True),
        _column("new", rows, lambda row: format_mean(row.new_mean, row.quantity), wanted=True),
        _column("change", rows, change_text, optional=False),
        _column("quality", rows, lambda row: row.quality, right=False, optional=False),
        _column("95 % interval", rows, interval_text),
        _column("n", rows, lambda row: f"{len(row.old_values)}+{len(row.new_values)}"),
        _column("p", rows, lambda row: format_number(row.p, 2)),
    ]


def _table(rows: Sequence[Row], width: int) -> list[Line]:
    columns = _columns(rows)
    longest = max(len(row.name) for row in rows)
    kept, moved = fit_columns(columns, width - min(longest, 28) - _VERDICT_WIDTH)
    name_width = max(min(longest, width - sum(column.width + 2 for column in kept) - _VERDICT_WIDTH), 16)
    stacked = any(column.wanted for column in moved)
    if stacked:  # the name in a line of its own leaves room for what a reader compares
        kept, moved = fit_columns(columns, width - 2 - _VERDICT_WIDTH)
        name_width = 2
    corner = "" if stacked else "experiment"
    lines = [
        Line(text="  ".join([corner.ljust(name_width), *(c.cell(c.head) for c in kept), "verdict"]), severity="head")
    ]
    names = [shorten(row.name, width) for row in rows] if stacked else shorten_apart([r.name for r in rows], name_width)
    shown = ""
    for index, row in enumerate(rows):
        if stacked and names[index] != shown:
            lines.append(Line(text=names[index]))
        shown = names[index]
        first = "" if stacked else names[index]
        text = "  ".join([first.ljust(name_width), *(c.cell(c.texts[index]) for c in kept)])
        more = [f"{c.head} {c.texts[index]}" for c in moved if stacked and c.texts[index] not in {"", "–"}]
        lines += _with_verdict(text, row, width, "; ".join(more))
    return lines


def _with_verdict(text: str, row: Row, width: int, more: str) -> list[Line]:
    """Return the row with its verdict, and on lines below the reason where it does not fit, and what has no column."""
    severity = _SEVERITIES.get(row.verdict, "plain")
    whole = f"{text}  {_verdict_text(row)}"
    fits = len(whole) <= width
    below = "; ".join(filter(None, [more, "" if fits else row.reason]))
    lines = [Line(text=f"      {part}", severity=severity) for part in (wrap(below, width - 6) if below else [])]
    return [Line(text=whole if fits else f"{text}  {row.verdict}", severity=severity), *lines]


def _column(
    head: str, rows: Sequence[Row], text: Callable[[Row], str], *, optional: bool = True, **more: bool
) -> Column:
    return Column(head=head, texts=tuple(text(row) for row in rows), optional=optional, **more)


def format_mean(value: float | None, quantity: str) -> str:
    """Return a mean with its unit, or as a plain number for a metric."""
    unit = unit_of(quantity)
    return format_interval(value, None, unit).removesuffix(" ± –") if unit else format_number(value)


def change_text(row: Row) -> str:
    """Return the change with its sign: in percent, or in the quantity's unit for an absolute threshold."""
    if row.change is None or not row.change.absolute:
        return format_change(row.change_ratio)
    return f"{row.change.value:+.4g}"


def interval_text(row: Row) -> str:
    """Return the 95 % interval of the change; a dash where there are too few values."""
    change = row.change
    if change is None or change.low is None or change.high is None:
        return "–"
    if change.absolute:
        return f"{change.low:+.4g} to {change.high:+.4g}"
    return f"{format_change(change.low)} to {format_change(change.high)}"


def _verdict_text(row: Row) -> str:
    return f"{row.verdict} ({row.reason})" if row.reason else str(row.verdict)


def _verdict_line(rows: Sequence[Row]) -> Line:
    counts = Counter(row.verdict for row in rows)
    text = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict]) or "nothing to compare"
    settled = counts[Verdict.BETTER] + counts[Verdict.NO_CHANGE]
    worst = "bad" if counts[Verdict.WORSE] else "good" if rows and settled == len(rows) else "warn"
    return Line(text=f"verdicts: {text}", severity=worst)


def _flat(row: Row) -> dict[str, Any]:
    """Return a row as names and plain values, the same for CSV and JSON."""
    change = row.change
    return {
        "cell": row.cell,
        "name": row.name,
        "quantity": row.quantity,
        "unit": unit_of(row.quantity),
        "old_n": len(row.old_values),
        "old_mean": row.old_mean,
        "new_n": len(row.new_values),
        "new_mean": row.new_mean,
        "unknown_n": row.unknown,
        "change_ratio": row.change_ratio,
        "change_absolute": change.value if change and change.absolute else None,
        "change_low": change.low if change else None,
        "change_high": change.high if change else None,
        "welch_p": change.p if change else None,
        "holm_p": row.p,
        "old_sessions": row.sessions[0],
        "new_sessions": row.sessions[1],
        "quality": row.quality,
        "resolution": row.resolution,
        "threshold": str(row.threshold),
        "verdict": row.verdict,
        "reason": row.reason,
    }


def comparison_csv(comparisons: Sequence[Comparison]) -> str:
    """Return one row per comparison, cell and quantity; an unknown value is an empty field. Empty without rows."""
    rows = [{"old": c.old_name, "new": c.new_name} | _flat(row) for c in comparisons for row in c.rows]
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def comparison_json(comparisons: Sequence[Comparison]) -> str:
    """Return an object with ``format_version`` first; an unknown value is ``null``.

    Versions of the format: 1, the first; 2, Welch's test on logarithms instead of ranks, absolute changes, sessions.
    """
    found = [
        {
            "old": comparison.old_name,
            "new": comparison.new_name,
            "only_old": comparison.only_old,
            "only_new": comparison.only_new,
            "remarks": comparison.remarks,
            "rows": [_flat(row) for row in comparison.rows],
        }
        for comparison in comparisons
    ]
    content = {"format_version": 2, "comparisons": found}
    return msgspec.json.format(encode_value(content), indent=2).decode() + "\n"


def comparison_markdown(comparison: Comparison) -> str:
    """Return a Markdown table (GitHub's dialect) under one heading."""
    lines = [f"### {escape(comparison.old_name)} → {escape(comparison.new_name)}", ""]
    if comparison.rows:
        lines += [
            "| experiment | quantity | old | new | change | quality | n | p | verdict |",
            "|---|---|--:|--:|--:|---|--:|--:|---|",
        ]
    for row in comparison.rows:
        verdict = f"**{row.verdict}**" if row.verdict in {Verdict.WORSE, Verdict.BETTER} else str(row.verdict)
        cells = [
            escape(row.name),
            row.quantity,
            format_mean(row.old_mean, row.quantity),
            format_mean(row.new_mean, row.quantity),
            change_text(row),
            escape(row.quality),
            f"{len(row.old_values)}+{len(row.new_values)}",
            format_number(row.p, 2),
            f"{verdict}{': ' + escape(row.reason) if row.reason else ''}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    for label, names in (
        ("Only in the older run", comparison.only_old),
        ("Only in the newer run", comparison.only_new),
    ):
        if names:
            lines += ["", f"{label}: {', '.join(map(escape, names))}"]
    lines += [line for remark in comparison.remarks for line in ("", escape(remark))]
    return "\n".join([*lines, "", _verdict_line(comparison.rows).text, ""])


def escape(text: str) -> str:
    r"""Return text that a Markdown table shows unchanged.

    >>> print(escape("lr=0.1|<b>_x_"))
    lr=0.1\|&lt;b&gt;\_x\_
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for char in "\\|*_`[]":
        text = text.replace(char, f"\\{char}")
    return " ".join(text.split())


def _markdown(comparisons: Sequence[Comparison]) -> str:
    return "\n".join(comparison_markdown(comparison) for comparison in comparisons)


FORMATS: Mapping[str, Callable[[Sequence[Comparison]], str]] = {
    "csv": comparison_csv,
    "json": comparison_json,
    "md": _markdown,
}
"""Writers of several comparisons by name, apart from the terminal's, which needs a width."""
