"""The energy and time of a full training, projected from the stable epochs of a shorter one.

The first epochs of a training hold its start and warm-up, so that only later ones are multiplied (stable training epoch
projection: del Rey et al. 2023, arXiv 2307.05520).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from msgspec import Struct

from ..records.record import Record
from .future_sum import future_sum_u95
from .grouping import Mean, mean_of, t_quantile
from .work_units import epoch_energies

__all__ = ["Projection", "StableEpochs", "project", "project_cell", "stable_epochs"]

_LEAST_STABLE = 2
_MAD_TO_SD = 1.4826
"""The standard deviation over the median absolute deviation of normal values (Rousseeuw and Croux 1993)."""
_UNSTABLE_SDS = 5.0
_UNSTABLE_RATIO = 0.1
"""An early epoch that differs from the later ones by less is stable, however alike those are."""


class StableEpochs(Struct, frozen=True, kw_only=True):
    """The epochs of one training that stand for those that it did not run."""

    trained: int
    """Epochs that the training ran, stable or not."""
    joules: tuple[float, ...]
    seconds: tuple[float, ...]


class Projection(Struct, frozen=True, kw_only=True):
    """The projected energy and time of a training of ``epochs`` epochs. It is not a measurement."""

    epochs: float
    trained: int
    stable: int
    energy: Mean
    time: Mean

    @property
    def missing_ratio(self) -> float:
        """Epochs that were not trained, as a share of all; negative where more were trained."""
        return 1 - self.trained / self.epochs


def stable_epochs(record: Record) -> StableEpochs | None:
    """Return the stable epochs of a record; ``None`` where fewer than two have a known energy and are stable.

    The first epoch never counts. Further ones at the beginning are left out while they differ from the median of those
    after them by more than five robust standard deviations, and by more than ten percent: a narrower rule would choose
    among the noise of a few epochs, and make it look smaller than it is.
    """
    epochs = epoch_energies(record)
    known = [(epoch.joules, epoch.seconds) for epoch in epochs if epoch.joules is not None]
    if len(known) < len(epochs):
        return None
    kept = known[1:]
    while len(kept) > _LEAST_STABLE and _stands_out(kept[0][0], [joules for joules, _ in kept[1:]]):
        kept = kept[1:]
    if len(kept) < _LEAST_STABLE:
        return None
    return StableEpochs(
        trained=len(epochs),
        joules=tuple(joules for joules, _ in kept),
        seconds=tuple(seconds for _, seconds in kept),
    )


def _stands_out(value: float, later: Sequence[float]) -> bool:
    middle = statistics.median(later)
    spread = _MAD_TO_SD * statistics.median(abs(each - middle) for each in later)
    return abs(value - middle) > max(_UNSTABLE_SDS * spread, _UNSTABLE_RATIO * middle)


def project(record: Record, epochs: float) -> Projection | None:
    """Return what a training like the record's would use with another number of epochs; ``None`` where it is unknown.

    The measured total is kept, and the missing (or superfluous) epochs are added at the mean of the stable ones. The
    interval holds the spread of epochs, of which neighbours may be alike (as a prediction for the missing ones and as
    the error of the mean), a significant trend among the stable ones that may go on, and the meter's half-width in
    proportion.
    """
    stable = stable_epochs(record)
    energy = record.energy
    if stable is None or energy.total_j is None or not energy.window_s or epochs == stable.trained:
        return None
    missing = epochs - stable.trained
    total_j, spread_j = _extended(energy.total_j, stable.joules, missing)
    total_s, spread_s = _extended(energy.window_s, stable.seconds, missing)
    ratio = (energy.total_u95_j or 0.0) / energy.total_j if energy.total_j > 0 else 0.0
    return Projection(
        epochs=epochs,
        trained=stable.trained,
        stable=len(stable.joules),
        energy=Mean(value=total_j, u95=math.hypot(spread_j, ratio * total_j), n=1),
        time=Mean(value=total_s, u95=spread_s, n=1),
    )


def project_cell(records: Sequence[Record]) -> Projection | None:
    """Return the mean projection of the repetitions of a cell to its workload's full number of epochs.

    ``None`` where the full number is unknown or was trained, or a record cannot be projected.
    """
    found = []
    for record in records:
        full = record.workload.full_epochs if record.workload else None
        projection = project(record, full) if full else None
        if projection is None or projection.missing_ratio <= 0:
            return None
        found.append(projection)
    if not found:
        return None
    return Projection(
        epochs=found[0].epochs,
        trained=found[0].trained,
        stable=min(projection.stable for projection in found),
        energy=mean_of([(each.energy.value, each.energy.u95) for each in found]),
        time=mean_of([(each.time.value, each.time.u95) for each in found]),
    )


def _extended(total: float, stable: Sequence[float], missing: float) -> tuple[float, float]:
    """Return a total with so many more epochs, and the half-width that comes of the epochs' spread and trend."""
    m = abs(missing)
    spread = future_sum_u95(stable, m)
    return max(0.0, total + missing * statistics.fmean(stable)), math.hypot(spread, _trend(stable, m))


def _trend(stable: Sequence[float], m: float) -> float:
    """Return by how much a trend among the stable epochs would change the sum of m more, if it went on.

    0 where its slope does not differ from 0 at the 5 % level (NIST/SEMATECH e-Handbook, 4.1.4.1), as that of noise.
    """
    count = len(stable)
    if count <= _LEAST_STABLE:
        return 0.0
    places = range(count)
    slope, intercept = statistics.linear_regression(places, stable)
    residual = math.fsum((value - intercept - slope * place) ** 2 for place, value in zip(places, stable, strict=True))
    spread = math.sqrt(residual / (count - 2) / ((count**3 - count) / 12))
    return abs(slope) * m * (m + count) / 2 if abs(slope) > t_quantile(count - 2) * spread else 0.0
