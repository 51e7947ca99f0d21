"""The job summary and the annotations of regressions that GitHub Actions shows."""

from __future__ import annotations

from collections.abc import Iterator

from .compare_text import change_text
from .markdown import markdown_report
from .report import Report

__all__ = ["job_summary", "regression_annotations"]

_MOST_BYTES = 900_000
"""GitHub drops a summary above 1 MiB per step (docs.github.com, "Workflow commands": step isolation and limits)."""
_MOST_CELLS = 200
_MOST_ANNOTATIONS = 10
"""GitHub shows ten errors per step (same page); the last of ours then counts the others."""


def job_summary(report: Report) -> str:
    """Return Markdown for ``$GITHUB_STEP_SUMMARY``, with fewer cells rather than a size that GitHub drops."""
    most = _MOST_CELLS
    while len((text := markdown_report(report, most_cells=most)).encode()) > _MOST_BYTES and most > 1:
        most //= 2
    return text if len(text.encode()) <= _MOST_BYTES else text.encode()[:_MOST_BYTES].decode(errors="ignore") + "\n…\n"


def regression_annotations(report: Report) -> Iterator[str]:
    """Yield one workflow command per regression of the comparison, ten at most."""
    found = report.comparison.regressions if report.comparison else ()
    shown = found if len(found) <= _MOST_ANNOTATIONS else found[: _MOST_ANNOTATIONS - 1]
    for row in shown:
        message = f"{row.quantity} {change_text(row)} ({row.reason})"
        yield f"::error title={_property(f'Energy regression in {row.name}')}::{_data(message)}"
    if len(shown) < len(found):
        yield f"::error title=Energy regressions::{len(found) - len(shown)} more are in the report"


def _data(text: str) -> str:
    """Return the text escaped as actions/toolkit does it (``escapeData``)."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Return the text escaped as actions/toolkit does it (``escapeProperty``)."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
