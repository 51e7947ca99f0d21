"""The check of a registry's patterns against the sample logs of its workloads."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..documents.node import Node, shown
from .entry_values import read_sample
from .log_search import PATTERN_DEADLINE_S
from .metrics import run_search
from .workload import Workload

__all__ = ["Sample", "check_samples", "sample_of"]

_METRIC = "performance_metrics.log_patterns."


class Sample(NamedTuple):
    """The sample log of one workload, with the patterns that must find something in it."""

    node: Node
    """The place in the registry that names the files."""
    logs: tuple[Path, ...]
    patterns: Mapping[str, str]
    """Place in the registry to pattern; the matches of metrics are numbers."""


def sample_of(workload: Workload, node: Node | None, base: Path) -> Sample | None:
    """Return the sample log of a workload, or ``None`` if its entry has none.

    Args:
        workload: the workload, with its patterns.
        node: the entry's ``sample_log``: one file, several that count as one log, or either for each model.
        base: the folder at which relative paths start.

    Raises:
        RegistryError: a file cannot be read.
    """
    if node is not None and isinstance(node.value, dict):
        node = node.entries().get(workload.model)
    if node is None:
        return None
    patterns = {f"{_METRIC}{name}": pattern.pattern for name, pattern in workload.patterns.items()}
    patterns |= {
        f"supported_hyperparams.{name}.applied": hyperparameter.applied.pattern
        for name, hyperparameter in workload.hyperparameters.items()
        if hyperparameter.applied
    }
    if workload.epoch is not None:
        patterns["epoch"] = workload.epoch.pattern.pattern
    return Sample(node, tuple(read_sample(log, base) for log in node.one_or_more()), patterns)


def check_samples(samples: Sequence[Sample], *, deadline_s: float = PATTERN_DEADLINE_S) -> None:
    """Check that each pattern finds something in its sample log, and numbers where it is a metric's.

    All samples are searched by one process, within a minute.

    Args:
        samples: the sample logs.
        deadline_s: seconds of search per pattern.

    Raises:
        RegistryError: a pattern finds nothing, finds something other than a number, or takes too long.
    """
    distinct = list(dict.fromkeys((sample.logs, tuple(sample.patterns.items())) for sample in samples))
    if not distinct:
        return
    jobs = [
        {
            "logs": [str(log) for log in logs],
            "patterns": dict(patterns),
            "numbers": [place for place, _ in patterns if place.startswith(_METRIC)],
        }
        for logs, patterns in distinct
    ]
    try:
        results = run_search({"samples": jobs, "deadline_s": deadline_s})
    except (OSError, ValueError, subprocess.SubprocessError) as problem:
        samples[0].node.fail(f"the sample logs cannot be searched: {problem}", "take shorter logs as samples")
    found = dict(zip(distinct, results, strict=True))
    for sample in samples:
        _judge(sample, found[sample.logs, tuple(sample.patterns.items())], deadline_s)


def _judge(sample: Sample, found: Mapping[str, Mapping[str, str]], deadline_s: float) -> None:
    node, patterns = sample.node, sample.patterns
    for place in found["slow"]:
        node.fail(
            f"the pattern {place} {shown(patterns[place])} was stopped after {deadline_s:g} s in the sample log",
            "write a pattern that begins with fixed text, without nested repetition such as (a+)+",
        )
    for place in found["missing"]:
        node.fail(
            f"the pattern {place} {shown(patterns[place])} finds nothing in the sample log",
            "correct the pattern, or take a log of a whole run as the sample",
        )
    for place, text in found["odd"].items():
        name = shown(place.removeprefix(_METRIC))
        node.fail(
            f"the pattern of {name} finds {shown(text)} in the sample log, which is not a number",
            "put the group around the number alone",
        )
