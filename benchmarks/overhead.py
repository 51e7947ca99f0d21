"""What measuring costs: an empty window, and a fresh process with one, for our meter, Zeus, pyJoules and CodeCarbon.

    sudo /tmp/peers/bin/python benchmarks/overhead.py      (the environment that accuracy.py describes)

All read the same stand-in powercap tree of two packages, which nobody writes meanwhile.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from accuracy import PAIR, finish_child, start_child
from peers import TOOLS

from pytest_parallel_energy.testing import PowercapTree

_WINDOWS = {"ours": 2000, "zeus": 500, "pyjoules": 500, "codecarbon": 20}


def empty_window_us(tree: PowercapTree, tool: str) -> float:
    """Mean cost of an open-and-close, microseconds."""
    child = start_child(tree, [tool, f"--empty={_WINDOWS[tool]}"])
    assert child.stdin is not None
    child.stdin.write("go\n")
    child.stdin.flush()
    return float(finish_child(child)["us"] or 0.0)


def fresh_process_ms(tree: PowercapTree, tool: str) -> float:
    """A process that starts, measures one empty window and ends, milliseconds."""
    started_s = time.monotonic()
    child = start_child(tree, [tool, "--seconds=0"])
    assert child.stdin is not None
    child.stdin.write("go\n")
    child.stdin.flush()
    finish_child(child)
    return (time.monotonic() - started_s) * 1000


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tree = PowercapTree(Path(folder), PAIR)
        rounds = [
            {tool: (empty_window_us(tree, tool), fresh_process_ms(tree, tool)) for tool in TOOLS}
            for _ in range(options.repeats)
        ]
    print("| meter | empty window | × ours | fresh process |")
    print("|---|---|---|---|")
    for tool in TOOLS:
        window_us = statistics.median(each[tool][0] for each in rounds)
        ratio = statistics.median(each[tool][0] / each["ours"][0] for each in rounds)
        process_ms = statistics.median(each[tool][1] for each in rounds)
        print(f"| {tool} | {window_us:.1f} µs | {ratio:.1f} | {process_ms:.0f} ms |")


if __name__ == "__main__":
    main()
