"""The link to the latest run: of this host, where several hosts keep their runs in one shared folder."""

from __future__ import annotations

import contextlib
import re
import socket
from pathlib import Path

from .atomic_write import replace_symlink
from .run_folder import safe_name
from .run_info import read_run_info
from .run_lock import LOCK_NAME

__all__ = ["latest_run", "point_latest"]

_LATEST = "latest"
_HOLDER = re.compile(r"^session pid \d+ of user .* on host (\S+)$", re.MULTILINE)


def latest_run(base_dir: Path) -> Path:
    """Return the link to this host's latest run in a folder of runs, which need not exist.

    It is ``latest`` for the host that made the first run there, and ``latest-HOST`` for every other host.
    """
    own = _own_link(base_dir)
    return own if own.is_symlink() else base_dir / _LATEST


def point_latest(folder: Path) -> None:
    """Let this host's link point to the run in ``folder``; no other host's link is touched.

    Raises:
        OSError: the file system has no symbolic links, or a folder has the link's name.
    """
    base_dir = folder.parent
    link = base_dir / _LATEST
    with contextlib.suppress(FileExistsError):
        link.symlink_to(folder.name)  # of two hosts that start at the same time, only one makes it
        return
    if link.is_symlink() and _host_of(link) not in {None, socket.gethostname()}:
        link = _own_link(base_dir)
    replace_symlink(link, folder.name)


def _own_link(base_dir: Path) -> Path:
    return base_dir / f"{_LATEST}-{safe_name(socket.gethostname())}"


def _host_of(run_folder: Path) -> str | None:
    """Return the host that made a run; ``None`` where its folder does not say, or is gone."""
    info = read_run_info(run_folder)
    if info is not None and info.host.hostname is not None:
        return info.host.hostname
    with contextlib.suppress(OSError):  # a run that begins just now: only its lock names the host
        holder = _HOLDER.search((run_folder / LOCK_NAME).read_text(errors="replace"))
        return holder[1] if holder else None
    return None
