"""The end of a run, once its records are kept: comparison, gate, baseline and reports."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from ..errors import ConfigError, ParallelEnergyError, RecordError
from ..records.atomic_write import append_file
from ..records.reader import read_records
from ..reports.compare_text import comparison_lines
from ..reports.costs import Factors, cost_sentences
from ..reports.github import job_summary, regression_annotations
from ..reports.layout import Line
from ..reports.open_report import ReportContext, load_report
from ..reports.report import Report
from ..reports.writers import ReportTarget, write_report
from ..statistics.baseline import add_to_baseline, check_reference, find_path, save_baseline
from ..statistics.compare import Comparison, comparable, compare_runs, default_threshold
from ..statistics.directions import directed
from ..statistics.gate import announce_weak_gate, closing_reasons
from ..statistics.quantities import check_quantities
from ..statistics.stats import INSTALL_HINT, have_scipy
from .conclusion_settings import compares, on_github

if TYPE_CHECKING:
    from ..plan.settings import Settings
    from ..records.record import HostPart, Record
    from ..statistics.quantities import Threshold

__all__ = ["Conclusion", "Reference", "conclude", "factors_of", "find_reference", "gate_warnings"]


class Reference(Struct, frozen=True, kw_only=True):
    """The run or baseline to compare with, chosen before the run starts, because ``latest`` changes with it.

    ``path`` is ``None`` if there is nothing to compare with yet; ``problem`` says so.
    """

    path: Path | None
    problem: str = ""

    @property
    def name(self) -> str:
        """The name of the run or of the baseline."""
        if self.path is None:
            return ""
        return self.path.parent.name if self.path.name == "records.jsonl" else f"baseline {self.path.stem}"


class Conclusion(Struct, frozen=True, kw_only=True):
    """The lines that the terminal shows below the table, and whether the comparison failed the run."""

    comparison: tuple[Line, ...] = ()
    costs: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    """One sentence per file that was written."""
    annotations: tuple[str, ...] = ()
    """Workflow commands of GitHub, printed unchanged."""
    problems: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    """Why the gate closed, one sentence per reason; empty where it stayed open or there is none."""

    @property
    def failed(self) -> bool:
        """``True`` when the gate closed."""
        return bool(self.closed)


def find_reference(settings: Settings, results_dir: Path, host: HostPart) -> Reference | None:
    """Return what the run will be compared with; ``None`` if the user wants no comparison.

    Raises:
        ConfigError: it does not exist and ``--energy-baseline-missing=fail``; a gate or that setting was asked for and
            its records cannot all be read; or a gate was asked for without SciPy, or
            for a quantity that the reference does not have.
    """
    if settings.compare_fail and not have_scipy():
        raise ConfigError(f"--energy-compare-fail: {INSTALL_HINT}")
    if not compares(settings):
        return None
    strict = settings.baseline_missing == "fail"
    try:
        path = find_path(results_dir, settings.compare or "", host)
        if settings.compare_fail or strict:
            check_reference(path)
    except RecordError as error:  # it is there, and nothing can be judged with it
        if settings.compare_fail or strict:
            raise ConfigError(f"--energy-compare: {error}") from error
        return Reference(path=None, problem=f"nothing to compare with: {error}")
    except ConfigError as error:  # it is not there: the first run of a gate has nothing to compare with yet
        if strict:
            raise ConfigError(f"--energy-compare: {error}") from error
        return Reference(path=None, problem=f"nothing to compare with: {error}")
    reference = Reference(path=path)
    if settings.compare_fail:
        _gate(settings, reference)
    return reference


def gate_warnings(settings: Settings, reference: Reference, repeats: int) -> tuple[str, ...]:
    """Return what the gate cannot show against the reference with so many repeats, in sentences.

    Raises:
        ConfigError: no record of the reference has a quantity of the gate, or its direction is another one.
        RecordError: the reference cannot be read.
    """
    if not settings.compare_fail or reference.path is None:
        return ()
    records, thresholds = _gate(settings, reference)
    return announce_weak_gate(records, thresholds, repeats)


def _gate(settings: Settings, reference: Reference) -> tuple[Sequence[Record], list[Threshold]]:
    records = read_records(reference.path, comparable).records if reference.path else ()
    thresholds = list(settings.compare_fail)
    check_quantities(thresholds, records)
    return records, [directed(threshold, records) for threshold in thresholds]


def factors_of(settings: Settings) -> Factors:
    """Return the carbon intensity, price and PUE that the user gave."""
    return Factors(carbon=settings.carbon_intensity, price=settings.price, pue=settings.pue)


def conclude(
    settings: Settings, results_dir: Path, folder: Path, reference: Reference | None, *, width: int
) -> Conclusion:
    """Compare, save the baseline and write the reports. A step that fails becomes a problem; the others are done.

    Args:
        settings: the settings of the run.
        results_dir: the folder of all runs.
        folder: the folder of this run.
        reference: from :func:`find_reference`.
        width: characters of the terminal.
    """
    problems = [reference.problem] if reference and reference.problem else []
    comparison = _compared(settings, folder, reference, problems)
    closed: tuple[str, ...] = ()
    if settings.compare_fail and reference is not None and reference.path is not None:
        closed = (
            ("there is no comparison",)
            if comparison is None
            else closing_reasons(comparison, inconclusive=settings.compare_inconclusive)
        )
    context = ReportContext(comparison=comparison, factors=factors_of(settings), problems=tuple(problems))
    targets = [target for target in settings.report if target.kind != "term"]
    report = load_report(folder, context, traces=any(target.kind == "html" for target in targets))
    steps = [_baseline_step(settings, results_dir, report)]
    steps += [_report_step(target, report, folder) for target in targets]
    steps += [_summary_step(report)]
    written = [sentence for step in steps for sentence in _attempted(step, problems)]
    known_j, known = report.known_j
    return Conclusion(
        comparison=tuple(comparison_lines(comparison, width=width)) if comparison else (),
        costs=cost_sentences(known_j if known else None, report.factors, report.known_quality),
        written=tuple(written),
        annotations=tuple(regression_annotations(report)) if on_github() else (),
        problems=tuple(problems),
        closed=closed,
    )


def _compared(settings: Settings, folder: Path, reference: Reference | None, problems: list[str]) -> Comparison | None:
    if reference is None or reference.path is None:
        return None
    thresholds = list(settings.compare_fail) or [default_threshold("total_j")]
    try:
        old, new = read_records(reference.path, comparable), read_records(folder, comparable)
    except ParallelEnergyError as error:
        problems.append(f"no comparison: {error}")
        return None
    problems += map(str, old.problems)
    try:
        return compare_runs((reference.name, old.records), (folder.name, new.records), thresholds)
    except ConfigError as error:
        problems.append(f"no comparison: {error}")
        return None


Step = Iterator[str]
"""Writes a file when it is iterated, and yields a sentence about it."""


def _baseline_step(settings: Settings, results_dir: Path, report: Report) -> Step:
    if settings.save_baseline is not None:
        for path in save_baseline(results_dir, report.records, settings.save_baseline):
            yield f"baseline: {path}"
    if settings.add_baseline is not None:
        for path in add_to_baseline(results_dir, report.records, settings.add_baseline):
            sessions = len({record.run_id for record in read_records(path, comparable).records})
            yield f"baseline: {path}, which now holds {sessions} session{'' if sessions == 1 else 's'}"


def _report_step(target: ReportTarget, report: Report, folder: Path) -> Step:
    yield f"report: {write_report(report, target, folder)}"


def _summary_step(report: Report) -> Step:
    if on_github() and report.records:
        append_file(Path(os.environ["GITHUB_STEP_SUMMARY"]), job_summary(report))
        yield "report: the job summary of this step"


def _attempted(step: Step, problems: list[str]) -> Step:
    try:
        yield from step
    except ParallelEnergyError as error:
        problems.append(str(error))
    except Exception as error:  # noqa: BLE001 - a fault in one report must not cost the others
        problems.append(f"a report failed: {type(error).__name__}: {error}")
