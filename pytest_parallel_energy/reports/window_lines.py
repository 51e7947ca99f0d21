"""The windows inside tests, and those of modules and sessions, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..records.energy_values import WindowResult
from ..statistics.grouping import Cell
from ..statistics.window_shares import WindowShare, mean_shares
from ..units import format_joules, format_seconds
from .layout import format_interval, format_number, format_share

__all__ = ["cell_windows", "scope_sentences"]

_MOST_NAMES = 8
_TRAINING = "train "
"""The plugin opens a window of this name around each training."""


def cell_windows(cell: Cell) -> str:
    """Return the windows of a mean attempt with their energy and share; empty where a training is the only one."""
    shares = mean_shares(cell.sample)
    if len(shares) == 1 and shares[0].name.startswith(_TRAINING):
        return ""
    more = [f"and {len(shares) - _MOST_NAMES} more names"] if len(shares) > _MOST_NAMES else []
    return "; ".join([*map(_words, shares[:_MOST_NAMES]), *more])


def _words(share: WindowShare) -> str:
    ratio = f"({format_share(share.share_ratio)})"
    if share.count == 1:
        return f"{share.name} {format_joules(share.total_j)} {ratio}"
    each_j = None if share.total_j is None else share.total_j / share.count
    return f"{share.name} × {format_number(share.count)} {format_joules(each_j)} each {ratio}"


def scope_sentences(scopes: Iterable[WindowResult]) -> Sequence[str]:
    """Return one sentence per module or session whose energy a fixture measured."""
    return [
        f"{scope.name}: "
        f"{format_interval(scope.total_j, scope.total_u95_j, 'J', (scope.total_low_j, scope.total_high_j))} "
        f"in {format_seconds(scope.window_s)} "
        f"({scope.quality}), cool-downs and waiting between its tests included"
        for scope in scopes
    ]
