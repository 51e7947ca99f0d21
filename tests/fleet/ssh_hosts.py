"""Hosts behind a real ssh: each is a set of namespaces on this machine, with an sshd of its own that ssh talks to.

A host has a name, processes, a network and a folder for its locks of its own. ssh reaches its sshd through the standard
input and output of a ``ProxyCommand`` (sshd's inetd mode), so that no port and no route is needed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from polling import eventually

__all__ = ["SshHost", "missing_parts", "running_host"]

_PROGRAMS = ("ssh", "sshd", "ssh-keygen", "unshare", "nsenter")
_SSHD = """
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
StrictModes no
UsePAM no
PidFile none
LogLevel ERROR
"""


@dataclass(frozen=True, slots=True)
class SshHost:
    """A host that is up.

    Attributes:
        name: its host name.
        process: its first process; with it the whole host dies.
        gateway: a program to give to ``--tx popen//python=``: it starts Python on the host through ssh.
    """

    name: str
    process: subprocess.Popen[bytes]
    gateway: Path

    def kill(self) -> None:
        """Let the host vanish with all its processes, as a power cut does."""
        subprocess.run(["pkill", "-KILL", "-P", str(self.process.pid)], check=True)
        self.process.wait(10)


def missing_parts() -> list[str]:
    """Return the reasons why no host can be started here; empty where one can."""
    missing = [f"{name} is not installed" for name in _PROGRAMS if shutil.which(name) is None]
    if os.geteuid() != 0:
        return [*missing, "namespaces and sshd need root"]
    tried = subprocess.run(["unshare", *_NAMESPACES, "true"], capture_output=True, text=True, check=False)
    return missing if tried.returncode == 0 else [*missing, f"no namespaces: {tried.stderr.strip()}"]


_NAMESPACES = ("--mount", "--uts", "--net", "--ipc", "--pid", "--fork", "--mount-proc", "--kill-child")


@contextmanager
def running_host(
    name: str,
    folder: Path,
    project: Path,
    *,
    environment: Mapping[str, str],
    python: tuple[str, ...] = (sys.executable,),
    setup: str = "true",
) -> Iterator[SshHost]:
    """Start a host, yield it, and end it with all its processes.

    Args:
        name: the host's name.
        folder: an empty folder for its keys, configuration and locks.
        project: the folder in which its gateway starts Python.
        environment: variables of its Python.
        python: the command of its Python.
        setup: a shell command that runs first on the host, in its own namespaces.
    """
    for key in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    (folder / "sshd_config").write_text(_SSHD.format(folder=folder))
    Path("/run/sshd").mkdir(exist_ok=True)  # Debian's sshd wants it
    (folder / "machine-id").write_text(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest() + "\n")
    steps = [
        f"hostname {name}",
        "mount -t tmpfs -o mode=1777 lock /run/lock",
        f"mount --bind {folder}/machine-id /etc/machine-id",
        setup,
        f"touch {folder}/up",
        "exec sleep infinity",
    ]
    process = subprocess.Popen(["unshare", *_NAMESPACES, "sh", "-ec", "; ".join(steps)])
    try:
        eventually((folder / "up").exists, 10, 0.02)
        yield SshHost(name, process, _gateway(folder, process.pid, project, environment, python))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)  # --kill-child ends the host with it
        process.wait(10)


def _gateway(folder: Path, pid: int, project: Path, environment: Mapping[str, str], python: tuple[str, ...]) -> Path:
    """Write the program that starts the host's Python; its arguments are quoted for the shell on the host."""
    first = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=True).stdout.strip()
    namespaces = ["--mount", "--uts", "--net", "--ipc", "--pid"]
    sshd = shlex.join([
        "nsenter",
        f"--target={first}",
        *namespaces,
        "/usr/sbin/sshd",
        "-i",
        "-f",
        f"{folder}/sshd_config",
    ])
    options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", f"ProxyCommand={sshd}")
    ssh = shlex.join(["ssh", "-T", "-i", f"{folder}/user_key", *(f"-o{option}" for option in options), "root@host"])
    variables = " ".join(shlex.quote(f"{key}={value}") for key, value in environment.items())
    remote = f"cd {shlex.quote(str(project))} && exec env {variables} {shlex.join(python)}"
    gateway = folder / "gateway"
    gateway.write_text(
        f'#!/usr/bin/env bash\narguments=$(printf \' %q\' "$@")\nexec {ssh} {shlex.quote(remote)}"$arguments"\n'
    )
    gateway.chmod(0o755)
    return gateway
