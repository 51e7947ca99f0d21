"""Arguments and steps that the subcommands about results share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import printable
from ..host.facts import host_facts
from ..plan.settings import Settings
from ..records.atomic_write import write_file
from ..records.reader import Records, check_target, read_records
from ..records.record import Record
from ..reports.costs import Factors, carbon_factor, price_factor, pue_factor
from ..statistics.baseline import find_path
from ..statistics.compare import Comparison, compare_runs, default_threshold
from ..statistics.quantities import Threshold, parse_threshold

__all__ = [
    "add_dir",
    "add_output",
    "add_runs",
    "compared",
    "complain",
    "given_factors",
    "put",
    "read_run",
    "say",
    "thresholds",
]


def add_runs(parser: argparse.ArgumentParser) -> None:
    """Add the runs as arguments, the latest by default."""
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", default=["latest"], help="name or folder of a run (default: latest)"
    )


def add_dir(parser: argparse.ArgumentParser) -> None:
    """Add ``--dir``."""
    parser.add_argument(
        "--dir", metavar="FOLDER", default=Settings().dir, help="folder that holds the runs (default: %(default)s)"
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add ``--output``."""
    parser.add_argument("--output", "-o", metavar="FILE", help="file to write to (default: standard output)")


def read_run(base: str, name: str, keep: Callable[[Record], Record] | None = None) -> Records:
    """Read the records of a run; print what cannot be read on standard error.

    Raises:
        ConfigError: there is no such run.
        RecordError: its file cannot be read.
    """
    records = read_records(find_path(Path(base), name, host_facts()), keep)
    for problem in records.problems:
        print(printable(str(problem)), file=sys.stderr)  # noqa: T201 - apart from the answer, which may go into a pipe
    return records


def thresholds(quantities: Sequence[str], limits: Sequence[str]) -> list[Threshold]:
    """Return one threshold per quantity that is compared; ``total_j`` when the user named none.

    Raises:
        ConfigError: a limit is not of the form ``QUANTITY:CHANGE``.
    """
    parsed = {threshold.quantity: threshold for threshold in map(parse_threshold, limits)}
    wanted = dict.fromkeys([*quantities, *parsed]) or {"total_j": None}
    return [parsed.get(name) or default_threshold(name) for name in wanted]


def compared(
    old: tuple[str, Records], new: tuple[str, Records], limits: Sequence[Threshold], *, by: str = "test"
) -> Comparison:
    """Compare two named runs."""
    return compare_runs((old[0], old[1].records), (new[0], new[1].records), limits, by=by)


def given_factors(options: argparse.Namespace) -> Factors:
    """Return the carbon intensity, price and PUE that the user gave.

    Raises:
        ConfigError: one of them is not a number with its unit and source.
    """
    return Factors(
        carbon=carbon_factor(options.carbon_intensity) if options.carbon_intensity else None,
        price=price_factor(options.price) if options.price else None,
        pue=pue_factor(options.pue) if options.pue else None,
    )


def put(content: str | bytes, output: str | None, read: Sequence[Records]) -> None:
    """Write the answer to a file and print its path, or print the answer itself.

    Raises:
        RecordError: the file is one of those that were read.
    """
    if output is not None:
        check_target(Path(output), [records.path for records in read])
        say(str(write_file(Path(output), content)))
    else:
        text = content if isinstance(content, str) else content.decode()
        print(printable(text) if sys.stdout.isatty() else text, end="")  # noqa: T201 - a pipe gets each byte


def complain(sentence: str) -> None:
    """Print a line about something that did not work, as the program does for an error that ends it."""
    print(f"pytest-parallel-energy: {printable(sentence)}", file=sys.stderr)  # noqa: T201 - a command's own output


def say(sentence: str) -> None:
    """Print one line."""
    print(printable(sentence))  # noqa: T201 - a command's own output
