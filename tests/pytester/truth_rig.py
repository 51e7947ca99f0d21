"""A powercap tree whose power follows the CPU clocks of known processes, with the joules of each set of them.

The processes tell the rig which set they belong to; the plugin under test knows nothing of it.
"""

from __future__ import annotations

import bisect
import contextlib
import shutil
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

from pytest_parallel_energy.host.cpu_time import machine_busy_s
from pytest_parallel_energy.testing import FakeZone, PowercapTree

__all__ = ["WORKER", "Truth", "TruthRig"]

_STEP_S = 0.005
ZONE = "intel-rapl:0"

WORKER = """
import os, socket, time

def join(owner):
    "Let the rig count this process, and all CPU time that it has used so far, in the set of an owner."
    with socket.socket(socket.AF_UNIX) as rig:
        rig.connect(os.path.join(os.environ["TRUTH_RIG"], "join"))
        rig.sendall(owner.encode())
        rig.recv(1)

def burn(seconds):
    "Use the CPU in this thread."
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass

def child(seconds, owner="F"):
    "Use the CPU in a process of its own."
    join(owner)
    burn(seconds)
    return os.getpid()

def two_threads(owner):
    "Use two CPUs for a minute: this function works outside of the interpreter's lock."
    import hashlib, threading
    join(owner)
    until = time.monotonic() + 60
    def work():
        while time.monotonic() < until:
            hashlib.pbkdf2_hmac("sha256", b"x", b"y", 20000)
    for _ in range(2):
        threading.Thread(target=work).start()

def mark(name):
    "Tell the rig's clock at a moment of the test."
    with open(os.path.join(os.environ["TRUTH_RIG"], "moments"), "a") as file:
        file.write(f"{name} {time.monotonic()}\\n")

if __name__ == "__main__":
    import sys
    child(float(sys.argv[2]), sys.argv[1])
"""


class Truth(NamedTuple):
    """What really was, from the start of the rig up to a moment, or between two."""

    cpu_s: tuple[float, float, float]
    """Of the foreground, the background and everything else on this machine."""
    joules: tuple[float, float, float]
    """Shapley shares of the power above idle."""
    total_j: float


class TruthRig:
    """Runs a package's counter from the CPU clocks of this machine, in a thread.

    Args:
        folder: an existing folder, for the tree (``sysfs``).
        watts: of a CPU second of the foreground, the background, and all other programs.
        idle_w: power of the idle machine.
        curve: power above idle over the sum of watts that a linear machine would use.
    """

    def __init__(
        self,
        folder: Path,
        watts: tuple[float, float, float] = (20.0, 20.0, 20.0),
        *,
        idle_w: float = 10.0,
        curve: Callable[[float], float] = lambda watts: watts,
    ) -> None:
        self.sets = Path(tempfile.mkdtemp(prefix="rig"))
        """A folder of the processes; its path is short, as the address of a socket must be."""
        self.sysfs = folder / "sysfs"
        self.sysfs.mkdir()
        self._tree = PowercapTree(self.sysfs, [FakeZone(path=ZONE, name="package-0")])
        self._watts, self._idle_w, self._curve = watts, idle_w, curve
        self._door = socket.socket(socket.AF_UNIX)
        self._clocks: dict[tuple[str, int], float] = {}
        self._sums = [0.0, 0.0, 0.0]
        self._log: list[tuple[float, Truth]] = []
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._run, self._admit)]

    def __enter__(self) -> Self:
        self._door.bind(str(self.sets / "join"))
        self._door.listen(64)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._door.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._door.close()

    def remove(self) -> None:
        """Remove the folder of the processes."""
        shutil.rmtree(self.sets)

    def _admit(self) -> None:
        """Take in processes. The kernel tells their pids as this process sees them, also from a PID namespace."""
        while True:
            try:
                guest, _ = self._door.accept()
            except OSError:  # it was shut
                return
            with guest:
                owner = guest.recv(1).decode()
                pid = struct.unpack("3i", guest.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
                self._clocks.setdefault((owner, pid), 0.0)
                guest.sendall(b".")

    def between(self, name: str) -> Truth:
        """Return the truth between the moments ``NAME-begin`` and ``NAME-end`` of a test."""
        moments = dict(line.split() for line in (self.sets / "moments").read_text().splitlines())
        first, last = (self._at(float(moments[f"{name}-{end}"])) for end in ("begin", "end"))
        return Truth(
            cpu_s=_differences(first.cpu_s, last.cpu_s),
            joules=_differences(first.joules, last.joules),
            total_j=last.total_j - first.total_j,
        )

    def _at(self, at_s: float) -> Truth:
        place = bisect.bisect_left(self._log, at_s, key=lambda entry: entry[0])
        return self._log[min(place, len(self._log) - 1)][1]

    def _run(self) -> None:
        shares, total_j, last_s = [0.0, 0.0, 0.0], 0.0, time.monotonic()
        before = self._cpu_s()
        first_busy_s, known_s, others_s = machine_busy_s(), sum(before), 0.0
        while not self._stopping.wait(_STEP_S):
            now_s, now = time.monotonic(), self._cpu_s()
            # the machine's clock counts in ticks: what it has not counted yet follows later
            rest_s = machine_busy_s() - first_busy_s - (sum(now) - known_s)
            others_s, other_s = max(others_s, rest_s), max(0.0, rest_s - others_s)
            passed_s = now_s - last_s
            used_w = [
                watts * seconds / passed_s
                for watts, seconds in zip(self._watts, (now[0] - before[0], now[1] - before[1], other_s), strict=True)
            ]
            powers_w = self._shapley_w(used_w)
            shares = [share + watts * passed_s for share, watts in zip(shares, powers_w, strict=True)]
            total_j += (self._idle_w + sum(powers_w)) * passed_s
            self._log.append((now_s, Truth((now[0], now[1], others_s), tuple(shares), total_j)))
            self._tree.write(ZONE, 1_000_000 + round(total_j * 1e6))
            before, last_s = now, now_s

    def _shapley_w(self, used_w: list[float]) -> list[float]:
        """Return the Shapley shares of foreground and background; others come on top of both."""
        mine, loads, others = used_w
        curve = self._curve
        both = curve(mine + loads)
        foreground = (curve(mine) + both - curve(loads)) / 2
        return [foreground, both - foreground, curve(mine + loads + others) - both]

    def _cpu_s(self) -> tuple[float, float]:
        """Return the CPU seconds of both sets, also of processes that have ended."""
        for key in tuple(self._clocks):
            with contextlib.suppress(OSError):  # it has ended: what was seen last counts
                self._clocks[key] = max(time.clock_gettime((~key[1] << 3) | 2), self._clocks[key])
        clocks = tuple(self._clocks.items())
        foreground_s, background_s = (sum(seconds for key, seconds in clocks if key[0] == owner) for owner in "FB")
        return foreground_s, background_s


def _differences(first: tuple[float, ...], last: tuple[float, ...]) -> tuple[float, float, float]:
    mine, loads, others = (after - before for before, after in zip(first, last, strict=True))
    return mine, loads, others
