"""A transformer on syntax trees for code-clone detection, after MRT-OAST (multiple representation transformer).

Each tree is read twice, in pre-order and in post-order, by one encoder of 2 layers, width 128, 8 heads, inner width
512.
The means over the tokens become a vector of 512; two functions are compared by difference and product of their vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformer import EncoderLayer

__all__ = ["PAD", "TreePairClassifier", "TreeShape"]

PAD = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeShape:
    """The sizes; the defaults are the published ones, except the vocabulary, which is that of the data."""

    vocabulary: int
    layers: int = 2
    width: int = 128
    heads: int = 8
    inner_width: int = 512
    vector: int = 512
    length: int = 256
    dropout: float = 0.2


class TreePairClassifier(nn.Module):
    """Pairs of trees (N, 2, 2, L) to logits (N, 2); the third axis is pre-order and post-order."""

    def __init__(self, shape: TreeShape) -> None:
        super().__init__()
        self.words = nn.Embedding(shape.vocabulary, shape.width, padding_idx=PAD)
        self.places = nn.Parameter(torch.randn(shape.length, shape.width) * 0.02)
        self.dropout = nn.Dropout(shape.dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(shape.width, shape.heads, shape.inner_width, shape.dropout) for _ in range(shape.layers)
        )
        self.vector = nn.Linear(2 * shape.width, shape.vector)
        self.compare = nn.Sequential(nn.Linear(2 * shape.vector, shape.vector), nn.ReLU(), nn.Linear(shape.vector, 2))

    def forward(self, pairs: Tensor) -> Tensor:
        first, second = self._vectors(pairs[:, 0]), self._vectors(pairs[:, 1])
        logits: Tensor = self.compare(torch.cat([(first - second).abs(), first * second], dim=1))
        return logits

    def _vectors(self, trees: Tensor) -> Tensor:
        count, orders, length = trees.shape
        tokens = trees.reshape(count * orders, length)
        visible = tokens != PAD
        x = self.dropout(self.words(tokens) + self.places[:length])
        for layer in self.layers:
            x = layer(x, visible)
        weights = visible[..., None].to(x)
        means = (x * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)
        vectors: Tensor = torch.tanh(self.vector(means.reshape(count, -1)))
        return vectors
