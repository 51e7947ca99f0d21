"""Facts of the machine and the software, for the record. Nothing is started, written or fetched to know them."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import socket
import string
from pathlib import Path

from ..records.record import GpuPart, HostPart

__all__ = ["git_commit", "host_facts"]

_COMMIT_LENGTHS = (40, 64)
"""Hexadecimal digits of a SHA-1 and of a SHA-256 object name (gitformat-hash-function-transition)."""
_FIELDS_READ = ("model name", "physical id", "flags")
_LONGEST_CHAIN = 5
"""Symbolic references in git point to a branch; a chain longer than this is a loop (git itself stops at 5)."""


def host_facts(*, gpus: tuple[GpuPart, ...] = (), source: Path | None = None, root: Path = Path("/")) -> HostPart:
    """The host of this process; each field is ``None`` where it cannot be known.

    Args:
        gpus: as the energy sensors found them.
        source: a folder of the code under test, for ``git_commit``; ``None`` is the working directory.
        root: where ``proc``, ``sys`` and ``etc`` are looked for.
    """
    cpuinfo = _cpuinfo(root)
    return HostPart(
        machine_id=_machine_id(root),
        hostname=socket.gethostname() or None,
        cpu=min(cpuinfo["model name"], default=None) or platform.processor() or None,
        sockets=len(cpuinfo["physical id"]) or None,
        threads=os.cpu_count(),
        memory_bytes=_memory_bytes(),
        gpus=gpus,
        virtualised=_virtualised(cpuinfo["flags"]),
        governor=_governor(root),
        kernel=platform.release() or None,
        python=platform.python_version(),
        torch=_version("torch"),
        plugin_version=_version("pytest-parallel-energy"),
        git_commit=git_commit(source or Path.cwd()),
    )


def git_commit(folder: Path) -> str | None:
    """The commit checked out in the repository around ``folder``, read from its files; ``None`` outside of one.

    Linked worktrees and packed references are understood (gitrepository-layout(5)). It does not say whether files
    were changed since: that would take git itself.
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
    return ""  # a branch without a commit yet


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip("\0\n ") or None
    except OSError:
        return None


def _machine_id(root: Path) -> str | None:
    """A hash of the machine id: machine-id(5) asks that the id itself be kept confidential."""
    for name in ("etc/machine-id", "var/lib/dbus/machine-id", "sys/class/dmi/id/product_uuid"):
        if (text := _read(root / name)) and text != "uninitialized":
            return hashlib.sha256(f"pytest-parallel-energy:{text.lower()}".encode()).hexdigest()[:16]
    return None


def _cpuinfo(root: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {name: set() for name in _FIELDS_READ}
    for line in (_read(root / "proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in found:
            found[name.strip()].add(value.strip())
    return found


def _virtualised(flags: set[str]) -> bool | None:
    """Whether the processor announces a hypervisor; ``None`` where it has no such flag (ARM)."""
    return any("hypervisor" in line.split() for line in flags) if flags else None


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def _governor(root: Path) -> str | None:
    """The frequency governor, or all of them joined by ``+`` where processors differ."""
    policies = (root / "sys/devices/system/cpu/cpufreq").glob("policy*/scaling_governor")
    return "+".join(sorted({text for path in policies if (text := _read(path))})) or None


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
