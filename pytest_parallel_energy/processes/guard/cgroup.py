"""A cgroup v2 for one load: one write kills all that is in it, whatever it did to its session and its parents.

The group's name holds the owner's cookie, so that a later session finds the groups of dead ones with their members,
even those that cleared their environment. Linux 5.14 and newer. Source: cgroups(7).
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["create", "groups", "join", "kill", "members", "remove"]

_PREFIX = "pytest-parallel-energy"
_BLANK = "+"  # a cookie's fields are separated by blanks, which are a nuisance in the name of a folder


def create(owner: str) -> str:
    """Create an empty group below the one of this process, and return its folder.

    Args:
        owner: the cookie of whom the group is for.

    Raises:
        OSError: there is no cgroup v2, this user may not write to it, or the kernel is too old.
    """
    own = re.search(r"^0::(/.*)$", Path("/proc/self/cgroup").read_text(encoding="utf-8"), re.MULTILINE)
    root = _root()
    if root is None or own is None:
        raise OSError(0, "there is no cgroup v2 hierarchy")
    folder = Path(root + own[1].rstrip("/"), f"{_PREFIX} {owner}".replace(" ", _BLANK).replace("/", "_"))
    folder.mkdir()
    if not (folder / "cgroup.kill").exists():
        folder.rmdir()
        raise OSError(0, "the kernel has no cgroup.kill")
    return str(folder)


def _root() -> str | None:
    """Return where the whole hierarchy is mounted."""
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    root = re.search(r"^\S+ \S+ \S+ / (\S+) .* - cgroup2 ", mounts, re.MULTILINE)
    return None if root is None else root[1]


def join(folder: str) -> None:
    """Move this process into a group.

    Raises:
        OSError: it may not.
    """
    Path(folder, "cgroup.procs").write_text("0", encoding="ascii")


def kill(folder: str) -> None:
    """Send SIGKILL to all members at once; do nothing where there is no such group."""
    if folder:
        with contextlib.suppress(OSError):  # guard and init kill the processes one by one as well, more slowly
            Path(folder, "cgroup.kill").write_text("1", encoding="ascii")


def members(folder: str) -> list[int]:
    """Return the pids of all members, including groups below; empty when there is no such group.

    A member that this PID namespace does not see is listed as 0 (cgroups(7)), which is not a pid, and left out.
    """
    found: list[int] = []
    for below, _folders, _files in os.walk(folder):
        with contextlib.suppress(OSError):  # it was removed while we looked
            found += map(int, Path(below, "cgroup.procs").read_bytes().split())
    return [pid for pid in found if pid]


def remove(folder: str) -> None:
    """Remove a group without living members, with what a load made below it."""
    if folder:
        for below, _folders, _files in os.walk(folder, topdown=False):
            with contextlib.suppress(OSError):  # guard and init both tidy up: the other one was faster
                Path(below).rmdir()


def groups() -> Iterator[tuple[str, str]]:
    """Yield the folder and the owner's cookie of each group of a session, as far as this user may see them."""
    root = _root()
    if root is not None:
        for folder, names, _files in os.walk(root):
            for name in names:
                if name.startswith(_PREFIX + _BLANK):
                    yield str(Path(folder, name)), name.removeprefix(_PREFIX + _BLANK).replace(_BLANK, " ")
