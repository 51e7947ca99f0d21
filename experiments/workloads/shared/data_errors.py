"""The one error of the data loaders."""

from __future__ import annotations

__all__ = ["DataError"]


class DataError(Exception):
    """A data path is wrong, or a file is damaged; the message names the file and what was expected."""
