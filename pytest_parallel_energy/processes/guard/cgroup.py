"""A cgroup v2 for one load: one write kills all that is in it, whatever it did to its session and its parents.

The group's name tells whose it is, so that a later session finds the groups of dead ones, with their members: also
those that threw their environment away. Linux 5.14 and newer. Source: cgroups(7).
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["create", "groups", "join", "kill", "members", "remove"]

_PREFIX = "pytest-parallel-energy"
_BLANK = "+"  # a cookie's fields are parted by blanks, which are a nuisance in the name of a folder


def create(owner: str) -> str:
    """Folder of a new, empty group below our own.

    Args:
        owner: the cookie of whom the group is for.

    Raises:
        OSError: there is no cgroup v2, it is not ours to write, or the kernel is too old.
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
    """Where the whole hierarchy is mounted."""
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    root = re.search(r"^\S+ \S+ \S+ / (\S+) .* - cgroup2 ", mounts, re.MULTILINE)
    return None if root is None else root[1]


def join(folder: str) -> None:
    """Make this process a member.

    Raises:
        OSError: it may not.
    """
    Path(folder, "cgroup.procs").write_text("0", encoding="ascii")


def kill(folder: str) -> None:
    """SIGKILL to all members at once; nothing where there is no such group."""
    if folder:
        with contextlib.suppress(OSError):  # whoever supervises kills one by one as well, more slowly
            Path(folder, "cgroup.kill").write_text("1", encoding="ascii")


def members(folder: str) -> list[int]:
    """The pids of all members, those of groups below included; empty when there is no such group.

    A member that this PID namespace does not see is listed as 0 (cgroups(7)): nobody's pid, and left out.
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
    """The folder and the owner's cookie of each of our groups on this machine, as far as this user may see them."""
    root = _root()
    if root is not None:
        for folder, names, _files in os.walk(root):
            for name in names:
                if name.startswith(_PREFIX + _BLANK):
                    yield str(Path(folder, name)), name.removeprefix(_PREFIX + _BLANK).replace(_BLANK, " ")
