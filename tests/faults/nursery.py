"""Real pytest processes without the wait for their imports: forked from a process that has done them all.

The whole matrix starts tens of thousands of them. A forked one has a session, an environment, a working folder and
standard streams of its own, and no other descriptor; what it has not is the quarter of a second of imports.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

_IMPORTS = ("pytest_timeout", "xdist.plugin", "pytest_parallel_energy.plugin", "pytest_parallel_energy.load.background")
_LONGEST_BYTES = 1 << 20


class Forked:
    """A forked pytest, with the part of :class:`subprocess.Popen` that the harness uses."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._nursery = nursery

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; ``None`` as long as it runs."""
        if self.returncode is None:
            self.returncode = self._nursery.ask({"collect": self.pid})
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Its exit code.

        Raises:
            subprocess.TimeoutExpired: it runs on.
        """
        deadline_s = time.monotonic() + timeout
        while (code := type(self).poll(self)) is None:
            if time.monotonic() > deadline_s:
                raise subprocess.TimeoutExpired("pytest", timeout)
            time.sleep(0.005)
        return code


class Nursery:
    """The process that forks them; one for each process of the test run."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.nursery", str(theirs.fileno())],
                cwd=ROOT,
                env={name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))},
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )

    def start(self, arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str]) -> Forked:
        """A ``python -m pytest ARGUMENTS`` in ``folder``, which prints to ``output.txt`` there."""
        request = {"arguments": list(arguments), "folder": str(folder), "environment": dict(environment)}
        return Forked(self, self.ask({"start": request}))

    def ask(self, request: Mapping[str, Any]) -> Any:
        """The answer to one request."""
        self._socket.send(json.dumps(request).encode())
        return json.loads(self._socket.recv(_LONGEST_BYTES))

    def close(self) -> None:
        """End it; the pytests that it forked are their harness's business."""
        self._socket.close()
        self._process.wait(10)


def _serve(requests: socket.socket) -> None:
    """Until nobody asks any more; comes back in each forked child too, which then is a pytest."""
    while message := requests.recv(_LONGEST_BYTES):
        request = json.loads(message)
        if "start" in request:
            pid = os.fork()
            if pid == 0:
                requests.close()
                _become_pytest(**request["start"])
            answer: int | None = pid
        else:
            pid, status = os.waitpid(request["collect"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        requests.send(json.dumps(answer).encode())


def _become_pytest(arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    streams = os.open(os.devnull, os.O_RDONLY), os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for fd, stream in zip((0, 1, 2), (streams[0], streams[1], streams[1]), strict=True):
        os.dup2(stream, fd)
    os.closerange(3, 256)
    sys.argv = ["pytest", *arguments]
    sys.path.insert(0, folder)
    sys.exit(importlib.import_module("pytest").console_main())


def heed_signals() -> None:
    """Undo what a shell does to what it runs with ``&``, and ``nohup`` to what it runs."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def main() -> None:
    """Import what pytest and the tests will import, then fork on request."""
    heed_signals()
    requests = socket.socket(fileno=int(sys.argv[1]))
    plugins = importlib.import_module("_pytest.config").default_plugins
    for name in (*(f"_pytest.{plugin}" for plugin in plugins), *_IMPORTS):
        importlib.import_module(name)
    gc.freeze()  # a collection in a child would copy every page
    _serve(requests)


if __name__ == "__main__":
    main()
