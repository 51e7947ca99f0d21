"""What a report is made of, and the table of its writers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ConfigError, did_you_mean
from .compare import Comparison
from .costs import Factors
from .files import write_file
from .record import Record
from .run_info import RunInfo
from .trace import Trace

__all__ = ["REPORTS", "Report", "ReportTarget", "parse_target", "write_report"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that a writer may show. Writers read nothing else."""

    records: tuple[Record, ...]
    info: RunInfo | None = None
    """``None`` for a baseline or a merged file, which have no ``run.json``."""
    comparison: Comparison | None = None
    factors: Factors = field(default_factory=Factors)
    traces: Mapping[str, Trace] = field(default_factory=dict)
    """By record id, as far as there are some."""
    problems: tuple[str, ...] = ()
    """What went wrong in keeping or reading the records, in words."""

    @property
    def total_j(self) -> float | None:
        """Joules of all attempts together; ``None`` where one is unknown, or there are none."""
        values = [record.energy.total_j for record in self.records]
        known = [value for value in values if value is not None]
        return sum(known) if known and len(known) == len(values) else None

    @property
    def known_j(self) -> tuple[float, int]:
        """Joules of the attempts whose energy is known, and how many those are."""
        known = [record.energy.total_j for record in self.records if record.energy.total_j is not None]
        return sum(known), len(known)

    @property
    def title(self) -> str:
        """The run's name, or its id."""
        if self.info is not None:
            return self.info.name or self.info.run_id
        return self.records[0].run_id if self.records else "no records"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTarget:
    """One report that was asked for."""

    kind: str
    path: Path | None = None
    """``None`` is the kind's own name in the run's folder."""


def _html(report: Report) -> str:
    from .html import html_report

    return html_report(report)


def _markdown(report: Report) -> str:
    from .markdown import markdown_report

    return markdown_report(report)


def _json(report: Report) -> str:
    from .plain import json_report

    return json_report(report)


def _csv(report: Report) -> str:
    from .summary import summary_csv

    return summary_csv(report.records)


def _github(report: Report) -> str:
    from .github import job_summary

    return job_summary(report)


def _gha_benchmark(report: Report) -> str:
    from .plain import benchmark_json

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
"""File name and writer by kind. ``term`` is not here: the terminal's table is no file."""


def parse_target(text: str) -> ReportTarget:
    """A report from ``TYPE`` or ``TYPE:PATH``.

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
            f"{text!r} is no report: {'the terminal has no path' if kind == 'term' else 'the path is empty'}"
        )
    return ReportTarget(kind=kind, path=Path(path) if path else None)


def write_report(report: Report, target: ReportTarget, folder: Path) -> Path:
    """Write a report and give its path; ``folder`` is the run's.

    Raises:
        RecordError: it cannot be written; no half file stays.
    """
    name, writer = REPORTS[target.kind]
    return write_file(target.path or folder / name, writer(report))
