"""The owner's side of its connection to a guard: the process, its pipes, and the messages over them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ..errors import ProcessError
from .controller import duplicate_controller_pidfd
from .cookie import VARIABLE
from .guard.kernel import open_pidfd
from .guard.lines import LineReader, send
from .guard.messages import Message
from .guard.procfs import read_stat

__all__ = ["GuardLink", "check_proc"]

_GUARD = Path(__file__).parent / "guard" / "__main__.py"
_STUCK_S = 5.0
_LOWEST_FD = 3
_abandoned: list[int] = []
"""Pids of guards that were left to their work: their exit statuses are collected when the next guard starts."""


def check_proc(proc: Path = Path("/proc")) -> None:
    """Check that ``/proc`` shows the processes of this PID namespace.

    Raises:
        ProcessError: it is not mounted, hidden, or of another namespace; with the command that mounts it.
    """
    try:
        own = (proc / "self").readlink().name
    except OSError:
        own = ""
    if own != str(os.getpid()) or not (proc / own / "stat").exists():
        raise ProcessError(
            f"processes cannot be supervised here: {proc} does not show the processes of this PID namespace "
            f"({proc}/self is {own or 'missing'}, this process is {os.getpid()}); as root: mount -t proc proc {proc}"
        )


class GuardLink:
    """One guard process, started when this is made.

    Args:
        cookie: marks the guard's environment.
        terminal: whether the guard inherits the standard streams and the session of this process, for its command.

    Raises:
        ProcessError: it cannot be started.
    """

    def __init__(self, cookie: str, *, terminal: bool = False) -> None:
        _collect_abandoned()
        control, self._control = map(_move_up, os.pipe())
        events, guard_events = map(_move_up, os.pipe())
        passed = (control, guard_events, *_watched_pidfds())
        try:
            self._process = subprocess.Popen(
                [sys.executable, *_interpreter_options(), str(_GUARD), *map(str, passed)],
                **dict.fromkeys(("stdin", "stdout", "stderr"), None if terminal else subprocess.DEVNULL),
                cwd="/",
                env={**os.environ, VARIABLE: cookie},
                pass_fds=passed,
                start_new_session=not terminal,
                process_group=0 if terminal else None,  # Ctrl-C and Ctrl-Z are for the command, not for its guard
            )
        except OSError as error:
            os.close(self._control)
            os.close(events)
            raise ProcessError(f"the guard {sys.executable} {_GUARD} could not be started: {error}") from error
        finally:
            for fd in passed:
                os.close(fd)
        os.set_blocking(events, False)
        self._events = LineReader(events)
        self._init_pid = 0
        self._init_fd = -1

    @property
    def pid(self) -> int:
        """Pid of the guard."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """``True`` once the guard has closed its pipe and everything that it sent has been read."""
        return self._events.ended

    def send(self, message: Message) -> None:
        """Send a request; a guard that is gone is noticed by the end of its events."""
        send(self._control, message)

    def read(self) -> list[Any]:
        """Return the events that have arrived since the last call."""
        return self._events.read()

    def wait_for_events(self, timeout_s: float) -> None:
        """Return when there are events to read, or after ``timeout_s``."""
        _wait_for(self._events.fd, timeout_s)

    def watch_init(self, pid: int) -> None:
        """Hold the init, so that it can be killed should the guard be gone or not answer."""
        fd = open_pidfd(pid)
        self._init_pid, self._init_fd = pid, _move_up(fd) if fd >= 0 else fd

    def kill_init(self) -> None:
        """Send SIGKILL to the init: what it holds ends with it."""
        with contextlib.suppress(OSError):
            if self._init_fd >= 0:
                signal.pidfd_send_signal(self._init_fd, signal.SIGKILL)
            elif self._init_pid and _is_alive(self._init_pid):
                os.kill(self._init_pid, signal.SIGKILL)

    def end_init(self) -> None:
        """Make sure that the init has ended, 10 s at most: it notices the end of its guard by itself."""
        if not self._await_init(_STUCK_S):
            self.kill_init()
            self._await_init(_STUCK_S)

    def _await_init(self, timeout_s: float) -> bool:
        if self._init_fd >= 0:
            return _wait_for(self._init_fd, timeout_s)
        deadline_s = time.monotonic() + timeout_s
        while self._init_pid and _is_alive(self._init_pid):  # the kernel refused a pidfd
            if time.monotonic() > deadline_s:
                return False
            time.sleep(0.01)
        return True

    def wake(self) -> None:
        """Send SIGCONT to the guard, should a signal have stopped it."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Send SIGKILL to the guard."""
        self._process.kill()

    def close(self) -> None:
        """Close the pipes; a guard that still runs kills everything now, or after the grace of a stop."""
        os.close(self._control)
        os.close(self._events.fd)
        if self._init_fd >= 0:
            os.close(self._init_fd)

    def reap(self) -> None:
        """Wait for the guard, which has sent its last event, and kill it should it not end."""
        try:
            self._process.wait(_STUCK_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def leave(self) -> None:
        """Let the guard outlive this object, without waiting for it."""
        if self._process.poll() is None:
            _abandoned.append(self._process.pid)
            self._process.returncode = 0  # else Popen would warn about a process that still runs


def _interpreter_options() -> list[str]:
    # -I ignores the environment, which may say that no byte code shall be written, or where.
    options = ["-I", "-S"]
    if sys.dont_write_bytecode:
        options.append("-B")
    if sys.pycache_prefix:
        options += ["-X", f"pycache_prefix={sys.pycache_prefix}"]
    return options


def _collect_abandoned() -> None:
    for pid in list(_abandoned):
        try:
            ended = os.waitpid(pid, os.WNOHANG)[0]
        except ChildProcessError:  # in a fork, or collected by another wait of this process
            ended = pid
        if ended:
            _abandoned.remove(pid)


def _move_up(fd: int) -> int:
    """Move a descriptor to 3 or above: a process that was started without standard streams gets 0 to 2 from pipe(2)."""
    if fd >= _LOWEST_FD:
        return fd
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _LOWEST_FD)
    os.close(fd)
    return moved


def _wait_for(fd: int, timeout_s: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(timeout_s * 1e3))


def _is_alive(pid: int) -> bool:
    stat = read_stat(pid)
    return stat is not None and stat.state not in "ZX"


def _watched_pidfds() -> list[int]:
    """Return pidfds of this process and, in a worker of pytest-xdist, of its controller; none where unsupported."""
    fds = [open_pidfd(os.getpid()), duplicate_controller_pidfd()]
    return [_move_up(fd) for fd in fds if fd is not None and fd >= 0]
