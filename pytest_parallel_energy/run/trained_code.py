"""The code that a training runs: a hash of its folder's modules, and the commit and dirty state of its checkout."""

from __future__ import annotations

import hashlib
import itertools
import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from ..host.facts import git_commit

__all__ = ["TrainedCode", "read_trained_code"]

_MOST_FILES = 2000
_MOST_FOLDERS = 2000
_LARGEST_BYTES = 1 << 20
"""Of a larger file (weights, data) only the size counts: reading it for every run would cost more than it tells."""
_GIT_S = 10.0
_NO_CODE = frozenset({".md", ".rst", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".pdf", ".ipynb", ".jsonl", ".log"})
_NO_CODE_NAMES = frozenset({"conftest.py", "LICENSE", ".gitignore"})
_NO_CODE_FOLDERS = frozenset({"__pycache__", "node_modules", "site-packages", "venv"})


class TrainedCode(Struct, frozen=True, kw_only=True):
    """The code of a training; a field is ``None`` where it is unknown."""

    digest: str | None = None
    """12 hexadecimal digits; the same where the same files have the same content."""
    commit: str | None = None
    dirty: bool | None = None
    """Whether tracked files of the folder differ from the commit."""


def read_trained_code(folder: Path, script: Path, modules: Sequence[Path] = ()) -> TrainedCode:
    """Return the code below a folder: files that git tracks, and Python files.

    Tests, notebooks, documentation and pictures do not count. At most 2000 files are read; of a larger folder the
    commit and the dirty state count as well.

    Args:
        folder: of the training; without git its Python files count.
        script: of the training; it counts wherever it lies.
        modules: further files and folders that the training imports.
    """
    commit, status = git_commit(folder), _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".")
    dirty = None if status is None or commit is None else bool(status.strip())
    found = [file for place in (folder, *modules) for file in _files_in(place) if place.is_file() or _is_code(file)]
    files = sorted({script, *found})
    digest = hashlib.sha256()
    if len(files) > _MOST_FILES:
        digest.update(f"{commit} {dirty}".encode())
    for file in (script, *files[:_MOST_FILES]):
        digest.update(f"\0{os.path.relpath(file, folder)}\0".encode("utf-8", "surrogateescape"))
        digest.update(_content(file))
    return TrainedCode(digest=digest.hexdigest()[:12] if files else None, commit=commit, dirty=dirty)


def _files_in(place: Path) -> Iterable[Path]:
    return [place] if place.is_file() else _tracked(place) or _python_files(place)


def _is_code(file: Path) -> bool:
    is_test = file.suffix == ".py" and (file.stem.startswith("test_") or file.stem.endswith("_test"))
    return not (is_test or file.suffix.lower() in _NO_CODE or file.name in _NO_CODE_NAMES)


def _content(file: Path) -> bytes:
    try:
        size = file.stat().st_size
        return file.read_bytes() if size <= _LARGEST_BYTES else str(size).encode()
    except OSError:
        return b"unreadable"


def _tracked(folder: Path) -> list[Path]:
    """Return the files that git tracks and the Python files that it does not ignore; none outside of a repository."""
    listings = [
        _git(folder, "ls-files", "-z"),
        _git(folder, "ls-files", "-z", "--others", "--exclude-standard", "*.py"),
    ]
    names = [os.fsdecode(name) for listing in listings if listing for name in listing.split(b"\0") if name]
    return [folder / name for name in names if (folder / name).is_file()]


def _python_files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in itertools.islice(os.walk(folder), _MOST_FOLDERS):
        # In place, so that os.walk does not descend; sorted, so that the limit cuts at the same place on each machine.
        folders[:] = sorted(name for name in folders if name not in _NO_CODE_FOLDERS and not name.startswith("."))
        yield from (Path(parent, name) for name in sorted(names) if name.endswith(".py"))


def _git(folder: Path, *arguments: str) -> bytes | None:
    """Return the output of a git command; ``None`` where git is missing, too slow, or knows no repository here."""
    # A hook of git exports its own repository, which need not be the one of the folder.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            env={**environment, "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_GIT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None
