"""JSON for programs: the whole report, and the format of github-action-benchmark."""

from __future__ import annotations

from typing import Any

import msgspec

from ..records.codec import encode_value
from ..statistics import stats
from ..statistics.grouping import Cell, group_cells
from ..statistics.node_totals import node_totals
from ..statistics.projection import project_cell
from ..statistics.quantities import known_quantities, unit_of, value_of
from ..units import format_seconds
from .costs import costs_of
from .remarks import cell_remarks
from .report import Report

__all__ = ["benchmark_json", "json_report"]


def json_report(report: Report) -> str:
    """Return the run, its cells with statistics, costs and verdicts; ``format_version`` first, unknown is ``null``.

    Versions of the format: 1, the first.
    """
    cost = costs_of(report.total_j, report.factors)
    content = {
        "format_version": 1,
        "run": report.info,
        "total_j": report.total_j,
        "costs": {
            "factors": report.factors,
            "facility_j": cost.facility_j,
            "carbon_g": cost.carbon_g,
            "price": cost.price,
        },
        "cells": [_cell(cell) for cell in group_cells(report.records)],
        "nodes": node_totals(report.records),
        "comparison": report.comparison,
        "problems": report.problems,
    }
    return _text(content)


def benchmark_json(report: Report) -> str:
    """Return a list for github-action-benchmark, tool ``customSmallerIsBetter``: joules and seconds of passed cells.

    ``range`` is the half-width of the 95 % interval. A cell without a known value has no entry, because the format
    knows no unknown. Shape: https://github.com/benchmark-action/github-action-benchmark, "customSmallerIsBetter".
    """
    entries: list[dict[str, str | float]] = []
    for cell in group_cells(report.records):
        if cell.n == 0:
            continue
        mean = cell.energy()
        extra = f"cell {cell.cell}, n = {cell.n}, quality {cell.quality}, {format_seconds(cell.mean_s())}"
        if mean.value is not None:
            entry: dict[str, str | float] = {
                "name": f"{cell.name} energy",
                "unit": "J",
                "value": mean.value,
                "extra": extra,
            }
            entries.append(entry | ({} if mean.u95 is None else {"range": f"± {mean.u95:.3g}"}))
        entries.append({"name": f"{cell.name} time", "unit": "s", "value": cell.mean_s(), "extra": extra})
    return _text(entries)


def _cell(cell: Cell) -> dict[str, Any]:
    mean = cell.energy()
    found: dict[str, Any] = {}
    for quantity in known_quantities(cell.records):
        values = [value for record in cell.passed if (value := value_of(record, quantity)) is not None]
        if values:
            found[quantity] = {"unit": unit_of(quantity), "values": values, "statistics": stats.describe(values)}
    return {
        "cell": cell.cell,
        "name": cell.name,
        "n": cell.n,
        "failed": len(cell.failed),
        "warmups": len(cell.warmups),
        "quality": cell.quality,
        "mean_total_j": mean.value,
        "u95_total_j": mean.u95,
        "remarks": cell_remarks(cell),
        "quantities": found,
        "projection": project_cell(cell.passed),
    }


def _text(content: Any) -> str:
    return msgspec.json.format(encode_value(content), indent=2).decode() + "\n"
