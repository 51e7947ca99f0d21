"""Properties of a test case in ``junit.xml``."""

from __future__ import annotations

from ..records.record import Record
from ..statistics.grouping import all_metrics

__all__ = ["PROPERTY_PREFIX", "junit_properties"]

PROPERTY_PREFIX = "energy."

_ENERGY = (
    ("total_j", "total_j"), ("u95_j", "total_u95_j"), ("cpu_j", "cpu_j"), ("gpu_j", "gpu_j"), ("dram_j", "dram_j"),
    ("above_idle_j", "above_idle_j"), ("mean_w", "mean_w"), ("peak_w", "peak_w"), ("seconds", "window_s"),
    ("quality", "quality"), ("boundary", "boundary"),
)  # fmt: skip


def junit_properties(record: Record) -> list[tuple[str, str]]:
    """(name, value) pairs for ``item.user_properties``, each name beginning with ``energy.``.

    A value that is unknown has no property, because a property's value is text and any text would read as a value;
    ``energy.quality`` is always there and says ``missing``.
    """
    pairs: list[tuple[str, object]] = [(name, getattr(record.energy, source)) for name, source in _ENERGY]
    pairs += [
        ("cell", record.cell),
        ("status", record.status),
        ("repetition", record.repetition),
        ("attempt", record.attempt),
    ]
    pairs += [(f"metric.{name}", value) for name, value in all_metrics(record).items()]
    for index, load in enumerate(record.background):
        name = "background" if index == 0 else f"background{index + 1}"
        pairs += [
            (f"{name}.name", load.name),
            (f"{name}.rounds_completed", load.rounds_completed),
            (f"{name}.coverage_ratio", load.coverage_ratio),
        ]
    return [(PROPERTY_PREFIX + name, str(value)) for name, value in pairs if value is not None and value != ""]
