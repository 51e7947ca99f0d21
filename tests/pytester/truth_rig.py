"""A powercap tree whose power follows the CPU clocks of known processes, with the joules of each set of them.

The processes say which set they belong to, in a folder that the rig reads; the plugin under test knows nothing of it.
"""

from __future__ import annotations

import bisect
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
import os, time

def join(owner):
    "Let the rig count this process, and all CPU time that it has used so far, in the set of an owner."
    open(os.path.join(os.environ["TRUTH_RIG"], owner, str(os.getpid())), "w").close()

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
        folder: an existing folder, for the tree (``sysfs``) and the sets (``sets/F``, ``sets/B``).
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
        self.sets = folder / "sets"
        for owner in "FB":
            (self.sets / owner).mkdir(parents=True)
        self.sysfs = folder / "sysfs"
        self.sysfs.mkdir()
        self._tree = PowercapTree(self.sysfs, [FakeZone(path=ZONE, name="package-0")])
        self._watts, self._idle_w, self._curve = watts, idle_w, curve
        self._clocks: dict[tuple[str, str], float] = {}
        self._sums = [0.0, 0.0, 0.0]
        self._log: list[tuple[float, Truth]] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="truth-rig", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

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
        sums = []
        for owner in "FB":
            for path in (self.sets / owner).iterdir():
                key = (owner, path.name)
                try:
                    seconds = time.clock_gettime((~int(path.name) << 3) | 2)  # clock_getcpuclockid(3)
                except OSError:  # it has ended: what was seen last counts
                    continue
                self._clocks[key] = max(seconds, self._clocks.get(key, 0.0))
            sums.append(sum(seconds for (set_of, _), seconds in self._clocks.items() if set_of == owner))
        return sums[0], sums[1]


def _differences(first: tuple[float, ...], last: tuple[float, ...]) -> tuple[float, float, float]:
    mine, loads, others = (after - before for before, after in zip(first, last, strict=True))
    return mine, loads, others
