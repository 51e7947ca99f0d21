"""The direction in which a quantity is better: known for energy and time, from the registry for a metric."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from ..errors import ConfigError
from ..records.record import Record
from .quantities import QUANTITIES, Threshold, is_derived

__all__ = ["better_is_higher", "directed"]


def better_is_higher(metric: str, records: Iterable[Record]) -> bool | None:
    """Return whether more of a metric is better, by its workload's registry entry; ``None`` where that does not say.

    A name says nothing: ``answer_accuracy`` is no less an accuracy for the ``wer`` in it.
    """
    for record in records:
        if record.workload is not None and metric in record.workload.better:
            return record.workload.better[metric] == "higher"
    return None


def directed(threshold: Threshold, records: Iterable[Record]) -> Threshold:
    """Return the threshold with its direction, and check a metric's against the registry.

    Raises:
        ConfigError: the registry and the threshold disagree, or neither says what is worse.
    """
    if threshold.quantity in QUANTITIES or is_derived(threshold.quantity):
        return replace(threshold, falls=bool(threshold.falls))
    known = better_is_higher(threshold.quantity, records)
    if known is None and threshold.falls is None:
        raise ConfigError(
            f"it is unknown whether more or less of {threshold.quantity!r} is worse: say so with a threshold, such as "
            f"'{threshold.quantity}:-5%' where a fall is worse, or in the registry under performance_metrics.better"
        )
    if known is not None and threshold.falls is not None and known != threshold.falls:
        word = "higher" if known else "lower"
        right = replace(threshold, falls=known)
        raise ConfigError(f"{threshold}: the registry says that {threshold.quantity!r} is better {word}: use '{right}'")
    return replace(threshold, falls=threshold.falls if known is None else known)
