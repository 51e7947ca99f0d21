"""A small program that writes files back when its owner dies: ``python -I -S restore_files.py OWNER_PID``.

It reads one JSON object from standard input: ``files`` maps each path to the text that it held, ``set_to`` is the text
that the owner writes, and ``state`` names a file to remove afterwards. When standard input ends, or the owner does,
it writes back every file that still holds ``set_to``; the owner that has done so itself sends one more line before.
It runs without packages, so that it starts in milliseconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import Any

__all__ = ["restore"]


def restore(files: dict[str, str], set_to: str) -> None:
    """Write each file's text back, unless the file holds something else than ``set_to`` by now."""
    for name, text in files.items():
        with contextlib.suppress(OSError):  # a CPU that went offline meanwhile has nothing to restore
            if Path(name).read_text(encoding="ascii").strip() == set_to:
                Path(name).write_text(f"{text}\n", encoding="ascii")


def _main(owner_pid: int) -> None:
    # Only the end of the owner counts: a signal to all processes of a terminal or a service must not come first.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    poll = select.poll()
    with contextlib.suppress(OSError):  # the kernel or a seccomp filter refuses pidfds: the pipe tells as well
        poll.register(os.pidfd_open(owner_pid), select.POLLIN)
    with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as pipe:  # unbuffered: poll must see the rest
        line = pipe.readline()
    if not line:  # the owner ended before it changed anything
        return
    plan: dict[str, Any] = json.loads(line)
    # A fork of the owner may keep the pipe open; its pidfd says when it is gone.
    poll.register(sys.stdin.fileno(), select.POLLIN)
    poll.poll()
    done = sys.stdin.fileno() in dict(poll.poll(0)) and os.read(sys.stdin.fileno(), 1)
    if not done:
        restore(plan["files"], plan["set_to"])
        with contextlib.suppress(OSError):
            Path(plan["state"]).unlink()


if __name__ == "__main__":
    _main(int(sys.argv[1]))
