"""The subcommands that work on results: compare, report, export, merge."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import ConfigError
from ..plan.settings import Settings
from ..records.atomic_write import write_file
from ..records.merge import merge_runs, merged_lines
from ..records.reader import RECORDS_NAME, Records, check_target, read_records
from ..records.record import Record
from ..reports.compare_text import FORMATS, comparison_lines
from ..reports.export import EXPORTS, export_records
from ..reports.open_report import ReportContext, load_report
from ..reports.terminal_table import render_table
from ..reports.writers import REPORTS, parse_target, write_report
from ..run.conclusion import factors_of
from ..statistics.baseline import find_path
from ..statistics.compare import Comparison, comparable, compare_runs, default_threshold
from ..statistics.gate import closing_reasons
from ..statistics.quantities import Threshold, parse_threshold

__all__ = ["add_commands"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Give the console script its subcommands for results."""
    _add_compare(commands.add_parser("compare", help="compare runs or baselines, each with the first"))
    _add_report(commands.add_parser("report", help="write reports of a run, however old"))
    _add_export(commands.add_parser("export", help="give the records of runs to another program"))
    _add_merge(commands.add_parser("merge", help="put the runs of several sessions or machines together"))


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("old", metavar="RUN", help="the run or baseline to compare with")
    parser.add_argument("new", nargs="+", metavar="RUN", help="the runs that are compared with it")
    parser.add_argument(
        "--quantity", action="append", default=[], metavar="NAME", help="what to compare (default: total_j)"
    )
    parser.add_argument(
        "--fail",
        action="append",
        default=[],
        metavar="QUANTITY:CHANGE",
        help="exit with 1 when a cell is worse, such as total_j:5%% or test_accuracy:-2%%",
    )
    parser.add_argument(
        "--inconclusive",
        choices=("warn", "fail"),
        default="warn",
        help="what an inconclusive verdict does to the gate of --fail (default: %(default)s)",
    )
    parser.add_argument("--format", choices=("table", *FORMATS), default="table", help="how to write it")
    _add_places(parser)
    parser.set_defaults(run=_compare)


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="*", metavar="RUN", default=["latest"], help="the runs (default: the latest)")
    parser.add_argument(
        "--to", action="append", default=[], metavar="TYPE[:PATH]", help=f"term, {', '.join(REPORTS)} (default: html)"
    )
    parser.add_argument("--compare", metavar="RUN", help="a run or baseline to compare with")
    parser.add_argument("--carbon-intensity", metavar="'G/kWh; SOURCE'", help="to show carbon")
    parser.add_argument("--price", metavar="'CURRENCY/kWh; SOURCE'", help="to show costs")
    parser.add_argument("--pue", metavar="'PUE; SOURCE'", help="to multiply both with")
    _add_dir(parser)
    parser.set_defaults(run=_report)


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="*", metavar="RUN", default=["latest"], help="the runs (default: the latest)")
    parser.add_argument("--to", choices=tuple(EXPORTS), required=True, help="the other program's format")
    parser.add_argument("--carbon-intensity", metavar="'G/kWh; SOURCE'", help="for codecarbon's emissions")
    parser.add_argument("--pue", metavar="'PUE; SOURCE'", help="for codecarbon's emissions")
    _add_places(parser)
    parser.set_defaults(run=_export, price=None)


def _add_merge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH", help="runs, files of records, or folders that hold runs")
    parser.add_argument("--output", "-o", required=True, metavar="PATH", help="a folder, or a file that ends in .jsonl")
    parser.set_defaults(run=_merge)


def _add_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dir", default=Settings().dir, help="the folder of the runs (default: %(default)s)")


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", "-o", metavar="FILE", help="where to write it (default: standard output)")
    _add_dir(parser)


def _compare(options: argparse.Namespace) -> int:
    thresholds = _thresholds(options.quantity, options.fail)
    old = _read(options.dir, options.old, comparable)
    new = [(name, _read(options.dir, name, comparable)) for name in options.new]
    found = [_compared((options.old, old), named, thresholds) for named in new]
    if options.format == "table":
        width = shutil.get_terminal_size().columns
        text = "\n\n".join(_joined(comparison, width) for comparison in found) + "\n"
    else:
        text = FORMATS[options.format](found)
    _put(text, options.output, [old, *(records for _, records in new)])
    if not options.fail:
        return 0
    closed = [reason for one in found for reason in closing_reasons(one, inconclusive=options.inconclusive)]
    for reason in closed:
        print(f"the gate is closed: {reason}", file=sys.stderr)  # noqa: T201 - the answer may go into a pipe
    return int(bool(closed))


def _thresholds(quantities: Sequence[str], limits: Sequence[str]) -> list[Threshold]:
    parsed = {threshold.quantity: threshold for threshold in map(parse_threshold, limits)}
    wanted = dict.fromkeys([*quantities, *parsed]) or {"total_j": None}
    return [parsed.get(name) or default_threshold(name) for name in wanted]


def _compared(old: tuple[str, Records], new: tuple[str, Records], thresholds: Sequence[Threshold]) -> Comparison:
    return compare_runs((old[0], old[1].records), (new[0], new[1].records), thresholds)


def _joined(comparison: Comparison, width: int) -> str:
    return "\n".join(line.text for line in comparison_lines(comparison, width=width))


def _report(options: argparse.Namespace) -> int:
    targets = [parse_target(text) for text in options.to or ["html"]]
    base = Path(options.dir)
    old = _read(options.dir, options.compare, comparable) if options.compare else None
    for name in options.runs:
        path = find_path(base, name)
        comparison = None
        if old is not None:
            comparison = _compared((options.compare, old), (name, read_records(path, comparable)), _thresholds([], []))
        context = ReportContext(comparison=comparison, factors=factors_of(_with_factors(options)))
        report = load_report(path, context)
        for target in targets:
            if target.kind == "term":
                lines = render_table(report.records, width=shutil.get_terminal_size().columns)
                _say("\n".join(line.text for line in lines))
            else:
                _say(str(write_report(report, target, path.parent, [path, *([old.path] if old else [])])))
    return 0


def _export(options: argparse.Namespace) -> int:
    runs = [_read(options.dir, name) for name in options.runs]
    records = [record for run in runs for record in run.records]
    data = export_records(records, options.to, factors_of(_with_factors(options)))
    if options.output is None and options.to in {"parquet", "sqlite"}:
        raise ConfigError(f"export to {options.to} is no text: name a file with --output")
    _put(data, options.output, runs)
    return 0


def _merge(options: argparse.Namespace) -> int:
    output = Path(options.output)
    target = output if output.suffix == ".jsonl" else output / RECORDS_NAME
    merged = merge_runs([Path(path) for path in options.paths])
    check_target(target, merged.sources)
    write_file(target, merged_lines(merged))
    for sentence in (*map(str, merged.problems), *merged.conflicts):
        _say(sentence)
    _say(
        f"{len(merged.records)} records of {len(merged.sources)} files in {target}; {merged.duplicates} duplicates "
        f"left out, {len(merged.conflicts)} conflicts, {len(merged.problems)} damaged lines"
    )
    return 0


def _with_factors(options: argparse.Namespace) -> Settings:
    return Settings(carbon_intensity=options.carbon_intensity, price=options.price, pue=options.pue)


def _read(base: str, name: str, keep: Callable[[Record], Record] | None = None) -> Records:
    """The records of a run, with what could not be read said."""
    from ..host.facts import host_facts

    records = read_records(find_path(Path(base), name, host_facts()), keep)
    for problem in records.problems:
        print(problem, file=sys.stderr)  # noqa: T201 - beside the answer, which may go into a pipe
    return records


def _put(content: str | bytes, output: str | None, read: Sequence[Records]) -> None:
    if output is not None:
        check_target(Path(output), [records.path for records in read])
        _say(str(write_file(Path(output), content)))
    else:
        print(content if isinstance(content, str) else content.decode(), end="")  # noqa: T201 - the answer itself


def _say(sentence: str) -> None:
    print(sentence)  # noqa: T201 - a command's own output
