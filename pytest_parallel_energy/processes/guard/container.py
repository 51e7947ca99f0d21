"""Containers for the load's processes: a PID namespace, else a cgroup, else only the list of children.

The choice is made by really trying, in a child that ends at once: what a distribution, a security module or a
container runtime allows cannot be told from version numbers.
Sources: pid_namespaces(7), user_namespaces(7), cgroups(7).
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from . import cgroup
from .kernel import (
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
    MS_SLAVE,
    mount,
    unshare,
)

__all__ = ["Container", "choose", "clear_shared_memory", "enter_namespace", "furnish_namespace"]

_USER = "user"
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - POSIX shared memory (shm_overview(7)), not a temporary file

_MOST_SHARED = 1000  # entries of the host's folder; each is a mount


class Container(NamedTuple):
    """The container that was chosen."""

    kind: str
    """``namespace``, ``cgroup`` or ``subreaper``."""
    user_namespace: bool = False
    cgroup: str = ""
    """Folder of the group, for the kind ``cgroup``."""
    refused: tuple[str, ...] = ()
    """Why a better kind is not available, one sentence each."""


def choose(wanted: str, owner: str) -> Container:
    """Return the best container that works here.

    Args:
        wanted: ``auto``, or one kind. A kind that is asked for and does not work raises.
        owner: the cookie of its owner.

    Raises:
        OSError: the one kind asked for does not work here.
    """
    refused: list[str] = []
    for kind, attempt in _ATTEMPTS.items():
        if wanted not in {"auto", kind}:
            continue
        try:
            found = attempt(owner)
        except OSError as error:
            refused.append(f"{kind}: {error.strerror or error}")
            if wanted == kind:
                raise
            continue
        return Container(
            kind=kind,
            user_namespace=found == _USER,
            cgroup=found if kind == "cgroup" else "",
            refused=tuple(refused),
        )
    message = f"there is no container of the kind {wanted!r}; known: auto, {', '.join(_ATTEMPTS)}"
    raise OSError(0, message)


def _try_namespace(_owner: str) -> str:
    """Return an empty text for a namespace as root, ``user`` for one inside a user namespace of its own."""
    reason = ""
    for found in ("", _USER) if os.geteuid() == 0 else (_USER,):
        reason = _in_child(functools.partial(_whole_namespace, user=found == _USER))
        if not reason:
            return found
    raise OSError(0, reason)


def _whole_namespace(*, user: bool) -> None:
    enter_namespace(user=user)
    reason = _in_child(functools.partial(furnish_namespace, writable=False))
    if reason:
        raise OSError(0, reason)


def _in_child(action: Callable[[], None]) -> str:
    """Return why ``action`` fails in a child process; empty when it succeeds."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        reason = "the trial ended early"
        try:
            action()
            reason = ""
        except OSError as error:
            reason = error.strerror or str(error)
        finally:
            os.write(write, reason.encode())
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as answer:
        reason = answer.read().decode()
    _, status = os.waitpid(pid, 0)
    return reason or ("" if status == 0 else f"the trial ended with wait status {status}")


def enter_namespace(*, user: bool) -> None:
    """Make the next child of this process PID 1 of a new namespace.

    With ``user`` this process enters a user namespace in which it has its own uid and gid, and the right to do so.
    """
    uid, gid = os.geteuid(), os.getegid()
    if not user:
        unshare(CLONE_NEWPID)
        return
    unshare(CLONE_NEWUSER | CLONE_NEWPID)
    # user_namespaces(7): without privileges setgroups must be denied before a gid may be mapped.
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1", encoding="ascii")


def furnish_namespace(*, writable: bool) -> None:
    """Give the namespace, as its PID 1, its own ``/proc``, and a ``/dev/shm`` that vanishes with the last process.

    Data that is in the host's ``/dev/shm`` now can be read there; what the load creates is private.

    Args:
        writable: whether the load may also change that data.
    """
    unshare(CLONE_NEWNS)
    mount("", "/", "", MS_REC | MS_SLAVE)
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    if _SHARED_MEMORY.is_dir():
        if not writable:
            _make_read_only(str(_SHARED_MEMORY))
        _furnish_shared_memory()


def _make_read_only(folder: str) -> None:
    """Make a folder read-only in this mount namespace, so that what is bound from it is read-only too."""
    mount(folder, folder, "", MS_BIND | MS_REC)
    # A user namespace may add restrictions to a mount and may not take any away (mount_namespaces(7)).
    kept = os.statvfs(folder).f_flag & (MS_NOSUID | MS_NODEV | MS_NOEXEC)
    mount("", folder, "", MS_REMOUNT | MS_BIND | MS_RDONLY | kept)


def _furnish_shared_memory() -> None:
    host = os.open(_SHARED_MEMORY, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    mount("tmpfs", str(_SHARED_MEMORY), "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    with os.scandir(host) as entries:
        for entry in itertools.islice(entries, _MOST_SHARED):
            with contextlib.suppress(OSError):  # it is gone already, or this user may not see it
                _share(host, entry)
    os.close(host)


def _share(host: int, entry: os.DirEntry[str]) -> None:
    """Show one entry of the host's folder, which is hidden by a mount and reached by its descriptor only."""
    target = _SHARED_MEMORY / entry.name
    if entry.is_symlink():
        target.symlink_to(os.readlink(entry.name, dir_fd=host))
        return
    if entry.is_dir(follow_symlinks=False):
        target.mkdir()
    else:
        target.touch()
    mount(f"/proc/self/fd/{host}/{entry.name}", str(target), "", MS_BIND | MS_REC)


def clear_shared_memory() -> None:
    """Remove what a round created in the namespace's ``/dev/shm``; what is the host's stays."""
    for folder, names, files in os.walk(_SHARED_MEMORY):
        # A mount point is the host's: it is busy for unlink(2), and its device differs from that of the tmpfs.
        names[:] = [name for name in names if not os.path.ismount(Path(folder, name))]
        for name in files:  # a symbolic link may be a copy of the host's
            if Path(folder, name).is_symlink():
                continue
            with contextlib.suppress(OSError):
                Path(folder, name).unlink()


def _try_cgroup(owner: str) -> str:
    """Return the folder of a group that a child of this process really could join."""
    folder = cgroup.create(owner)
    reason = _in_child(functools.partial(cgroup.join, folder))
    if reason:
        cgroup.remove(folder)
        raise OSError(0, reason)
    return folder


def _try_subreaper(_owner: str) -> str:
    return ""


_ATTEMPTS: dict[str, Callable[[str], str]] = {
    "namespace": _try_namespace,
    "cgroup": _try_cgroup,
    "subreaper": _try_subreaper,
}
