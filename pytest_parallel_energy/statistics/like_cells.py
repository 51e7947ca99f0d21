"""Cells that differ only in their values, or only in their load: all else that tells cells apart is the same."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ..records.cell import host_class
from ..records.record import LoadReport, Record, all_values
from .grouping import Cell, function_of, short_name
from .measured_as import measured_as

__all__ = ["LikeCells", "all_but_load", "cells_by_setting", "load_names", "workload_name"]


class LikeCells(Struct, frozen=True, kw_only=True):
    """The cells of one test, workload, load, machine, code, thread budget and way of measuring; their values differ."""

    workload: str
    load: str
    """``alone`` or the names of the loads, and what else differs from other groups of that workload and load."""
    cells: tuple[Cell, ...]


def load_names(cell: Cell) -> str:
    """Return the names of the loads of a cell with the conditions that their record has, or ``alone``."""
    return " + ".join(map(_name_of_load, cell.sample[0].background)) or "alone"


def _name_of_load(load: LoadReport) -> str:
    """Return a load's name with its conditions: at half intensity it is another load than at full.

    >>> _name_of_load(LoadReport(name="toy/net", level="intensity", level_asked=0.5, devices="0"))
    'toy/net (intensity 0.5, devices 0)'
    """
    asked = [(load.level, load.level_asked), ("gpu_memory_fraction", load.gpu_memory_fraction)]
    words = [f"{name} {value:g}" for name, value in asked if name is not None and value is not None]
    if load.devices is not None:
        words.append(f"devices {load.devices or 'none'}")
    return f"{load.name} ({', '.join(words)})" if words else load.name


def workload_name(cell: Cell) -> str:
    """Return ``repository/model`` (with ``@profile``), or the test's own name."""
    workload = cell.sample[0].workload
    if workload is None:
        return cell.name.partition("[")[0]
    return f"{workload.repository}/{workload.model}" + (f"@{workload.profile}" if workload.profile else "")


def all_but_load(cell: Cell) -> tuple[object, ...]:
    """Return everything that a cell alone must share with a cell next to a load to be its partner."""
    record = cell.sample[0]
    return record.foreground_id or _foreground_v1(cell), *_surroundings(record)


def cells_by_setting(cells: Sequence[Cell]) -> tuple[LikeCells, ...]:
    """Return the cells in groups that differ in their values alone, in the order in which each first appears."""
    groups: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        record = cell.sample[0]
        key = (workload_name(cell), _loads(cell), function_of(record), _parameters(record), *_surroundings(record))
        groups.setdefault(key, []).append(cell)
    members = list(groups.values())
    alike: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    for group in members:
        alike.setdefault((workload_name(group[0]), load_names(group[0])), []).append(_facts(group[0]))
    found = []
    for group in members:
        workload, load = workload_name(group[0]), load_names(group[0])
        columns = zip(_facts(group[0]), zip(*alike[workload, load], strict=True), strict=True)
        differing = [fact for fact, column in columns if len(set(column)) > 1]
        found.append(LikeCells(workload=workload, load=", ".join([load, *differing]), cells=tuple(group)))
    return tuple(found)


def _surroundings(record: Record) -> tuple[object, ...]:
    host = record.host
    return host.machine_id, host_class(host), record.code, _threads(record), record.devices, measured_as(record)


def _facts(cell: Cell) -> tuple[str, ...]:
    """Return in words what tells groups of one workload and load apart."""
    record = cell.sample[0]
    way = measured_as(record)
    loads = [f"{load.name} {values}" for load in record.background if (values := dict(load.hyperparameters))]
    return (
        function_of(record),
        f"on {record.host.hostname or record.host.machine_id or 'an unknown machine'}",
        host_class(record.host),
        f"code {record.code or 'unknown'}",
        f"{_threads(record) or 'unknown'} threads",
        f"devices {record.devices or 'unset'}",
        f"measured as {way}" if way else "not measured",
        f"with {', '.join(f'{name}={value}' for name, value in record.parameters.items()) or 'no parameters'}",
        f"load of {', '.join(loads) or 'no values'}",
    )


def _loads(cell: Cell) -> object:
    record = cell.sample[0]
    return load_names(cell), record.loads_id, tuple(repr(dict(load.hyperparameters)) for load in record.background)


def _parameters(record: Record) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, repr(value)) for name, value in record.parameters.items()))


def _threads(record: Record) -> str | None:
    """Return the thread budget; records of schema version 1 have it in the environment of their training."""
    if record.threads is not None:
        return str(record.threads)
    return record.workload.environment.get("OMP_NUM_THREADS") if record.workload else None


def _foreground_v1(cell: Cell) -> tuple[object, ...]:
    """Return the training of a record of schema version 1: its workload and values, or the test with its parameters."""
    record = cell.sample[0]
    values = tuple(sorted((name, repr(value)) for name, value in all_values(record).items()))
    if record.workload is not None:
        return workload_name(cell), values
    name, _, parameters = short_name(record.nodeid).removesuffix("]").partition("[")
    alone = parameters if parameters.startswith("bg=") else parameters.partition("-bg=")[0]
    return function_of(record), name, "" if alone.startswith("bg=") else alone, values
