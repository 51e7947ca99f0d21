"""The metrics of a registry entry: where each of them is found, and in which direction it is better."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from ..documents.node import Node
from .entry_values import picked, read_log_pattern, read_metric_file
from .metric_files import MetricFile

__all__ = ["EntryMetrics", "read_metrics"]


class EntryMetrics(Struct, frozen=True, kw_only=True):
    """The metrics of an entry by name, as the fields of a workload that have these names describe them."""

    patterns: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    picks: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, MetricFile] = field(default_factory=dict)
    better: Mapping[str, str] = field(default_factory=dict)


def read_metrics(node: Node) -> EntryMetrics:
    """Return what ``performance_metrics`` says.

    Raises:
        RegistryError: a metric is described twice, or a value is not one of those that are allowed.
    """
    fields = node.object(("log_patterns", "files", "better"))
    in_log, in_files = (fields[key].entries() if key in fields else {} for key in ("log_patterns", "files"))
    files = {name: read_metric_file(place) for name, place in in_files.items()}
    for name in files:
        if name in in_log:
            in_files[name].fail("the metric has a log pattern too", "remove one of them")
    shaped = {name: read_log_pattern(place) for name, place in in_log.items()}
    directions = fields["better"].object((*shaped, *files)) if "better" in fields else {}
    better = {name: place.one_of(("higher", "lower")) for name, place in directions.items()}
    return EntryMetrics(
        patterns={name: pattern for name, (pattern, _) in shaped.items()},
        picks={name: picked(in_log[name], pick, better.get(name)) for name, (_, pick) in shaped.items()},
        files={
            name: replace(file, pick=picked(in_files[name], file.pick, better.get(name)))
            for name, file in files.items()
        },
        better=better,
    )
