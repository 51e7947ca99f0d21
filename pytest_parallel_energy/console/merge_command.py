"""The subcommand ``merge``."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..records.atomic_write import write_file
from ..records.masking import is_private
from ..records.merge import merge_runs, merged_lines
from ..records.reader import RECORDS_NAME, check_target
from .result_arguments import say

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the subcommand."""
    parser.description = """\
Merge the records of several sessions or machines into one run that can be reported on and compared. A record that
occurs twice is kept once. The sources are not changed."""
    parser.epilog = """\
example:
  pytest-parallel-energy merge machine-a/energy-results machine-b/energy-results --output all"""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a run, a file of records, or a folder of runs")
    parser.add_argument(
        "--output", "-o", required=True, metavar="PATH", help="folder to write to, or a file that ends in .jsonl"
    )


def run(options: argparse.Namespace) -> int:
    """Write the merged records, and print how many there are and what could not be merged."""
    output = Path(options.output)
    target = output if output.suffix == ".jsonl" else output / RECORDS_NAME
    merged = merge_runs([Path(path) for path in options.paths])
    check_target(target, merged.sources)
    write_file(target, merged_lines(merged), private=any(map(is_private, merged.records)))
    for sentence in (*map(str, merged.problems), *merged.conflicts):
        say(sentence)
    say(
        f"{len(merged.records)} records of {len(merged.sources)} files in {target}; {merged.duplicates} duplicates "
        f"left out, {len(merged.conflicts)} conflicts, {len(merged.problems)} damaged lines"
    )
    return 0
