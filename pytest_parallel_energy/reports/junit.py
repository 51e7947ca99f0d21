"""Properties of a test case in ``junit.xml``."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

from ..errors import RecordError
from ..records.atomic_write import write_file
from ..records.record import Record
from ..statistics.grouping import all_metrics

__all__ = ["PROPERTY_PREFIX", "add_gate_case", "junit_properties"]

PROPERTY_PREFIX = "energy."

_ENERGY = (
    ("total_j", "total_j"), ("u95_j", "total_u95_j"), ("cpu_j", "cpu_j"), ("gpu_j", "gpu_j"), ("dram_j", "dram_j"),
    ("above_idle_j", "above_idle_j"), ("mean_w", "mean_w"), ("peak_w", "peak_w"), ("seconds", "window_s"),
    ("quality", "quality"), ("boundary", "boundary"),
)  # fmt: skip


def junit_properties(record: Record) -> list[tuple[str, str]]:
    """Return (name, value) pairs for ``item.user_properties``, each name beginning with ``energy.``.

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


def add_gate_case(path: Path, message: str) -> None:
    """Add a failed test case ``energy.gate`` to the file that pytest has written; do nothing where there is none.

    pytest writes the file when the tests are over, before the comparison is made.

    Raises:
        RecordError: the file is not JUnit's, or it cannot be written.
    """
    if not path.is_file():
        return
    try:
        tree = ET.parse(path)  # noqa: S314 - pytest wrote it a moment ago
    except ET.ParseError as error:
        raise RecordError(f"{path} is not JUnit XML, so the closed gate is not in it: {error}") from error
    suite = tree.getroot() if tree.getroot().tag == "testsuite" else tree.getroot().find("testsuite")
    if suite is None:
        raise RecordError(f"{path} has no test suite, so the closed gate is not in it")
    for name in ("tests", "failures"):
        suite.set(name, str(int(suite.get(name, "0")) + 1))
    case = ET.SubElement(suite, "testcase", classname="energy", name="gate", time="0.000")
    ET.SubElement(case, "failure", message=message).text = message
    write_file(path, ET.tostring(tree.getroot(), encoding="utf-8", xml_declaration=True))
