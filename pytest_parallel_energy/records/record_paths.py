"""Paths that records name. A record may come from another person: what it names must lie inside its run's folder."""

from __future__ import annotations

from pathlib import Path

from ..errors import RecordError

__all__ = ["path_inside"]


def path_inside(folder: Path, name: str) -> Path:
    """Return the path of a file or folder that a record names relative to its run's folder.

    Raises:
        RecordError: the path is absolute, or leads out of ``folder`` by ``..`` or by a symbolic link.
    """
    path = folder / name
    try:
        inside = not Path(name).is_absolute() and path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # a NUL character, or links that form a circle
        inside = False
    if not inside:
        raise RecordError(
            f"a record names {name!r}, which is not inside the run's folder {folder}: the file is left alone; "
            "records with such paths were changed by hand or damaged"
        )
    return path
