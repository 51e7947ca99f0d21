"""The search space of an entry: names of hyperparameters, or names with their own ranges."""

from __future__ import annotations

from collections.abc import Mapping

from ..documents.node import Node, shown
from ..errors import ParallelEnergyError, did_you_mean
from ..mutation.distributions import DISTRIBUTIONS, Distribution, Value, choice, int_uniform, log_uniform, uniform
from ..training.workload import Workload

__all__ = ["read_space"]

_ALL = "all"
_RANGE_KEYS = ("min", "max", "distribution", "zero_probability", "values")


def read_space(
    workload: Workload,
    nodes: tuple[Node | None, Node | None],
    *,
    fixed: Mapping[str, Value],
    profile: str | None,
    place: Node,
) -> dict[str, Distribution]:
    """Return the distributions of the hyperparameters that an entry mutates.

    Args:
        workload: the workload, whose registered ranges count where the file gives none.
        nodes: ``mutate`` and ``mutate_params``; without both, all hyperparameters with a range are mutated.
        fixed: values that the entry fixes: they are not mutated.
        profile: the profile whose ranges count.
        place: the entry, for messages.
    """
    space: dict[str, Distribution] = {}
    for node in nodes:
        if node is not None:
            # Ranges in `mutate_params` take precedence over names in `mutate`.
            space |= _read(workload, node, fixed, profile)
    if nodes == (None, None):
        space = _all(workload, place, fixed, profile)
    return space


def _all(workload: Workload, node: Node, fixed: Mapping[str, Value], profile: str | None) -> dict[str, Distribution]:
    registered = workload.space(profile=profile)
    space = {name: distribution for name, distribution in registered.items() if name not in fixed}
    if not space:
        node.fail(f"mutates all hyperparameters of {workload.name}, and none has a range that is left", "name one")
    return space


def _read(workload: Workload, node: Node, fixed: Mapping[str, Value], profile: str | None) -> dict[str, Distribution]:
    given = node.entries() if isinstance(node.value, dict) else {}
    named = given or {name.text(): name for name in node.one_or_more()}
    if not named:
        node.fail("names nothing to mutate", f'name hyperparameters, or write "{_ALL}"')
    if _ALL in named:
        if len(named) > 1:
            node.fail(f'says "{_ALL}" and names others', "keep one of the two")
        return _all(workload, node, fixed, profile)
    space: dict[str, Distribution] = {}
    for name, place in named.items():
        if name in fixed:
            place.fail(f"{name} is fixed in this entry and mutated too", "take one of the two out")
        explicit = _distribution(place) if given and place.value is not None else None
        try:
            if explicit is None:
                space |= workload.space([name], profile=profile)
            else:
                space |= workload.space(given={name: explicit}, profile=profile)
        except ParallelEnergyError as error:
            place.fail(str(error))
    return space


def _distribution(node: Node) -> object:
    """Return a distribution or list as written; ``None`` for ``{}``, which stands for the registered range."""
    if isinstance(node.value, list):
        return [item.scalar() for item in node.array()]
    fields = node.object(_RANGE_KEYS)
    if not fields:
        return None
    name = fields["distribution"].text() if "distribution" in fields else "uniform"
    if name not in DISTRIBUTIONS:
        fields["distribution"].fail(f"there is no distribution {shown(name)}", did_you_mean(name, DISTRIBUTIONS))
    return _choice(node, fields) if "values" in fields or name == "choice" else _ranged(node, fields, name)


def _ranged(node: Node, fields: Mapping[str, Node], name: str) -> object:
    for key in ("min", "max"):
        if key not in fields:
            node.fail(f"lacks {shown(key)}", 'a range is {"min": …, "max": …, "distribution": …}')
    if "zero_probability" in fields and name != "log_uniform":
        fields["zero_probability"].fail("belongs to the distribution log_uniform alone")
    lo, hi = fields["min"].number(), fields["max"].number()
    zero = fields["zero_probability"].number(0, 1) if "zero_probability" in fields else 0.0
    whole = (fields["min"].whole(), fields["max"].whole()) if name == "int_uniform" else (0, 0)
    try:
        if name == "log_uniform":
            return log_uniform(lo, hi, zero)
        return int_uniform(*whole) if name == "int_uniform" else uniform(lo, hi)
    except ParallelEnergyError as error:
        node.fail(str(error))


def _choice(node: Node, fields: Mapping[str, Node]) -> object:
    if "values" not in fields:
        node.fail('a choice needs "values"', "list what may be chosen")
    for key in ("min", "max", "zero_probability"):
        if key in fields:
            fields[key].fail('does not go with "values"', "keep one of the two")
    values = [item.scalar() for item in fields["values"].array()]
    try:
        return choice(values) if "distribution" in fields else values
    except ParallelEnergyError as error:
        fields["values"].fail(str(error))
