"""The subcommand ``compare``."""

from __future__ import annotations

import argparse
import shutil
import sys

from ..records.reader import no_collection
from ..reports.compare_text import FORMATS, comparison_lines
from ..statistics.compare import Comparison, comparable
from ..statistics.gate import closing_reasons
from .result_arguments import add_dir, add_output, compared, put, read_run, thresholds

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the subcommand."""
    parser.description = """\
Compare runs or baselines with a first one, cell by cell. A verdict (worse, better, no change, inconclusive) needs
the statistics, the threshold and the resolution of the sensors.

exit status: 0, or 1 when --fail was given and a cell is worse, missing or could not be compared"""
    parser.epilog = """\
examples:
  pytest-parallel-energy compare 20261101-120000-aaaaaa latest
  pytest-parallel-energy compare OLD NEW --fail total_j:5% --fail test_accuracy:-2% --format md"""
    parser.add_argument("old", metavar="OLD", help="name or folder of the run, or the baseline, to compare with")
    parser.add_argument("new", nargs="+", metavar="NEW", help="runs or baselines to compare with it")
    _add_rules(parser)
    parser.add_argument(
        "--format", choices=("table", *FORMATS), default="table", help="format of the output (default: %(default)s)"
    )
    add_output(parser)
    add_dir(parser)


def _add_rules(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is compared, and what closes the gate."""
    parser.add_argument(
        "--quantity",
        action="append",
        default=[],
        metavar="NAME",
        help="quantity to compare, such as total_j, seconds or test_accuracy; repeatable (default: total_j)",
    )
    parser.add_argument(
        "--fail",
        action="append",
        default=[],
        metavar="QUANTITY:CHANGE",
        help="exit with 1 when a cell is worse by more than this, such as total_j:5%% or test_accuracy:-2%%; "
        "repeatable (default: no limit)",
    )
    parser.add_argument(
        "--by",
        choices=("test", "workload"),
        default="test",
        help="what makes two cells the same: the test and all that it runs, or, with workload, what is trained next to "
        "which load, in whichever test (default: %(default)s)",
    )
    parser.add_argument(
        "--inconclusive",
        choices=("warn", "fail"),
        default="warn",
        help="what an inconclusive verdict does to the gate of --fail: warn leaves the exit status at 0 "
        "(default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Print or write the comparisons; return 1 when ``--fail`` closed the gate."""
    limits = thresholds(options.quantity, options.fail)
    old = read_run(options.dir, options.old, comparable)
    new = [(name, read_run(options.dir, name, comparable)) for name in options.new]
    with no_collection():
        found = [compared((options.old, old), named, limits, by=options.by) for named in new]
    if options.format == "table":
        width = shutil.get_terminal_size().columns
        text = "\n\n".join(_table(comparison, width) for comparison in found) + "\n"
    else:
        text = FORMATS[options.format](found)
    put(text, options.output, [old, *(records for _, records in new)])
    if not options.fail:
        return 0
    closed = [reason for each in found for reason in closing_reasons(each, inconclusive=options.inconclusive)]
    for reason in closed:
        print(f"the gate is closed: {reason}", file=sys.stderr)  # noqa: T201 - the answer may go into a pipe
    return int(bool(closed))


def _table(comparison: Comparison, width: int) -> str:
    return "\n".join(line.text for line in comparison_lines(comparison, width=width))
