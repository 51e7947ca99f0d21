"""Files that a training left in the user's checkout, where the next one finds them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["checkout_remark"]

_MOST_FILES = 20_000
"""Of a larger checkout the first files are looked at: a listing takes a fifth of a second for so many."""
_SHOWN = 3
_NOT_LOOKED_AT = re.compile(
    r"\.git|__pycache__|node_modules|site-packages|\.?v?env|\.conda|\.(?:tox|nox|cache|[a-z]+_cache|ipynb_checkpoints)"
)
_UNIMPORTANT = re.compile(r"\.coverage.*|.*\.py[co]|\.DS_Store")


def checkout_remark(checkout: Path, since_s: float, own: Path) -> str | None:
    """Return a remark on files of a checkout that are new or changed since a time; ``None`` where there are none.

    Args:
        checkout: the folder; caches, virtual environments and git's own files in it do not count.
        since_s: wall-clock time as the file system has it, in seconds since 1970.
        own: the folder that the plugin gave the training; it and the results folder around it do not count.
    """
    changed = [str(path.relative_to(checkout)) for path in _changed(checkout, since_s, _results(own))]
    if not changed:
        return None
    more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
    return (
        f"it left new or changed files in its checkout: {', '.join(changed[:_SHOWN])}{more}; a later run finds them; "
        'the registry key "output" gives it a folder of its own'
    )


def _results(own: Path) -> Path:
    """Return the folder that holds all runs, or the training's own folder outside of one."""
    runs = (folder.parent for folder in own.parents if (folder / "run.json").exists())
    return next(runs, own).resolve()


def _changed(checkout: Path, since_s: float, results: Path) -> Iterator[Path]:
    seen = 0
    for parent, folders, names in os.walk(checkout):
        here = Path(parent)
        folders[:] = [
            name
            for name in folders
            if not _NOT_LOOKED_AT.fullmatch(name) and not (here / name).resolve().is_relative_to(results)
        ]
        for name in names:
            seen += 1
            if seen > _MOST_FILES:
                return
            try:
                changed_s = (here / name).lstat().st_ctime
            except OSError:  # gone meanwhile
                continue
            if changed_s >= since_s and not _UNIMPORTANT.fullmatch(name):
                yield here / name
