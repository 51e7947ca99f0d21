"""The subcommand ``report``."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from ..records.reader import read_records
from ..reports.open_report import ReportContext, load_report
from ..reports.terminal_table import render_table
from ..reports.writers import REPORTS, parse_target, write_report
from ..statistics.baseline import find_path
from ..statistics.compare import comparable
from .result_arguments import add_dir, add_runs, compared, given_factors, read_run, say, thresholds

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the subcommand."""
    parser.description = """\
Write reports of runs that have ended, and print the path of each. A report is written into the folder of its
run unless PATH says otherwise."""
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
    """Write each report of each run."""
    targets = [parse_target(text) for text in options.to or ["html"]]
    base = Path(options.dir)
    old = read_run(options.dir, options.compare, comparable) if options.compare else None
    for name in options.runs:
        path = find_path(base, name)
        comparison = None
        if old is not None:
            comparison = compared((options.compare, old), (name, read_records(path, comparable)), thresholds([], []))
        report = load_report(path, ReportContext(comparison=comparison, factors=given_factors(options)))
        for target in targets:
            if target.kind == "term":
                lines = render_table(report.records, width=shutil.get_terminal_size().columns)
                say("\n".join(line.text for line in lines))
            else:
                say(str(write_report(report, target, path.parent, [path, *([old.path] if old else [])])))
    return 0
