"""A RoBERTa encoder (Liu et al., arXiv 1907.11692) and its classification head, as VulBERTa uses them for C functions.

VulBERTa (Hanif and Maffeis, arXiv 2205.12424) has 12 layers of width 768, a vocabulary of 50 000, 1024 tokens, and
124.8 M parameters with the MLP head. The activation is GELU.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformer import EncoderLayer

__all__ = ["PAD", "RobertaClassifier", "RobertaShape"]

PAD = 1
"""The padding token's number in RoBERTa's vocabularies; positions count from the one after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RobertaShape:
    """The sizes of an encoder; the defaults are VulBERTa's."""

    vocabulary: int = 50_000
    layers: int = 12
    width: int = 768
    heads: int = 12
    length: int = 1024
    dropout: float = 0.1


class RobertaClassifier(nn.Module):
    """Tokens (N, L) to logits (N, 2), read off the first token by a hidden layer with tanh (the MLP head)."""

    def __init__(self, shape: RobertaShape) -> None:
        super().__init__()
        self.words = nn.Embedding(shape.vocabulary, shape.width, padding_idx=PAD)
        self.positions = nn.Embedding(shape.length + PAD + 1, shape.width, padding_idx=PAD)
        self.kind = nn.Parameter(torch.zeros(1, shape.width))  # RoBERTa keeps BERT's segment vector, with one segment
        self.norm = nn.LayerNorm(shape.width)
        self.dropout = nn.Dropout(shape.dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(shape.width, shape.heads, 4 * shape.width, shape.dropout) for _ in range(shape.layers)
        )
        self.hidden = nn.Linear(shape.width, shape.width)
        self.out = nn.Linear(shape.width, 2)
        self.apply(_initialise)

    def forward(self, tokens: Tensor) -> Tensor:
        visible = tokens != PAD
        # padding stands at the end alone, so counting needs no cumulative sum (which CUDA cannot repeat exactly)
        positions = torch.arange(1, tokens.shape[1] + 1, device=tokens.device) * visible + PAD
        x = self.dropout(self.norm(self.words(tokens) + self.positions(positions) + self.kind))
        for layer in self.layers:
            x = layer(x, visible)
        hidden = torch.tanh(self.hidden(self.dropout(x[:, 0])))
        logits: Tensor = self.out(self.dropout(hidden))
        return logits


def _initialise(module: nn.Module) -> None:
    # normal with deviation 0.02: BERT (arXiv 1810.04805) and RoBERTa
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
