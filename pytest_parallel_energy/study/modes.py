"""The modes of experiment files, in the words of all versions, and what they mean for mutation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..documents.node import Node, shown
from ..errors import did_you_mean

__all__ = ["check_loads", "mutates_of"]

Fields = Mapping[str, Node]
_NEUTRAL = frozenset({"parallel", "nonparallel", "batch", "mixed"})
"""Modes that leave open whether hyperparameters are mutated."""
_DECISIVE = frozenset({"mutation", "default"})


def _mode_of(fields: Fields) -> str | None:
    return fields["mode"].one_of([*_NEUTRAL, *_DECISIVE]) if "mode" in fields else None


def check_loads(node: Node, outer: Fields, *, has_loads: bool) -> None:
    """Refuse a parallel entry without background loads, and a nonparallel one with them."""
    mode = _mode_of(outer)
    if mode == "parallel" and not has_loads:
        node.fail('its mode is "parallel" and it has no "background"', "name the training that runs alongside it")
    if mode == "nonparallel" and has_loads:
        node.fail('its mode is "nonparallel" and it has a "background"', "take one of them out")


def mutates_of(node: Node, fields: Fields, levels: Sequence[Fields], *, has_loads: bool) -> bool:
    """Return whether hyperparameters are mutated: the nearest decisive mode says so, else the other keys."""
    outer, inner, *around = levels
    spaces = [fields[name] for name in ("mutate", "mutate_params") if name in fields]
    mode = _mode_of(inner)
    if mode not in _DECISIVE:
        mode = _older_mode(outer, has_loads=has_loads)
    if mode == "default" and any(space.value for space in spaces):
        spaces[0].fail('names what to mutate, and the mode is "default"', 'write the mode "mutation", or take it out')
    if mode is not None:
        return mode == "mutation"
    if spaces or "hyperparameters" in fields:
        return bool(spaces)
    outside = next((mode for level in around if (mode := _mode_of(level))), None)
    if outside in _NEUTRAL:
        node.fail(
            'says neither "mode" nor "mutate" nor "hyperparameters", so it could mean two things',
            'write "mode": "mutation" or "mode": "default"',
        )
    return outside != "default"


def _older_mode(outer: Fields, *, has_loads: bool) -> str | None:
    """Return the mode of the entry where it is decisive; keys of older files count where nothing else says it."""
    mode = _mode_of(outer)
    if mode in _DECISIVE:
        return mode
    for name in ("mutation_type", "experiment_type"):
        written = outer[name].text() if name in outer else None
        if written in _DECISIVE:
            return written
        # With a background the entry is parallel, whatever name an older tool gave that.
        if written is not None and not has_loads and written not in _NEUTRAL:
            outer[name].fail(f"{shown(written)} is not known here", did_you_mean(written, [*_DECISIVE, *_NEUTRAL]))
    return None
