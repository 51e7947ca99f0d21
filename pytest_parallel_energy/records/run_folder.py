"""Folders of runs and of the experiments in them: their names, and how they are made."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import secrets
from pathlib import Path

from ..errors import RecordError
from .atomic_write import write_file

__all__ = ["choose_folder", "experiment_label", "make_results_dir", "new_run_folder", "safe_name"]

_UNSAFE = re.compile(r"[^A-Za-z0-9._=+,@-]+")
_LONGEST_NAME = 120
"""Characters of a folder's name: most file systems take 255 bytes, and logs inside it need room in a path."""


def experiment_label(cell: str, repetition: int, attempt: int) -> str:
    """Return the name of an experiment's folder; only retries carry their number.

    >>> experiment_label("3f2a", 0, 1), experiment_label("3f2a", 1, 2)
    ('3f2a-rep0', '3f2a-rep1-try2')
    """
    retry = f"-try{attempt}" if attempt > 1 else ""
    return f"{cell}-rep{repetition}{retry}"


def make_results_dir(base_dir: Path) -> None:
    """Make the folder that holds the runs, and let git ignore it when it is new.

    A folder that exists already may be a repository or hold other files, so that nothing is written into it.

    Raises:
        OSError: it cannot be made.
    """
    base_dir.parent.mkdir(parents=True, exist_ok=True)
    try:
        base_dir.mkdir()
    except FileExistsError:
        if not base_dir.is_dir():
            raise
        return
    with contextlib.suppress(RecordError):
        write_file(base_dir / ".gitignore", "# Results are not source code.\n*\n")


def new_run_folder(base_dir: Path, started: dt.datetime, name: str | None) -> Path:
    """Make a folder named by its time and a random part; ``mkdir`` settles who owns a name.

    Raises:
        OSError: it cannot be made.
    """
    while True:
        folder = _named_folder(base_dir, started, name)
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder


def choose_folder(base_dir: Path, name: str | None = None) -> Path:
    """Return an absolute path for a run that starts now; nothing is made yet."""
    return _named_folder(base_dir.absolute(), dt.datetime.now().astimezone(), name)


def _named_folder(base_dir: Path, started: dt.datetime, name: str | None) -> Path:
    middle = f"-{safe_name(name)}" if name else ""
    return base_dir / f"{started.strftime('%Y%m%d-%H%M%S')}{middle}-{secrets.token_hex(3)}"


def safe_name(label: str) -> str:
    """Return a label as a folder's name: one level, plain characters only, never hidden, never empty."""
    name = _UNSAFE.sub("_", label).lstrip(".-")[:_LONGEST_NAME]
    return name or "experiment"
