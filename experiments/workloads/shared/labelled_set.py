"""Inputs with their classes, held in memory, and shuffled batches of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["LabelledSet", "shuffled_batches"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledSet:
    """Inputs and labels on the training's device.

    Args:
        inputs: (N, …): images, or token numbers.
        labels: (N,), integers.
    """

    inputs: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def shuffled_batches(data: LabelledSet, batch_size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield all inputs once, in a new order; the last batch may be smaller, but is never a single input.

    A single one would break batch normalisation, so it is left out of this epoch.
    """
    order = torch.randperm(len(data), generator=generator).to(data.labels.device)
    for rows in order.split(batch_size):
        if len(rows) > 1:
            yield data.inputs[rows], data.labels[rows]
