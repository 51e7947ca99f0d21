"""The subcommand ``report``."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from ..errors import ParallelEnergyError
from ..records.reader import read_records
from ..reports.open_report import ReportContext, load_report
from ..reports.report import Report
from ..reports.terminal_table import render_table
from ..reports.writers import REPORTS, ReportTarget, parse_target, write_report
from ..statistics.baseline import find_path
from ..statistics.compare import comparable
from .result_arguments import add_dir, add_runs, compared, complain, given_factors, read_run, say, thresholds

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the subcommand."""
    parser.description = """\
Write reports of runs that have ended, and print the path of each. A report is written into the folder of its
run unless PATH says otherwise. A report that cannot be written is named, and the others are written.

exit status: 0, 1 when some reports could not be written, or 2 when none could"""
    parser.epilog = """\
examples:
  pytest-parallel-energy report
  pytest-parallel-energy report latest --to md --to html:/tmp/page.html --carbon-intensity '380; Ember 2024'"""
    add_runs(parser)
    parser.add_argument(
        "--to",
        action="append",
        default=[],
        metavar="TYPE[:PATH]",
        help=f"kind of report, and where to write it; repeatable: term, {', '.join(REPORTS)} (default: html)",
    )
    parser.add_argument("--compare", metavar="RUN", help="run or baseline to compare with (default: none)")
    parser.add_argument(
        "--carbon-intensity",
        metavar="'GRAMS; SOURCE'",
        help="grams of CO2 equivalent per kWh and its source, to show carbon (default: not shown)",
    )
    parser.add_argument(
        "--price", metavar="'AMOUNT CURRENCY/kWh; SOURCE'", help="price per kWh, to show costs (default: not shown)"
    )
    parser.add_argument(
        "--pue",
        metavar="'RATIO; SOURCE'",
        help="power usage effectiveness of the data centre, 1 or more, applied to carbon and costs (default: 1)",
    )
    add_dir(parser)


def run(options: argparse.Namespace) -> int:
    """Write each report of each run; one that cannot be written is named, and the others are written.

    Returns:
        0; 1 where some reports could not be written; 2 where none could.

    Raises:
        ConfigError: a kind of report, a factor or the run to compare with is unusable.
    """
    targets = [parse_target(text) for text in options.to or ["html"]]
    factors = given_factors(options)
    old = read_run(options.dir, options.compare, comparable) if options.compare else None
    failures = 0
    for name in options.runs:
        try:
            path = find_path(Path(options.dir), name)
            comparison = None
            if old is not None:
                comparison = compared(
                    (options.compare, old), (name, read_records(path, comparable)), thresholds([], [])
                )
            report = load_report(path, ReportContext(comparison=comparison, factors=factors))
        except ParallelEnergyError as error:
            complain(str(error))
            failures += len(targets)
            continue
        sources = [path, *([old.path] if old else [])]
        failures += sum(not _written(report, target, path.parent, sources) for target in targets)
    if failures == len(targets) * len(options.runs):
        return 2
    return int(failures > 0)


def _written(report: Report, target: ReportTarget, folder: Path, sources: Sequence[Path]) -> bool:
    """Write or print a report; return whether that worked."""
    try:
        if target.kind == "term":
            lines = render_table(report.records, width=shutil.get_terminal_size().columns)
            say("\n".join(line.text for line in lines))
        else:
            say(str(write_report(report, target, folder, sources)))
    except BrokenPipeError:
        raise  # the reader has gone away: the program says so by its exit status
    except ParallelEnergyError as error:
        complain(str(error))
        return False
    except Exception as error:  # noqa: BLE001 - a fault in one report must not cost the others
        complain(f"the report {target} of {report.title} failed: {type(error).__name__}: {error}")
        return False
    return True
