"""The cells of two runs that belong together, and the reasons why some of them cannot be compared."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from ..records.record import HostPart, Record
from .grouping import Cell, function_of, named_cells, short_name
from .measured_as import MeasuredAs, measured_as

__all__ = ["CellPair", "Matching", "match_cells", "measured_alike"]

Identity = tuple[str | None, ...]


class CellPair(Struct, frozen=True, kw_only=True):
    """A cell in both runs; a side without values of a quantity has no records."""

    old: Cell
    new: Cell
    obstacle: str = ""
    """Reason why the two cannot be compared; empty when they can."""
    one_way: bool = True
    """Whether both sides were measured in one way; else not even a change can be shown."""


class Matching(Struct, frozen=True, kw_only=True):
    """The pairs, the names of the cells that only one run has, and remarks in sentences."""

    pairs: tuple[CellPair, ...]
    only_old: tuple[str, ...]
    only_new: tuple[str, ...]
    remarks: tuple[str, ...]


def match_cells(old: Sequence[Record], new: Sequence[Record], *, by: str = "test") -> Matching:
    """Return the cells of both runs in pairs.

    Pairs have the same identity and the same test. Of several cells that differ in their code alone, those with the
    same code come first; a change of code is what a comparison is often for, so that it is a remark. The rest is paired
    by name, and is not comparable: it differs in host, values, command, threads or load.

    Args:
        old: records of the older run.
        new: records of the newer run.
        by: ``test``; with ``workload`` the tests that train the same next to the same load are one cell.
    """
    olds, news = _cells(old, by), _cells(new, by)
    same_code = [(key, key) for key in news if key in olds]
    left = _left(olds, news, same_code)
    other_code = _paired(*left, lambda key, _: key[:-1])
    left = _left(olds, news, same_code + other_code)
    by_name = _paired(*left, lambda _, cell: short_name(cell.records[0].nodeid))
    left = _left(olds, news, same_code + other_code + by_name)
    pairs = [_pair(olds[before], news[after], "") for before, after in same_code + other_code]
    pairs += [_pair(olds[before], news[after], _difference(olds[before], news[after])) for before, after in by_name]
    remarks = [_code_remark([news[after].name for _, after in other_code])] if other_code else []
    only_old, aside = _but_for_code(left[0], [before for before, _ in same_code + other_code])
    if aside:
        more = ", …" if len(aside) > 1 else ""
        remarks.append(
            f"{len(aside)} cells of the older run with other code ({aside[0].name}{more}) are left out: there are "
            "records with the code of the newer run"
        )
    if first := sum(record.schema_version == 1 for record in (*old, *new)):
        remarks.append(
            f"{first} records are of schema version 1: they do not tell test, command line, thread budget and "
            "devices of their cells apart, and match only each other"
        )
    return Matching(
        pairs=tuple(pairs),
        only_old=tuple(cell.name for cell in only_old),
        only_new=tuple(cell.name for cell in left[1].values()),
        remarks=tuple(remarks),
    )


def measured_alike(pair: CellPair, quantity: str) -> Iterator[CellPair]:
    """Yield the pair once per way in which a quantity was measured; only those of one way can be compared.

    Values without a way (time, metrics, unknown ones) go with the first.
    """
    olds, news = _by_way(pair.old, quantity), _by_way(pair.new, quantity)
    ways = list(dict.fromkeys(way for way in (*olds, *news) if way is not None))
    if len(ways) <= 1:
        yield pair
        return
    unknown = [cell.pop(None, []) for cell in (olds, news)]
    both = [way for way in ways if way in olds and way in news]
    couples: list[tuple[MeasuredAs | None, MeasuredAs | None]] = [(way, way) for way in both]
    couples += itertools.zip_longest((w for w in olds if w not in news), (w for w in news if w not in olds))
    for before, after in couples:
        records = [olds.get(before, []) + unknown[0], news.get(after, []) + unknown[1]]
        unknown = [[], []]
        name = f"{pair.new.name} ({(after or before or ways[0]).sensors})" if len(couples) > 1 else pair.new.name
        yield CellPair(
            old=replace(pair.old, records=tuple(records[0])),
            new=replace(pair.new, name=name, records=tuple(records[1])),
            obstacle=pair.obstacle if before == after else _measured_differently(before, after),
            one_way=before == after,
        )


def _by_way(cell: Cell, quantity: str) -> dict[MeasuredAs | None, list[Record]]:
    found: dict[MeasuredAs | None, list[Record]] = {}
    for record in cell.passed:
        found.setdefault(measured_as(record, quantity), []).append(record)
    return found


def _measured_differently(old: MeasuredAs | None, new: MeasuredAs | None) -> str:
    if old is None or new is None:
        return f"measured as {old or new} in the {'newer' if old is None else 'older'} run alone"
    return f"measured as {old}, now as {new}"


def _cells(records: Sequence[Record], by: str) -> dict[Identity, Cell]:
    """Return the cells by identity and code; records that were measured in different ways share one."""
    grouped: dict[Identity, list[Record]] = {}
    for record in records:
        work = (record.cell, function_of(record))
        if by == "workload":  # a cell of schema version 1 names no test where there is a workload
            work = (record.foreground_id, record.loads_id or "") if record.foreground_id else (record.cell, "")
        grouped.setdefault((*work, record.code), []).append(record)
    return dict(zip(grouped, named_cells(list(grouped.values())), strict=True))


def _left(
    olds: dict[Identity, Cell], news: dict[Identity, Cell], pairs: Sequence[tuple[Identity, Identity]]
) -> tuple[dict[Identity, Cell], dict[Identity, Cell]]:
    """Return the cells of both sides that have no partner yet."""
    before, after = {pair[0] for pair in pairs}, {pair[1] for pair in pairs}
    return (
        {key: cell for key, cell in olds.items() if key not in before},
        {key: cell for key, cell in news.items() if key not in after},
    )


def _but_for_code(cells: dict[Identity, Cell], paired: Sequence[Identity]) -> tuple[list[Cell], list[Cell]]:
    """Return the cells that no paired cell equals, and those that differ from a paired one in their code alone."""
    identities = {key[:-1] for key in paired}
    alone = [cell for key, cell in cells.items() if key[:-1] not in identities]
    return alone, [cell for key, cell in cells.items() if key[:-1] in identities]


def _paired(
    olds: dict[Identity, Cell], news: dict[Identity, Cell], key_of: Callable[[Identity, Cell], object]
) -> list[tuple[Identity, Identity]]:
    """Return the pairs with one key; of several the last, which is the newest in the order of writing."""
    before = {key_of(key, cell): key for key, cell in olds.items()}
    after = {key_of(key, cell): key for key, cell in news.items()}
    return [(before[key], after[key]) for key in after if key in before]


def _pair(old: Cell, new: Cell, difference: str) -> CellPair:
    return CellPair(old=old, new=new, obstacle=_other_machine(old, new) or difference)


def _difference(old: Cell, new: Cell) -> str:
    versions = [{record.schema_version for record in cell.records} for cell in (old, new)]
    if versions[0].isdisjoint(versions[1]):
        return "recorded by versions of this plugin with other identities"
    return "other values, command, load or threads"


def _code_remark(names: Sequence[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return (
        f"the code of {names[0]}{more} changed between the two runs: the comparison includes the effect of that change"
    )


def _other_machine(old: Cell, new: Cell) -> str:
    before, after = ({record.host.machine_id for record in cell.sample} for cell in (old, new))
    if before == after or None in before | after:
        return ""
    return f"another machine: {_host_name(old.sample[0].host)}, now {_host_name(new.sample[0].host)}"


def _host_name(host: HostPart) -> str:
    return host.hostname or host.machine_id or "unknown"
