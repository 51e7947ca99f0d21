"""The same windows measured by our meter, Zeus, pyJoules and CodeCarbon, on one stand-in powercap tree of known watts.

    python -m venv /tmp/peers && /tmp/peers/bin/pip install . zeus pyJoules pandas codecarbon
    sudo /tmp/peers/bin/python benchmarks/accuracy.py

Needs root: each meter runs in a private mount namespace in which the tree stands at /sys/class/powercap. Nothing
outside is changed. The error is against watts times the time between the return of "start" and the call of "stop".
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from peers import TOOLS

from pytest_parallel_energy.testing import FakeZone, PowercapTree

_WIDE_UJ = 262_143_328_850
_NARROW_UJ = 400_000_000
_CHILD = Path(__file__).with_name("peers.py")
_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One arrangement of the counters."""

    name: str
    zones: tuple[FakeZone, ...]
    seconds: float
    interval_s: float = 1.0
    from_uj: int | None = None
    """The first zone's counter when the window is about to open."""
    vanishes: bool = False
    """The last zone's file turns empty in the middle of the window."""


def _package(number: int, watts: float, range_uj: int = _WIDE_UJ) -> FakeZone:
    return FakeZone(path=f"intel-rapl:{number}", name=f"package-{number}", watts=watts, range_uj=range_uj)


PAIR = (_package(0, 100.0), _package(1, 60.0))
CASES = (
    Case(name="1 s", zones=PAIR, seconds=1.0),
    Case(name="0.1 s", zones=PAIR, seconds=0.1),
    Case(name="1 s across a wrap", zones=PAIR, seconds=1.0, from_uj=_WIDE_UJ - 30_000_000),
    Case(
        name="2.1 s across two wraps of 400 J",
        zones=(_package(0, 400.0, _NARROW_UJ), _package(1, 60.0)),
        seconds=2.1,
        interval_s=0.1,
    ),
    Case(name="1 s, a counter turns empty", zones=PAIR, seconds=1.0, vanishes=True),
)


def start_child(tree: PowercapTree, arguments: Sequence[str]) -> subprocess.Popen[str]:
    """A meter in its own mount namespace, at ordinary priority, ready to measure."""
    mount = f'mount --bind {tree.root / "class"} /sys/class && exec nice -n 19 "$@"'
    environment = {**os.environ, "PYTHONPATH": str(_CHILD.parents[1]), "PYTHONWARNINGS": "ignore"}
    child = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", mount, "sh", sys.executable, str(_CHILD), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    assert child.stdout is not None
    for line in child.stdout:
        if line == "ready\n":
            return child
    raise SystemExit(f"{arguments[0]} did not get ready; is it installed beside {sys.executable}?")


def finish_child(child: subprocess.Popen[str]) -> dict[str, float | str | None]:
    """Its answer: the last line that is JSON."""
    output, _ = child.communicate(timeout=_TIMEOUT_S)
    return dict(json.loads([line for line in output.splitlines() if line.startswith("{")][-1]))


def measure(case: Case, tool: str) -> dict[str, float | str | None]:
    """One window of one tool."""
    with tempfile.TemporaryDirectory() as folder, PowercapTree(Path(folder), case.zones) as tree:
        child = start_child(tree, [tool, f"--seconds={case.seconds}", f"--interval={case.interval_s}"])
        if case.from_uj is not None:
            tree.set_now(case.zones[0].path, case.from_uj)
            time.sleep(0.01)
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
        if case.vanishes:
            time.sleep(case.seconds / 2)
            tree.break_zone(case.zones[-1].path)
        return finish_child(child)


def words(case: Case, results: Sequence[dict[str, float | str | None]]) -> str:
    """The worst of several windows, for the table."""
    watts = sum(zone.watts for zone in case.zones)
    errors = []
    for result in results:
        joules, seconds = result["joules"], result["seconds"]
        if not isinstance(joules, float | int) or not isinstance(seconds, float | int):
            return f"no number ({str(result['problem'])[:40]})" if result["problem"] else "missing"
        errors.append((joules - watts * seconds) / (watts * seconds))
    middle, worst = statistics.median(errors), max(errors, key=abs)
    if case.vanishes:
        return f"a number: {middle:+.0%} off"
    return f"{middle:+.2%} (worst {worst:+.2%})"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tools", default=",".join(TOOLS))
    options = parser.parse_args()
    # the counters must not stand still while a meter computes; the children are put back to ordinary priority
    os.nice(-19)
    tools = options.tools.split(",")
    print("| window | " + " | ".join(tools) + " |")
    print("|---|" + "---|" * len(tools))
    for case in CASES:
        cells = [words(case, [measure(case, tool) for _ in range(options.repeats)]) for tool in tools]
        print(f"| {case.name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
