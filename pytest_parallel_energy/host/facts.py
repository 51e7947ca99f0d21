"""Facts about the machine and the software, for the record. Reading them starts, writes and downloads nothing."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import socket
import string
from pathlib import Path

from ..records.record import GpuPart, HostPart
from .cpu_info import CpuInfo, read_cpu_info
from .governor import read_governors

__all__ = ["git_commit", "host_facts"]

_COMMIT_LENGTHS = (40, 64)
"""Hexadecimal digits of a SHA-1 and of a SHA-256 object name (gitformat-hash-function-transition)."""
_LONGEST_CHAIN = 5
"""A chain of symbolic references that is longer is a loop; git itself stops at 5."""


def host_facts(*, gpus: tuple[GpuPart, ...] = (), source: Path | None = None, root: Path = Path("/")) -> HostPart:
    """Return the facts about the host of this process; a field is ``None`` where it is unknown.

    Args:
        gpus: the GPUs that this process can use, from the caller: only vendor libraries know them.
        source: a folder of the code under test, for ``git_commit``; ``None`` is the working directory.
        root: folder that holds ``proc``, ``sys`` and ``etc``.
    """
    cpu = _cpu_info(root)
    return HostPart(
        machine_id=_machine_id(root),
        hostname=socket.gethostname() or None,
        cpu=cpu.name or platform.processor() or None,
        sockets=cpu.sockets,
        threads=os.cpu_count(),
        memory_bytes=_memory_bytes(),
        gpus=gpus,
        virtualised=cpu.hypervisor,
        governor="+".join(sorted(set(read_governors(root / "sys").values()))) or None,
        kernel=platform.release() or None,
        python=platform.python_version(),
        torch=_version("torch"),
        plugin_version=_version("pytest-parallel-energy"),
        git_commit=git_commit(source or Path.cwd()),
    )


def git_commit(folder: Path) -> str | None:
    """Return the commit checked out in the repository around ``folder``; ``None`` outside of a repository.

    Reads the repository's files, linked worktrees and packed references included (gitrepository-layout(5)). It
    cannot tell whether files were changed since: only git itself can.
    """
    for parent in (folder.absolute(), *folder.absolute().parents):
        if (parent / ".git").exists():
            return _head_commit(parent / ".git")
    return None


def _head_commit(entry: Path) -> str | None:
    try:
        git_dir = entry if entry.is_dir() else (entry.parent / entry.read_text().removeprefix("gitdir:").strip())
        common = git_dir / "commondir"
        shared = git_dir / common.read_text().strip() if common.exists() else git_dir
        text = (git_dir / "HEAD").read_text().strip()
        for _ in range(_LONGEST_CHAIN):
            if not text.startswith("ref:"):
                break
            text = _reference(git_dir, shared, text.removeprefix("ref:").strip())
    except (OSError, UnicodeDecodeError):
        return None
    return text if len(text) in _COMMIT_LENGTHS and set(text) <= set(string.hexdigits) else None


def _reference(git_dir: Path, shared: Path, name: str) -> str:
    for folder in (git_dir, shared):
        if (folder / name).is_file():
            return (folder / name).read_text().strip()
    for line in (shared / "packed-refs").read_text().splitlines():
        commit, _, packed = line.partition(" ")
        if packed == name:
            return commit
    return ""  # a branch without commits


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip("\0\n ") or None
    except OSError:
        return None


def _machine_id(root: Path) -> str | None:
    """Return a hash of the machine id, because machine-id(5) asks to keep the id itself confidential."""
    for name in ("etc/machine-id", "var/lib/dbus/machine-id", "sys/class/dmi/id/product_uuid"):
        if (text := _read(root / name)) and text != "uninitialized":
            return hashlib.sha256(f"pytest-parallel-energy:{text.lower()}".encode()).hexdigest()[:16]
    return None


def _cpu_info(root: Path) -> CpuInfo:
    try:
        return read_cpu_info(root / "proc")
    except OSError:
        return CpuInfo(threads=1)


def _memory_bytes() -> int | None:
    # The same figure as psutil.virtual_memory().total, without psutil's import of 20 ms.
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
