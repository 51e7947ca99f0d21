"""One entry of an experiment file: what it trains, beside what, and what it mutates."""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ..documents.node import Node, place_of, shown
from ..errors import ConfigError, ParallelEnergyError, did_you_mean
from ..mutation.distributions import Grid
from ..mutation.draw import Draw, MutationKey, draw_mutations, mutation_key
from ..plan.history import History, read_history
from ..plan.markers import LoadRequest
from ..training.workload import Workload
from .context import StudyContext
from .keys import ENTRY, FOREGROUND, open_fields
from .load_entries import Beside, LoadReader
from .spaces import read_space
from .study import Entry

__all__ = ["EntryReader"]

_Fields = dict[str, Node]
_PLACEHOLDER = "placeholder"
_ONE_AT_A_TIME = frozenset({"one-at-a-time", "one_at_a_time", "single"})
_NEUTRAL = frozenset({"parallel", "nonparallel", "batch", "mixed"})
"""Modes that say nothing about whether hyperparameters are mutated."""


class EntryReader:
    """Reads one entry.

    Args:
        reading: what the entries of a file share.
        around: the settings around the entry, the nearest first.
        base: the folder that paths are relative to.
        node: the entry.
    """

    def __init__(self, reading: StudyContext, around: Sequence[_Fields], base: Path, node: Node) -> None:
        self._reading = reading
        self._base = base
        self._node = node
        self._entry = open_fields(node, ENTRY)
        self._front = open_fields(self._entry["foreground"], FOREGROUND) if "foreground" in self._entry else {}
        self._around = around
        self._levels = [self._entry, self._front, *around]

    def entries(self) -> list[Entry]:
        """The entry, once for each condition that its loads list; nothing where it holds comments alone.

        A baseline is an entry of its own, before the one that asks for it.
        """
        if self._entry.keys() <= {"name"}:
            return []
        besides = self._besides()
        workload = self._reading.workload(self._who(), self._entry.get("foreground") or self._node)
        entry = self._plain(workload, besides[0].loads)
        if self._mutates(besides[0].loads):
            entry = self._mutated(entry, workload, besides)
        return [one for beside in besides for one in self._with_baseline(_beside(entry, beside))]

    def _plain(self, workload: Workload, loads: tuple[LoadRequest, ...]) -> Entry:
        fixed = self._one("hyperparameters")
        profile = self._setting("profile")
        return Entry(
            place=f"{self._node.source.file}: {place_of(self._node.path)}",
            name=self._name(workload, loads),
            workload=workload.name,
            values=self._reading.values(
                workload, fixed.entries() if fixed else {}, self._profile(), place=profile or self._node
            ),
            profile=self._profile(),
            repeats=self._whole("runs_per_config", 1),
            max_retries=self._whole("max_retries", 0),
            governor=node.text() if (node := self._setting("governor")) else None,
            timeout_s=self._timeout_s(),
        )

    def _with_baseline(self, entry: Entry) -> list[Entry]:
        baseline = self._whole("baseline_runs", 0)
        if not baseline:
            return [entry]
        plain = dataclasses.replace(entry, name=f"{entry.name}_baseline", space={}, draw=None, repeats=baseline)
        return [plain, entry]

    # --- settings ------------------------------------------------------------------------------------------------

    def _setting(self, name: str) -> Node | None:
        """The nearest level that says something: entry, foreground, global_settings, top."""
        return next((level[name] for level in self._levels if name in level), None)

    def _whole(self, name: str, least: int) -> int | None:
        node = self._setting(name)
        return None if node is None else node.whole(least, 1_000_000)

    def _profile(self) -> str | None:
        node = self._setting("profile")
        return None if node is None else node.text()

    def _timeout_s(self) -> float | None:
        node = self._setting("timeout")
        if node is None:
            return None
        if node.number() <= 0:
            node.fail(f"must be above 0 seconds, not {shown(node.value)}")
        return float(node.number())

    def _one(self, name: str) -> Node | None:
        """A key that may stand at the entry or in its foreground, not with two meanings."""
        outer, inner = self._entry.get(name), self._front.get(name)
        if outer and inner and outer.value != inner.value:
            outer.fail(f"the entry and its foreground say different things about {shown(name)}", "keep one of them")
        return inner or outer

    # --- who trains, and beside what ------------------------------------------------------------------------------

    def _who(self) -> _Fields:
        who = {}
        for name in ("repository", "model"):
            inner, outer = self._front.get(name), self._entry.get(name)
            if inner and outer and outer.value not in (_PLACEHOLDER, inner.value):
                outer.fail(
                    f"the entry names {shown(outer.value)} and its foreground {shown(inner.value)}", "keep one of them"
                )
            if node := inner or outer:
                who[name] = node
        return who

    def _besides(self) -> list[Beside]:
        besides = LoadReader(self._reading, self._base, self._setting("profile")).read(self._entry.get("background"))
        mode = self._mode_of(self._entry)
        if not besides[0].loads and mode == "parallel":
            self._node.fail(
                'its mode is "parallel" and it has no "background"', "name the training that runs beside it"
            )
        if besides[0].loads and mode == "nonparallel":
            self._node.fail('its mode is "nonparallel" and it has a "background"', "take one of them out")
        return besides

    # --- what is mutated ------------------------------------------------------------------------------------------

    def _mode_of(self, fields: _Fields) -> str | None:
        node = fields.get("mode")
        return None if node is None else node.one_of([*_NEUTRAL, "mutation", "default"])

    def _mutates(self, loads: Sequence[LoadRequest]) -> bool:
        """Whether hyperparameters are mutated: the nearest mode that says so, else what stands beside it."""
        spaces = [node for name in ("mutate", "mutate_params") if (node := self._one(name)) is not None]
        mode = next((mode for mode in (self._mode_of(self._front), self._old_mode(loads)) if mode), None)
        if mode == "default" and any(node.value for node in spaces):
            spaces[0].fail(
                'names what to mutate, and the mode is "default"', 'write the mode "mutation", or take it out'
            )
        if mode is not None:
            return mode == "mutation"
        if spaces:
            return True
        if self._one("hyperparameters") is not None:
            return False
        around = [mode for level in self._around if (mode := self._mode_of(level))]
        if around and around[0] in {"mutation", "default"}:
            return around[0] == "mutation"
        if around:
            self._node.fail(
                'says neither "mode" nor "mutate" nor "hyperparameters", so it could mean two things',
                'write "mode": "mutation" or "mode": "default"',
            )
        return True

    def _old_mode(self, loads: Sequence[LoadRequest]) -> str | None:
        """The entry's own mode where it speaks of mutation; older names for it count where nothing else says it."""
        mode = self._mode_of(self._entry)
        if mode in {"mutation", "default"}:
            return mode
        for name in ("mutation_type", "experiment_type"):
            node = self._entry.get(name)
            if node is None:
                continue
            said = node.text()
            if said in {"mutation", "default"}:
                return said
            if not loads and said not in _NEUTRAL:
                node.fail(f"{shown(said)} is not known here", did_you_mean(said, ["mutation", "default", *_NEUTRAL]))
        return None

    def _mutated(self, entry: Entry, workload: Workload, besides: Sequence[Beside]) -> Entry:
        nodes = (self._one("mutate"), self._one("mutate_params"))
        profile = self._reading.in_force(entry.profile)
        space = read_space(workload, nodes, fixed=entry.values, profile=profile, place=self._node)
        count = self._whole("num_mutations", 1)
        samples = count or entry.repeats or 1
        draw = Draw(
            samples=samples,
            seed=node.whole() if (node := self._setting("seed")) else 0,
            vary=self._vary(),
            per_mutation=self._per_mutation(),
            known=self._known(entry, tuple(space), besides),
        )
        entry = dataclasses.replace(entry, space=space, draw=draw, repeats=entry.repeats if count else None)
        self._remember(entry, workload, besides)
        return entry

    def _vary(self) -> Literal["all", "one-at-a-time"]:
        node = self._one("mutate_strategy")
        if node is None:
            return "all"
        strategies = next(key.schema["enum"] for key in FOREGROUND if key.name == "mutate_strategy")
        return "one-at-a-time" if node.one_of(strategies) in _ONE_AT_A_TIME else "all"

    def _per_mutation(self) -> tuple[int, int] | None:
        node = self._one("num_params_per_mutation")
        if node is None:
            return None
        if not isinstance(node.value, list):
            return node.whole(1, 1000), node.whole(1, 1000)
        limits = [item.whole(1, 1000) for item in node.array()]
        if len(limits) != 2 or limits[0] > limits[1]:  # noqa: PLR2004 - a pair
            node.fail(f"must be [least, most], not {shown(node.value)}")
        return limits[0], limits[1]

    def _known(self, entry: Entry, names: tuple[str, ...], besides: Sequence[Beside]) -> frozenset[MutationKey]:
        """Mutations that are not drawn again: of older results where they are named, and of earlier entries."""
        beside_load = bool(besides[0].loads)
        known = self._history().known(entry.workload, beside_load=beside_load, names=names, fixed=entry.values)
        return known.union(*(self._reading.drawn.get(kind, ()) for kind in _kinds(entry, names, besides)))

    def _history(self) -> History:
        use, files = self._setting("use_deduplication"), self._setting("historical_csvs")
        if files is None or (use is not None and not use.boolean()):
            return History()
        found = []
        for node in files.one_or_more():
            try:
                found.append(read_history([self._base / Path(node.text()).expanduser()]))
            except (ParallelEnergyError, RuntimeError) as error:
                node.fail(str(error))
        return History.of(run for one in found for runs in one.runs.values() for run in runs)

    def _remember(self, entry: Entry, workload: Workload, besides: Sequence[Beside]) -> None:
        """Draw once now: what cannot be drawn is refused with its place, and later entries draw others."""
        if entry.draw is None:
            return
        defaults = workload.values(self._reading.in_force(entry.profile), **entry.values)
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                cells = draw_mutations(entry.space, entry.draw, defaults=defaults)
        except ConfigError as error:
            self._node.fail(str(error))
        self._reading.notes.extend(f"{entry.place}: {one.message}" for one in caught)
        if not any(isinstance(one, Grid) for one in entry.space.values()):
            for kind in _kinds(entry, tuple(entry.space), besides):
                self._reading.drawn.setdefault(kind, set()).update(mutation_key(cell.values) for cell in cells)

    def _name(self, workload: Workload, loads: Sequence[LoadRequest]) -> str:
        if "name" in self._entry:
            text = self._entry["name"].text()
        else:
            text = _short(workload.name)
            if loads:
                text += f"_beside_{'_and_'.join(_short(load.name) for load in loads)}"
        return re.sub(r"\W+", "_", text).strip("_") or "experiment"


def _short(workload: str) -> str:
    repository, _, model = workload.rpartition("/")
    return repository if model == "default" else model


def _beside(entry: Entry, beside: Beside) -> Entry:
    name = "_".join(filter(None, (entry.name, beside.label)))
    return dataclasses.replace(entry, loads=beside.loads, name=name)


def _kinds(entry: Entry, names: tuple[str, ...], besides: Sequence[Beside]) -> list[tuple[str, str, tuple[str, ...]]]:
    """What an entry repeats if it draws what another did: beside other loads the same draws make a fair comparison."""
    return [(entry.workload, repr(beside.loads), names) for beside in besides]
