"""The subcommand ``merge``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import ConfigError
from ..records.atomic_write import write_file
from ..records.masking import is_private
from ..records.merge import Merged, merge_runs, merged_lines
from ..records.reader import RECORDS_NAME, check_target
from ..records.run_info import RunInfo, read_run_info
from ..records.run_lock import in_progress
from ..statistics.host_overview import host_overview
from ..statistics.node_totals import node_totals
from ..statistics.study_check import study_problems
from ..units import count_of
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
    parser.add_argument(
        "--force", action="store_true", help="replace the file of records that exists there (default: refuse)"
    )


def run(options: argparse.Namespace) -> int:
    """Write the merged records, and print their number, what was not merged or is missing, and totals over nodes."""
    output = Path(options.output)
    target = output if output.suffix == ".jsonl" else output / RECORDS_NAME
    merged = merge_runs([Path(path) for path in options.paths])
    check_target(target, merged.sources)
    if target.exists() and not options.force:
        raise ConfigError(f"{target} exists and would be replaced: name another --output, or replace it with --force")
    write_file(target, merged_lines(merged), private=any(map(is_private, merged.records)))
    in_use = [source.parent for source in merged.sources if source.name == RECORDS_NAME and in_progress(source.parent)]
    runs = [info for source in merged.sources if (info := read_run_info(source.parent)) is not None]
    totals = map(str, node_totals(merged.records))
    missing = study_problems(runs, merged.records)
    for folder in in_use:
        say(f"{folder}: a session is still writing this run; merge it again when it has ended")
    for sentence in (*map(str, merged.problems), *merged.conflicts, *missing, *totals, *_hosts(merged, runs)):
        say(sentence)
    say(
        f"{count_of(len(merged.records), 'record')} of {count_of(len(merged.sources), 'file')} in {target}; "
        f"{count_of(merged.duplicates, 'duplicate')} left out, {count_of(len(merged.conflicts), 'conflict')}, "
        f"{count_of(len(merged.problems), 'damaged line')}"
    )
    return 0


def _hosts(merged: Merged, runs: Sequence[RunInfo]) -> Iterator[str]:
    """Yield a sentence per host, where there are several."""
    hosts = host_overview(merged.records, [host for info in runs for host in info.fleet])
    if len(hosts) < 2:  # noqa: PLR2004 - one host needs no overview
        return
    for host in hosts:
        clock = "" if host.clock_offset_s is None else f", clock {host.clock_offset_s:+.1f} s"
        yield (
            f"{host.name} ({host.host_class}): {host.cells} cells, {host.attempts} attempts, {host.failed} not passed, "
            f"{host.flagged} with remarks, sensors {', '.join(host.sensors) or 'none'}{clock}"
        )
