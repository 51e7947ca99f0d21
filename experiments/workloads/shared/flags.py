"""The flags of the training scripts: numbers with a unit, a range and a default that ``--help`` shows."""

from __future__ import annotations

import argparse
import math

__all__ = ["add_fraction", "add_number", "add_whole_number", "script_parser"]


def script_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser that prints the script's docstring as its description, line by line."""
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)


def add_whole_number(
    parser: argparse.ArgumentParser, *flags: str, default: int | None, about: str, least: int = 1, shown: str = ""
) -> None:
    """Add a flag for a whole number of at least ``least``; argparse refuses others and names the flag.

    Args:
        parser: gets the flag.
        flags: the spellings of the flag.
        default: the value without the flag.
        about: the meaning, with the unit.
        least: the smallest value that is accepted.
        shown: the default in words, for a default that depends on other flags.
    """

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"must be a whole number, {least} or more, not {text!r}")
        return number

    text = f"{about}; {least} or more (default: {shown or default})"
    parser.add_argument(*flags, type=parse, default=default, metavar="N", help=_escaped(text))


def add_number(
    parser: argparse.ArgumentParser,
    *flags: str,
    default: float | None,
    about: str,
    most: float = math.inf,
    shown: str = "",
) -> None:
    """Add a flag for a finite number from 0 to ``most``; the arguments are those of :func:`add_whole_number`."""
    words = "0 or more" if math.isinf(most) else f"0 to {most:g}"

    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not (0 <= number <= most and math.isfinite(number)):
            raise argparse.ArgumentTypeError(f"must be a number, {words}, not {text!r}")
        return number

    text = f"{about}; {words} (default: {shown or format(default, 'g')})"
    parser.add_argument(*flags, type=parse, default=default, metavar="X", help=_escaped(text))


def add_fraction(parser: argparse.ArgumentParser, *flags: str, default: float, about: str) -> None:
    """Add a flag for a share from 0 to 1."""
    add_number(parser, *flags, default=default, about=about, most=1.0)


def _escaped(text: str) -> str:
    return text.replace("%", "%%")  # argparse reads % as a format
