"""Plain output in the place of pytest's terminal reporter, which plugins such as pytest-rich remove."""

from __future__ import annotations

import shutil
import sys

__all__ = ["PlainTerminal"]


class PlainTerminal:
    """The part of pytest's terminal reporter that the energy table needs, without colours.

    pytest-rich prints no summaries of other plugins. It writes to standard output itself, and so does this.
    """

    def __init__(self) -> None:
        self.width = shutil.get_terminal_size().columns

    def section(self, title: str, sep: str = "=", **_markup: bool) -> None:
        """Print a title in the middle of a line of ``sep``."""
        self.write_line(f" {title} ".center(self.width, sep))

    def write_line(self, line: str, **_markup: bool) -> None:
        """Print one line; characters that the output cannot show are escaped, as pytest does."""
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stdout.flush()
