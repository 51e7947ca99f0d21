"""Copies of a checkout: tracked files are copied, data and environments are linked, old outputs stay behind."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct, field

__all__ = ["CheckoutCopy", "copy_checkout", "copy_place", "remove_copies"]

_COPIES = "checkout"
_LARGEST_COPIED_BYTES = 64 << 20
"""Larger files that git does not track are linked, as folders are."""
_MOST_SIBLINGS = 200
_GIT_S = 30.0
_OUTPUTS = re.compile(
    r"check_?points?|ckpts?|outputs?|out|results?|runs|logs?|lightning_logs|multirun|save[ds]?(?:[_-].*)?"
    r"|energy-results|__pycache__|\.pytest_cache|\.mypy_cache|\.ruff_cache",
    re.IGNORECASE,
)
"""Folders that git does not track and in which trainings leave what a next one would find and resume from."""
_HEAVY = re.compile(r"\.?v?env|\.conda|\.tox|\.nox|data|datasets?|wandb|mlruns|node_modules", re.IGNORECASE)
"""Folders that are linked where git does not say which ones it tracks."""


class CheckoutCopy(Struct):
    """What was copied, for the announcement."""

    files: int = 0
    size_bytes: int = 0
    linked: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Return the announcement, one sentence."""
        parts = [f"{self.files} files, {self.size_bytes / 1e6:.2g} MB"]
        parts += [f"linked: {_listed(self.linked)}"] if self.linked else []
        parts += [f"left out: {_listed(self.left_out)}"] if self.left_out else []
        hint = '; a path that it reads belongs into "share"' if self.left_out else ""
        return f"ran in a copy of its checkout ({'; '.join(parts)}{hint})"


def copy_place(output_dir: Path, checkout: Path) -> Path:
    """Return where the copy lies in an output folder: below two folders that stand for those above the checkout."""
    return output_dir / _COPIES / (checkout.parent.name or "root") / checkout.name


def copy_checkout(checkout: Path, output_dir: Path, *, share: tuple[str, ...], needed: str) -> CheckoutCopy:
    """Copy a checkout into an output folder.

    Files that git tracks are copied, and untracked files up to 64 MiB. Untracked and ignored folders are linked, such
    as data and virtual environments, except those that are named as outputs are (``checkpoints``, ``runs``): they are
    left out. Without git the names of the folders decide. What lies next to the checkout is linked next to the copy,
    and so is what lies next to the folder above it, so that ``../data`` means the same.

    Args:
        checkout: the user's folder, which is only read.
        output_dir: the output folder of the run; may lie inside the checkout.
        share: paths within the checkout that are linked in any case.
        needed: the script, relative to the checkout: no folder that contains it is linked or left out.

    Raises:
        OSError: a file cannot be read or written.
        shutil.Error: several cannot.
    """
    place = copy_place(output_dir, checkout)
    place.mkdir(parents=True)
    copying = _Copying(checkout, place, share=share, needed=needed, results=output_dir.resolve())
    untracked = copying.untracked()
    for path in copying.tracked(untracked):
        copying.copy(path)
    for path in untracked:
        copying.copy_or_link(path)
    for name in share:
        copying.link(checkout / name)
    for original, stand_in in ((checkout, place), (checkout.parent, place.parent)):
        _link_siblings(original, stand_in, results=output_dir.resolve())
    return copying.copied


class _Copying:
    def __init__(self, checkout: Path, place: Path, *, share: tuple[str, ...], needed: str, results: Path) -> None:
        self.copied = CheckoutCopy()
        self._checkout, self._place, self._results = checkout, place, results
        self._shared = {checkout / name for name in share}
        self._needed = checkout / needed
        self._has_git = bool(_git(checkout, "ls-files", "-z"))

    def tracked(self, untracked: list[Path]) -> Iterator[Path]:
        """Yield the files and links to copy."""
        if self._has_git:
            for name in _git(self._checkout, "ls-files", "-z", "--recurse-submodules"):
                path = self._checkout / name
                if path.is_symlink() or path.is_file():
                    yield path
            return
        apart = set(untracked)
        for parent, folders, names in os.walk(self._checkout):
            here = Path(parent)
            folders[:] = [
                name
                for name in folders
                if here / name not in apart and name != ".git" and not self._results.is_relative_to(here / name)
            ]
            yield from (here / name for name in names if here / name not in apart)
            yield from (here / name for name in folders if (here / name).is_symlink())
            folders[:] = [name for name in folders if not (here / name).is_symlink()]

    def untracked(self) -> list[Path]:
        """Return the paths that are not copied as they are: of git's untracked ones, folders count whole."""
        if self._has_git:
            names = _git(self._checkout, "ls-files", "-z", "--others", "--directory")
            return [self._checkout / name for name in names if name not in {"./", ""}]
        entries = sorted(self._checkout.iterdir())
        heavy = [path for path in entries if path.is_dir() and (_HEAVY.fullmatch(path.name) or _is_output(path))]
        return heavy + [path for path in self._checkout.rglob("*") if _is_large(path) and not path.is_symlink()]

    def copy_or_link(self, path: Path) -> None:
        if path in self._shared or not (path.exists() or path.is_symlink()):
            return
        if self._results.is_relative_to(path.resolve()):  # results may lie inside: a copy must not hold itself
            return
        if path.is_dir() and not path.is_symlink() and self._needed.is_relative_to(path):
            for below in path.rglob("*"):
                if not below.is_dir() or below.is_symlink():
                    self.copy(below)
        elif path.is_dir() and _is_output(path):
            self.copied.left_out.append(self._name(path))
        elif path.is_dir() or _is_large(path):
            self.link(path)
        else:
            self.copy(path)

    def copy(self, path: Path) -> None:
        if path in self._shared or any(parent in self._shared for parent in path.parents):
            return
        target = self._place / path.relative_to(self._checkout)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() and not path.resolve().is_relative_to(self._checkout.resolve()):
            target.symlink_to(path.resolve())  # a relative link would point elsewhere from the copy
            return
        shutil.copy2(path, target, follow_symlinks=False)
        self.copied.files += 1
        self.copied.size_bytes += path.lstat().st_size

    def link(self, path: Path) -> None:
        target = self._place / path.relative_to(self._checkout)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path)
        self.copied.linked.append(self._name(path))

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._checkout))


def _link_siblings(original: Path, stand_in: Path, *, results: Path) -> None:
    with contextlib.suppress(OSError):  # the folder above need not be readable
        siblings = [path for path in original.parent.iterdir() if path.name != original.name]
        for path in siblings if len(siblings) <= _MOST_SIBLINGS else ():
            if not results.is_relative_to(path.resolve()):
                (stand_in.parent / path.name).symlink_to(path)


def remove_copies(folder: Path, checkout: Path) -> None:
    """Remove the copies of a checkout below a folder, but keep the files that the trainings wrote into them.

    Links and files that are unchanged (size and modification time) go. What cannot be removed stays.
    """
    for copies in list(folder.glob(f"**/{_COPIES}")):
        place = copy_place(copies.parent, checkout)
        if not place.is_dir():
            continue
        for parent, folders, names in os.walk(copies, topdown=False):
            for name in (*folders, *names):
                with contextlib.suppress(OSError):
                    _remove(Path(parent, name), place, checkout)
        with contextlib.suppress(OSError):  # it holds something that the training wrote
            copies.rmdir()


def _remove(path: Path, place: Path, checkout: Path) -> None:
    if path.is_symlink():
        path.unlink()
    elif path.is_dir():
        if path.name == "__pycache__":
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.rmdir()  # fails where something is left in it
    elif path.is_relative_to(place):
        before, now = (checkout / path.relative_to(place)).lstat(), path.lstat()
        if (before.st_size, before.st_mtime_ns) == (now.st_size, now.st_mtime_ns):
            path.unlink()


def _is_output(path: Path) -> bool:
    return _OUTPUTS.fullmatch(path.name) is not None


def _is_large(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size > _LARGEST_COPIED_BYTES
    except OSError:
        return False


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"  # noqa: PLR2004 - five are a line


def _git(folder: Path, *arguments: str) -> list[str]:
    """Return the names that a git command lists; none where there is no git or no repository."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_GIT_S, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name] if done.returncode == 0 else []
