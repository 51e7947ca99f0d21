"""Reader of one entry of an experiment file, after its translation into the one form."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from ..documents.node import Node, place_of, shown
from ..errors import ConfigError, ParallelEnergyError
from ..mutation.distributions import Grid
from ..mutation.draw import Draw, Mutation, MutationKey, draw_mutations, mutation_key
from ..plan.markers import LoadRequest
from ..training.workload import Workload
from .context import AnyOf, DrawKind, StudyContext
from .forms import EntryForm
from .load_entries import LoadReader, LoadSet
from .spaces import read_space
from .study import Entry

__all__ = ["EntryReader"]


class EntryReader:
    """Reads one entry.

    Args:
        context: the state that the entries of a file share.
        base: the folder that paths are relative to.
        form: the entry.
    """

    def __init__(self, context: StudyContext, base: Path, form: EntryForm) -> None:
        self._context = context
        self._base = base
        self._form = form
        self._fields = form.fields

    def entries(self) -> list[Entry]:
        """Return the entry, once for each combination of the conditions that its loads list.

        A baseline is an entry of its own, before the one that requests it.
        """
        load_sets = LoadReader(self._context, self._base, self._fields.get("profile")).read(self._form)
        workload = self._context.workload(self._fields, self._form.trained)
        self._context.check_notes(self._form.notes, workload)
        # All sets have the same loads; only their conditions and numbers differ.
        entry = self._plain(workload, load_sets[0].loads)
        if self._form.mutates:
            entry = self._mutated(entry, workload, load_sets)
        baseline_runs = self._whole("baseline_runs", 0)
        entries = []
        for load_set in load_sets:
            name = "_".join(filter(None, (entry.name, load_set.label)))
            loaded = replace(entry, loads=load_set.loads, name=name)
            if baseline_runs:
                entries.append(replace(loaded, name=f"{name}_baseline", space={}, draw=None, repeats=baseline_runs))
            entries.append(loaded)
        return entries

    def _plain(self, workload: Workload, loads: tuple[LoadRequest, ...]) -> Entry:
        """Return the entry without mutation."""
        fields, node = self._fields, self._form.node
        fixed = fields["hyperparameters"].entries() if "hyperparameters" in fields else {}
        profile = fields["profile"].text() if "profile" in fields else None
        return Entry(
            place=f"{node.source.file}: {place_of(node.path)}",
            name=self._name(workload, loads),
            workload=workload.name,
            values=self._context.values(workload, fixed, profile, place=fields.get("profile", node)),
            profile=profile,
            repeats=self._whole("repeats", 1),
            max_retries=self._whole("max_retries", 0),
            governor=fields["governor"].text() if "governor" in fields else None,
            timeout_s=self._timeout_s(),
        )

    def _whole(self, name: str, least: int) -> int | None:
        return self._fields[name].whole(least, 1_000_000) if name in self._fields else None

    def _timeout_s(self) -> float | None:
        node = self._fields.get("timeout")
        if node is None:
            return None
        if node.number() <= 0:
            node.fail(f"must be above 0 seconds, not {shown(node.value)}")
        return float(node.number())

    def _name(self, workload: Workload, loads: Sequence[LoadRequest]) -> str:
        if "name" in self._fields:
            text = self._fields["name"].text()
        else:
            text = _short(workload.name)
            if loads:
                text += f"_beside_{'_and_'.join(_short(load.name) for load in loads)}"
        return re.sub(r"\W+", "_", text).strip("_") or "experiment"

    # --- mutation ----------------------------------------------------------------------------------------------------

    def _mutated(self, entry: Entry, workload: Workload, load_sets: Sequence[LoadSet]) -> Entry:
        fields = self._fields
        space = read_space(
            workload,
            (fields.get("mutate"), fields.get("mutate_params")),
            fixed=entry.values,
            profile=self._context.in_force(entry.profile),
            place=self._form.node,
        )
        draw = Draw(
            samples=self._whole("samples", 1) or 1,
            seed=fields["seed"].whole() if "seed" in fields else 0,
            vary=self._form.vary,
            per_mutation=self._per_mutation(),
            known=self._known(entry, tuple(space), beside_load=bool(load_sets[0].loads)),
        )
        entry = replace(entry, space=space, draw=draw)
        return replace(entry, mutations=self._draw(entry, draw, workload, load_sets))

    def _per_mutation(self) -> tuple[int, int] | None:
        node = self._fields.get("num_params_per_mutation")
        if node is None:
            return None
        if not isinstance(node.value, list):
            return node.whole(1, 1000), node.whole(1, 1000)
        limits = [item.whole(1, 1000) for item in node.array()]
        if len(limits) != 2 or limits[0] > limits[1]:  # noqa: PLR2004 - a pair
            node.fail(f"must be [least, most], not {shown(node.value)}")
        return limits[0], limits[1]

    def _known(self, entry: Entry, names: tuple[str, ...], *, beside_load: bool) -> frozenset[MutationKey]:
        """Return the mutations that older results hold."""
        files = self._fields.get("historical_csvs")
        histories = []
        for node in [] if files is None else files.one_or_more():
            try:
                histories.append(self._context.history(self._history_file(node)))
            except (ParallelEnergyError, RuntimeError) as error:  # RuntimeError: a home folder that does not exist
                node.fail(str(error))
        wanted = (entry.workload, beside_load, names, repr(entry.values), *map(id, histories))
        if wanted not in self._context.known:
            self._context.known[wanted] = frozenset[MutationKey]().union(
                *(h.known(entry.workload, beside_load=beside_load, names=names, fixed=entry.values) for h in histories)
            )
        return self._context.known[wanted]

    def _history_file(self, node: Node) -> Path:
        """Return the path of a file of results, which is relative to its experiment file or to the root folder."""
        written = Path(node.text()).expanduser()
        candidates = [folder / written for folder in (self._base, self._context.root) if folder is not None]
        for candidate in candidates:
            try:
                if candidate.exists():
                    return candidate
            except (OSError, ValueError):  # a name that no file can have: reading it says so
                return candidate
        if len(set(candidates)) > 1:
            node.fail(f"there is no such file: neither {' nor '.join(map(str, candidates))}")
        return candidates[0]

    def _draw(self, entry: Entry, draw: Draw, workload: Workload, load_sets: Sequence[LoadSet]) -> tuple[Mutation, ...]:
        """Return mutations that no earlier entry of the same kind has; refuse a space that cannot be drawn from.

        Entries next to different loads draw the same mutations, so that their comparison is fair.
        """
        names = tuple(entry.space)
        kinds: list[DrawKind] = [(entry.workload, repr(load_set.loads), names) for load_set in load_sets]
        earlier = [self._context.drawn.setdefault(kind, set()) for kind in kinds]
        defaults = workload.values(self._context.in_force(entry.profile), **entry.values)
        is_grid = any(isinstance(distribution, Grid) for distribution in entry.space.values())
        rules = (*kinds, repr((entry.space, defaults)), replace(draw, samples=1))
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                mutations = draw_mutations(
                    entry.space,
                    replace(draw, known=AnyOf((draw.known, *earlier))),
                    defaults=defaults,
                    continued=None if is_grid else self._context.samples.setdefault(rules, {}),
                )
        except ConfigError as error:
            self._form.node.fail(str(error))
        self._context.notes.extend(f"{entry.place}: {warning.message}" for warning in caught)
        if not is_grid:  # each value of a grid runs as it is written
            for drawn in earlier:
                drawn.update(mutation_key(mutation.values) for mutation in mutations)
        return mutations


def _short(workload: str) -> str:
    repository, _, model = workload.rpartition("/")
    return repository if model == "default" else model
