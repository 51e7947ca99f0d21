"""The cells of a sweep, drawn from a search space: unique, and equal in every process."""

from __future__ import annotations

import hashlib
import itertools
import math
import random
import warnings
from collections.abc import Callable, Collection, Container, Iterator, Mapping
from typing import Literal

from msgspec import Struct

from ..errors import ConfigError, ParallelEnergyWarning
from .distributions import Distribution, Grid
from .labels import values_label
from .values import Value, value_key

__all__ = ["Draw", "Mutation", "Samples", "draw_mutations", "mutation_key"]

_MOST_CELLS = 1_000_000
_TRIES_PER_SAMPLE = 200
_TRIES_AT_LEAST = 2_000

MutationKey = frozenset[tuple[str, tuple[bool, Value]]]
"""The key by which two mutations are compared."""


def mutation_key(values: Mapping[str, Value]) -> MutationKey:
    """Return the identity of a set of values: the same names with equal values, in any order.

    >>> mutation_key({"a": 10, "b": 1e-5}) == mutation_key({"b": 0.00001, "a": 10.0})
    True
    """
    return frozenset((name, value_key(value)) for name, value in values.items())


class Mutation(Struct, frozen=True, kw_only=True):
    """One cell of a sweep.

    Args:
        values: values of the mutated hyperparameters; empty for the default cell of a sweep that varies nothing.
        is_default: the values are the registered ones: the un-mutated cell.
        mutated: names of the hyperparameters that this cell varies (empty for the default cell).
    """

    values: Mapping[str, Value]
    is_default: bool = False
    mutated: tuple[str, ...] = ()

    def label(self) -> str:
        """Return the name for ids, such as ``learning_rate=0.0123``; ``default`` for the un-mutated cell."""
        return "default" if self.is_default else values_label({name: self.values[name] for name in self.mutated})


class Draw(Struct, frozen=True, kw_only=True):
    """The rules of a draw.

    Args:
        samples: number of mutations, 1 or more (grids multiply it; with ``one-at-a-time`` it counts per parameter).
        seed: any integer; the same seed gives the same mutations everywhere.
        vary: ``all`` parameters together, or ``one-at-a-time`` with the others at their defaults.
        include_default: the un-mutated cell comes first.
        per_mutation: least and most parameters that one mutation varies; ``None`` is all of them.
        known: mutations that older results hold already (by ``mutation_key``): they are not drawn again.
    """

    samples: int = 1
    seed: int = 0
    vary: Literal["all", "one-at-a-time"] = "all"
    include_default: bool = False
    per_mutation: tuple[int, int] | None = None
    known: Container[MutationKey] = ()

    def __post_init__(self) -> None:
        if not _is_whole(self.samples) or not 1 <= self.samples <= _MOST_CELLS:
            raise ConfigError(f"samples must be a whole number from 1 to {_MOST_CELLS}, not {self.samples!r}")
        if not _is_whole(self.seed):
            raise ConfigError(f"seed must be a whole number, not {self.seed!r}")
        if self.vary not in ("all", "one-at-a-time"):
            raise ConfigError(f"vary must be 'all' or 'one-at-a-time', not {self.vary!r}")
        if type(self.include_default) is not bool:
            raise ConfigError(f"default must be True or False, not {self.include_default!r}")
        if self.per_mutation is not None and not 1 <= self.per_mutation[0] <= self.per_mutation[1]:
            raise ConfigError(f"a mutation varies 1 or more parameters, least before most, not {self.per_mutation!r}")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


Samples = Callable[[], dict[str, Value]]
"""The endless samples of a space: each call returns the next one."""


def draw_mutations(
    space: Mapping[str, Distribution],
    draw: Draw,
    *,
    defaults: Mapping[str, Value] | None = None,
    continued: dict[tuple[str, ...], Samples] | None = None,
) -> tuple[Mutation, ...]:
    """Return the cells of a sweep, in the order in which they were drawn.

    Values that are drawn are unique within the sweep and never equal to the defaults. A grid runs each of its
    values as written, the default among them if it is listed. Parameters draw from streams of their own: adding one
    to the space, or asking for more samples, leaves the values of the others as they were.

    Args:
        space: the distribution of each parameter, at least one.
        draw: the rules of the draw.
        defaults: the un-mutated values; names that are not in ``space`` are ignored.
        continued: the samples that earlier draws of the same space, seed and rules read, by the names that they vary;
            those of this draw are added. The draw goes on where they stopped: the result is the same where ``known``
            contains all that the earlier draws returned, and its cost does not grow with their number.

    Warns:
        ParallelEnergyWarning: the space holds fewer mutations than requested; all of them are returned.

    Raises:
        ConfigError: the space is empty, has no mutation at all, or needs more than a million cells.
    """
    if not space:
        raise ConfigError("there is nothing to mutate: the search space is empty; name at least one hyperparameter")
    base = {name: value for name, value in (defaults or {}).items() if name in space}
    samples = _UniqueSamples(draw, base, {} if continued is None else continued)
    if draw.vary == "one-at-a-time":
        cells = [cell for name, distribution in space.items() for cell in _vary({name: distribution}, samples)]
    else:
        cells = _vary(space, samples)
    plain = Mutation(values={name: base.get(name) for name in space if name in base}, is_default=True)
    if draw.include_default:
        cells = [plain, *(cell for cell in cells if not cell.is_default)]
    if not cells:
        raise ConfigError(
            f"there is nothing to run: the only values of {', '.join(space)} are the defaults; widen the range"
        )
    return tuple(cells)


def _vary(space: Mapping[str, Distribution], samples: _UniqueSamples) -> list[Mutation]:
    grids = {name: distribution for name, distribution in space.items() if isinstance(distribution, Grid)}
    drawn = {name: distribution for name, distribution in space.items() if name not in grids}
    points, base = list(_grid_points(grids)), samples.base
    if len(points) * (samples.draw.samples if drawn else 1) > _MOST_CELLS:
        raise ConfigError(f"the sweep over {', '.join(space)} has more than {_MOST_CELLS} cells; take fewer values")
    default = mutation_key(base)
    cells = []
    for point, sample in itertools.product(points, samples.of(drawn, listed=grids) if drawn else [{}]):
        full = {**base, **point, **sample}
        ordered = {name: full[name] for name in (*space, *full) if name in full}
        is_default = len(base) > 0 and mutation_key(full) == default
        mutated = () if is_default else tuple(name for name in space if name in point or name in sample)
        cells.append(Mutation(values=ordered, is_default=is_default, mutated=mutated))
    return cells


def _grid_points(grids: Mapping[str, Distribution]) -> Iterator[dict[str, Value]]:
    size = 1
    for grid in grids.values():
        size *= len(grid.values or ())
        if size > _MOST_CELLS:
            raise ConfigError(f"the grid over {', '.join(grids)} has more than {_MOST_CELLS} points; take fewer values")
    for combination in itertools.product(*(grid.values or () for grid in grids.values())):
        yield dict(zip(grids, combination, strict=True))


def _stream(seed: int, name: str) -> random.Random:
    # A hash, so that the streams of two parameters do not run in step; an int seed means the same on every version.
    digest = hashlib.sha256(f"{seed}\0{name}".encode("utf-8", "surrogatepass")).digest()
    return random.Random(int.from_bytes(digest[:16], "big"))  # noqa: S311 - experiments repeat, nothing is secret


class _UniqueSamples(Struct, frozen=True):
    """The samples of one draw: none equals the defaults, a known mutation, or another sample."""

    draw: Draw
    base: Mapping[str, Value]
    continued: dict[tuple[str, ...], Samples]

    def of(self, space: Mapping[str, Distribution], *, listed: Container[str]) -> list[dict[str, Value]]:
        """Return the samples of ``space``; the values of the parameters in ``listed`` do not tell samples apart."""
        draw = self.draw
        rest = {name: value for name, value in self.base.items() if name not in listed}
        seen = {mutation_key(rest)} if rest else set()
        following = self.continued.setdefault(tuple(space), _samples(space, draw))
        found: list[dict[str, Value]] = []
        for _ in range(_TRIES_AT_LEAST + _TRIES_PER_SAMPLE * draw.samples):
            if len(found) == draw.samples:
                return found
            sample = following()
            key = mutation_key({**rest, **sample})
            if key not in seen and key not in draw.known:
                seen.add(key)
                found.append(sample)
        for sample in _all_samples(space, draw):
            if len(found) == draw.samples:
                return found
            key = mutation_key({**rest, **sample})
            if key not in seen and key not in draw.known:
                found.append(sample)
        warnings.warn(
            f"{draw.samples} mutations of {', '.join(space)} were requested; the space holds {len(found)} that are"
            " neither the default nor known already, and all of them are run",
            ParallelEnergyWarning,
            stacklevel=4,
        )
        return found


def _samples(space: Mapping[str, Distribution], draw: Draw) -> Samples:
    streams = {name: _stream(draw.seed, name) for name in space}
    subset = _subset_drawer(space, draw)

    def following() -> dict[str, Value]:
        # Each stream moves on in each round, chosen or not: a subset does not shift what comes later.
        values = {name: distribution.draw(streams[name]) for name, distribution in space.items()}
        chosen = subset()
        return {name: value for name, value in values.items() if name in chosen}

    return following


def _subset_drawer(space: Mapping[str, Distribution], draw: Draw) -> Callable[[], Collection[str]]:
    names = list(space)
    if draw.per_mutation is None:
        return lambda: names
    least, most = (min(limit, len(names)) for limit in draw.per_mutation)
    rng = _stream(draw.seed, "\0subset")

    def chosen() -> Collection[str]:
        size = least + int(rng.random() * (most - least + 1))
        ranked = sorted((rng.random(), name) for name in names)
        return {name for _, name in ranked[:size]}

    return chosen


def _all_samples(space: Mapping[str, Distribution], draw: Draw) -> Iterator[dict[str, Value]]:
    """Yield every sample of a small space, whose last ones drawing finds too seldom; none of a large space."""
    if draw.per_mutation is None and all(distribution.values is not None for distribution in space.values()):
        size = math.prod(len(distribution.values or ()) for distribution in space.values())
        yield from _grid_points(space) if size <= _MOST_CELLS else ()
