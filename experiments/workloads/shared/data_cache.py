"""Generated data on disk: written once, shared by runs, always complete.

The folder is ``$EXPERIMENTS_CACHE``, else ``$XDG_CACHE_HOME/pytest-parallel-energy`` (``~/.cache/…``),
else a folder inside the run's own output folder when the first two cannot be written.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from data_errors import DataError

__all__ = ["CACHE_VARIABLE", "cached_folder"]

CACHE_VARIABLE = "EXPERIMENTS_CACHE"


def cached_folder(name: str, write: Callable[[Path], None], *, fallback: Path) -> Path:
    """Return the folder of the generated set ``name``; ``write`` fills it on first use.

    The set is written under a temporary name in the same folder and renamed when complete, so two runs that start
    together each see either nothing or the whole set; the slower one drops its copy. ``name`` carries the
    generator's version and size: another generator never reads an older one's files.

    Args:
        name: folder name, such as ``silhouettes-v1-2560-512``.
        write: writes the complete set into the empty folder that it is given.
        fallback: where the cache goes when the user's cache folder cannot be written.

    Raises:
        DataError: ``$EXPERIMENTS_CACHE`` or, after that, ``fallback`` cannot be written.
    """
    place = _writable_root(fallback) / name
    if place.is_dir():
        return place
    unfinished = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=place.parent))
    try:
        unfinished.chmod(0o755)  # mkdtemp makes it private; a shared cache is read by other users
        write(unfinished)
        _rename_unless_there(unfinished, place)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return place


def _rename_unless_there(unfinished: Path, place: Path) -> None:
    try:
        unfinished.rename(place)
    except OSError:
        if not place.is_dir():  # another run was quicker: its set is the same, byte for byte
            raise


def _writable_root(fallback: Path) -> Path:
    asked = os.environ.get(CACHE_VARIABLE)
    if asked:
        candidates = [Path(asked)]
    else:
        home_cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        candidates = [Path(home_cache).expanduser() / "pytest-parallel-energy", fallback / "data-cache"]
    problems = []
    for root in candidates:
        try:
            root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=root):
                return root
        except OSError as error:
            problems.append(f"{root}: {error.strerror}")
    raise DataError(
        f"generated data cannot be stored ({'; '.join(problems)}); set {CACHE_VARIABLE} to a folder that can be written"
    )
