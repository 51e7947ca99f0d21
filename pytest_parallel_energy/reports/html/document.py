"""The report as a document: page, style and script put together."""

from __future__ import annotations

from pathlib import Path

from ..report import Report
from .page import build_page

__all__ = ["html_report"]

_HERE = Path(__file__).parent


def html_report(report: Report) -> str:
    """The page as text. Charts need the extra ``report``; without it the page says so and has all its tables."""
    return build_page(
        report,
        style=(_HERE / "report.css").read_text(encoding="utf-8"),
        script=(_HERE / "report.js").read_text(encoding="utf-8"),
    )
