"""The facts of a host that must agree with those of other hosts of one session: plugin, code, registries, clock.

pytest-xdist's controller sends the source of this module to each remote host before pytest starts there, and runs it at
home as well. It imports nothing of this package, because the host may have another version of it, or none.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

__all__ = ["describe"]

_CODE = (".py", ".json", ".toml", ".yaml", ".yml", ".ini", ".cfg")
_SKIPPED = ("__pycache__", "node_modules", "energy-results")


def describe(request: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of this host as plain values, as execnet can send them.

    Args:
        request: ``sys_path``, the import path of the controller, which pytest-xdist gives to its workers; ``root``, the
            folder of the project; ``code``, files and folders of the tests; ``registries``, files; all absolute.
    """
    before = sys.path[:]
    sys.path[:] = request["sys_path"]
    try:
        plugin = importlib.util.find_spec("pytest_parallel_energy")
        version = importlib.metadata.version("pytest-parallel-energy") if plugin else None
    except importlib.metadata.PackageNotFoundError:
        version = "unknown"
    finally:
        sys.path[:] = before
    return {
        "hostname": socket.gethostname(),
        "boot_id": _text("/proc/sys/kernel/random/boot_id"),
        "plugin_version": version,
        "plugin_code": _digest([str(Path(plugin.origin).parent)], "/") if plugin and plugin.origin else None,
        "code": _digest(request["code"], request["root"]),
        "registries": {path: _digest([path], request["root"]) for path in request["registries"]},
        "root": _identity([request["root"], *request["code"]]),
    }


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _identity(paths: list[str]) -> list[int] | None:
    """Return the inodes of some files, which are the same on all hosts that share them; ``None`` where one is absent.

    A network file system keeps the numbers of its server.
    """
    try:
        return [Path(path).stat().st_ino for path in paths]
    except OSError:
        return None


def _digest(paths: list[str], root: str) -> str | None:
    """Return a hash of the names and contents of the code in some files and folders; ``None`` without any."""
    total, count = hashlib.sha256(), 0
    for path in sorted(set(paths)):
        for file in _files(path):
            try:
                content = Path(file).read_bytes()
            except OSError:
                continue
            count += 1
            name = os.path.relpath(file, path if Path(path).is_dir() else root)
            total.update(f"{name} {len(content)} ".encode("utf-8", "surrogateescape") + content)
    return total.hexdigest()[:12] if count else None


def _files(path: str) -> list[str]:
    if not Path(path).is_dir():
        return [path]
    found = []
    for folder, folders, names in os.walk(path):
        if "pyvenv.cfg" in names:  # a virtual environment in the project
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if name not in _SKIPPED and not name.startswith("."))
        found += [str(Path(folder, name)) for name in sorted(names) if name.endswith(_CODE)]
    return found


if __name__ == "__channelexec__":  # under execnet, which adds the channel to the module's names
    channel = globals()["channel"]
    channel.send(describe(channel.receive()))
    channel.receive()  # the controller has looked at its clock
    channel.send(time.time())
