"""The table of reports: a kind, its file's name, and what writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from msgspec import Struct

from ..errors import ConfigError, did_you_mean
from ..records.atomic_write import write_file
from ..records.reader import check_target
from .report import Report

__all__ = ["REPORTS", "ReportTarget", "parse_target", "write_report"]


class ReportTarget(Struct, frozen=True, kw_only=True):
    """One report that was asked for."""

    kind: str
    path: Path | None = None
    """``None`` is the kind's own name in the run's folder."""

    def __str__(self) -> str:
        """Return the text from which :func:`parse_target` reads this target."""
        return self.kind if self.path is None else f"{self.kind}:{self.path}"


def _html(report: Report) -> str:
    from .html.document import html_report

    return html_report(report)


def _markdown(report: Report) -> str:
    from .markdown import markdown_report

    return markdown_report(report)


def _json(report: Report) -> str:
    from .json_report import json_report

    return json_report(report)


def _csv(report: Report) -> str:
    from .csv_table import summary_csv

    return summary_csv(report.records)


def _github(report: Report) -> str:
    from .github import job_summary

    return job_summary(report)


def _gha_benchmark(report: Report) -> str:
    from .json_report import benchmark_json

    return benchmark_json(report)


def _openmetrics(report: Report) -> str:
    from .openmetrics import openmetrics_text

    return openmetrics_text(report)


REPORTS: Mapping[str, tuple[str, Callable[[Report], str]]] = {
    "html": ("report.html", _html),
    "md": ("report.md", _markdown),
    "json": ("report.json", _json),
    "csv": ("summary.csv", _csv),
    "github": ("github-summary.md", _github),
    "gha-benchmark": ("benchmark.json", _gha_benchmark),
    "openmetrics": ("metrics.txt", _openmetrics),
}
"""File name and writer by kind. ``term`` is not here: the terminal's table is not a file."""


def parse_target(text: str) -> ReportTarget:
    """Return the report that ``TYPE`` or ``TYPE:PATH`` asks for.

    >>> parse_target("md:out/energy.md").path
    PosixPath('out/energy.md')

    Raises:
        ConfigError: an unknown type, or a path for ``term``.
    """
    kind, colon, path = text.partition(":")
    if kind not in REPORTS and kind != "term":
        raise ConfigError(f"there is no report {kind!r}: {did_you_mean(kind, ['term', *REPORTS])}")
    if colon and (not path or kind == "term"):
        raise ConfigError(
            f"{text!r} is not a report: {'the terminal has no path' if kind == 'term' else 'the path is empty'}"
        )
    return ReportTarget(kind=kind, path=Path(path) if path else None)


def write_report(report: Report, target: ReportTarget, folder: Path, sources: Iterable[Path] = ()) -> Path:
    """Write a report and return its path.

    Args:
        report: the report.
        target: its kind and path.
        folder: the run's folder, for a target without a path.
        sources: files with the records that were read for it, which it must not replace.

    Raises:
        RecordError: it cannot be written, or it would replace records; no half file stays.
    """
    name, writer = REPORTS[target.kind]
    path = target.path or folder / name
    check_target(path, sources)
    return write_file(path, writer(report))
