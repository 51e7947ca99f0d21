"""The subcommand ``export``."""

from __future__ import annotations

import argparse

from ..errors import ConfigError
from ..reports.csv_table import summary_csv
from ..reports.export import EXPORTS, export_records
from .result_arguments import add_dir, add_output, add_runs, given_factors, put, read_run

__all__ = ["configure", "run"]

_BINARY = ("parquet", "sqlite")


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the subcommand."""
    parser.description = """\
Convert the records of one or more runs to another program's format. Energy stays in joules and time in seconds,
except where that format has its own units (CodeCarbon: kWh and kg)."""
    parser.epilog = """\
examples:
  pytest-parallel-energy export --to csv > records.csv
  pytest-parallel-energy export --to csv --prefix-formulas --output for-a-spreadsheet.csv
  pytest-parallel-energy export RUN1 RUN2 --to sqlite --output records.db"""
    add_runs(parser)
    parser.add_argument("--to", choices=tuple(EXPORTS), required=True, help="format to convert to")
    parser.add_argument(
        "--carbon-intensity",
        metavar="'GRAMS; SOURCE'",
        help="grams of CO2 equivalent per kWh and its source, for CodeCarbon's emissions (default: left empty)",
    )
    parser.add_argument(
        "--pue",
        metavar="'RATIO; SOURCE'",
        help="power usage effectiveness of the data centre, for CodeCarbon's emissions (default: 1)",
    )
    parser.add_argument(
        "--prefix-formulas",
        action="store_true",
        help="put an apostrophe before each text of --to csv that a spreadsheet would run as a formula, because it "
        "begins with =, +, - or @ (default: texts are written as they are)",
    )
    add_output(parser)
    add_dir(parser)
    parser.set_defaults(price=None)


def run(options: argparse.Namespace) -> int:
    """Write or print the converted records.

    Raises:
        ConfigError: a binary format without ``--output``, or ``--prefix-formulas`` with another format than CSV.
    """
    runs = [read_run(options.dir, name) for name in options.runs]
    records = [record for records_of_run in runs for record in records_of_run.records]
    if options.prefix_formulas and options.to != "csv":
        raise ConfigError(f"--prefix-formulas is for --to csv, not for {options.to}: leave it out")
    if options.prefix_formulas:
        data = summary_csv(records, prefixed=True).encode("utf-8", "backslashreplace")
    else:
        data = export_records(records, options.to, given_factors(options))
    if options.output is None and options.to in _BINARY:
        raise ConfigError(f"{options.to} is a binary format and cannot be printed: name a file with --output")
    put(data, options.output, runs)
    return 0
