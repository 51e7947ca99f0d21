"""Measure an empty window, and a fresh process with one, for our meter, Zeus, pyJoules and CodeCarbon.

    python benchmarks/overhead.py --peers-off     our meter against a meter that does nothing, on this machine's sensors
    sudo PEERS/bin/python benchmarks/overhead.py  all four, in the environment that accuracy.py describes

With peers all read the same stand-in powercap tree of two packages, whose counters do not change meanwhile.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from accuracy import PAIR, finish_child, start_child
from peers import TOOLS

from pytest_parallel_energy.testing import PowercapTree

_WINDOWS = {"ours": 2000, "zeus": 500, "pyjoules": 500, "codecarbon": 20}


def empty_window_us(tree: PowercapTree, tool: str) -> float:
    """Return the mean cost of an open-and-close, microseconds."""
    child = start_child(tree, [tool, f"--empty={_WINDOWS[tool]}"])
    assert child.stdin is not None
    child.stdin.write("go\n")
    child.stdin.flush()
    return float(finish_child(child)["us"] or 0.0)


def fresh_process_ms(tree: PowercapTree, tool: str) -> float:
    """Return the milliseconds of a process that starts, measures one empty window and ends."""
    started_s = time.monotonic()
    child = start_child(tree, [tool, "--seconds=0"])
    assert child.stdin is not None
    child.stdin.write("go\n")
    child.stdin.flush()
    finish_child(child)
    return (time.monotonic() - started_s) * 1000


_NULL = """
import contextlib
class NullMeter:
    def window(self, name): return contextlib.nullcontext(self)
with contextlib.nullcontext(NullMeter()) as meter:
    with meter.window("empty") as window: pass
"""
_OURS = """
from pytest_parallel_energy import EnergyMeter
with EnergyMeter() as meter:
    with meter.window("empty") as window: pass
window.result
"""
_STANDARD = "import ctypes, dataclasses, pathlib, threading, typing\n"
"""The modules of the standard library that our meter imports; PyTorch imports all of them too."""


def process_cost_ms(code: str, environment: dict[str, str]) -> tuple[float, float]:
    """Run a fresh interpreter and return its wall time and its CPU time, milliseconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started_s = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd="/")  # only PYTHONPATH counts
    wall_s = time.perf_counter() - started_s
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall_s * 1000, cpu_s * 1000


def above_null_meter(repeats: int) -> None:
    """Print the cost of a fresh process with our meter above one with a null meter, with and without byte code."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(__file__).parents[1]
        shutil.copytree(
            root / "pytest_parallel_energy",
            Path(folder, "pytest_parallel_energy"),
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        cached = {**os.environ, "PYTHONPATH": str(root)}
        cached.pop("PYTHONDONTWRITEBYTECODE", None)
        bare = {**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        print("| before it | byte code | wall above null | CPU above null | × null (CPU) |")
        print("|---|---|---|---|---|")
        for before, imports in (("nothing", ""), ("what PyTorch imports of the standard library", _STANDARD)):
            for name, environment in (("cached", cached), ("none", bare)):
                null_code, our_code = imports + _NULL, imports + _OURS
                process_cost_ms(our_code, environment)  # writes the byte code
                pairs = [
                    (process_cost_ms(null_code, environment), process_cost_ms(our_code, environment))
                    for _ in range(repeats)
                ]
                wall_ms = statistics.median(ours[0] - null[0] for null, ours in pairs)
                cpu_ms = statistics.median(ours[1] - null[1] for null, ours in pairs)
                ratio = statistics.median(ours[1] / null[1] for null, ours in pairs)
                print(f"| {before} | {name} | {wall_ms:.0f} ms | {cpu_ms:.0f} ms | {ratio:.1f} |")


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peers-off", action="store_true", help="compare with a null meter only; needs no peer")
    options = parser.parse_args()
    above_null_meter(max(20, options.repeats))
    if options.peers_off:
        return
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
