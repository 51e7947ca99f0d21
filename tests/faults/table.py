"""The fault matrix as a table: ``python -m tests.faults.table FILE…`` prints it as Markdown."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.faults.triggers import TRIGGERS


def render(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """Rows by way of ending, trigger and load: runs, survivors, and the time until nothing of the load was left."""
    entries = [
        {**entry, "ends by": "a kill" if TRIGGERS[entry["trigger"]].shoots else "tear-down"} for entry in entries
    ]
    lines = []
    for column in ("ends by", "trigger", "load"):
        groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for entry in entries:
            groups.setdefault((entry[column], entry["container"]), []).append(entry)
        lines += [
            f"| {column} | held by | runs | runs with survivors | median ms | 95 % ms | worst ms |",
            "|---|---|---:|---:|---:|---:|---:|",
        ]
        for (name, container), group in sorted(groups.items()):
            times_ms = sorted(1e3 * entry["seconds"] for entry in group)
            left = sum(bool(entry["survivors"]) for entry in group)
            high_ms = times_ms[min(len(times_ms) - 1, int(0.95 * len(times_ms)))]
            lines.append(
                f"| {name} | {container} | {len(group)} | {left} | {statistics.median(times_ms):.0f} "
                f"| {high_ms:.0f} | {times_ms[-1]:.0f} |"
            )
        lines.append("")
    left = sum(bool(entry["survivors"]) for entry in entries)
    return [*lines, f"{len(entries)} runs, {left} with survivors."]


def _way(trigger: str) -> str:
    return "a kill" if TRIGGERS[trigger].shoots else "pytest's own tear-down, timeout or grace"


if __name__ == "__main__":
    read = [json.loads(line) for name in sys.argv[1:] for line in Path(name).read_text().splitlines()]
    print("\n".join(render(read)))
