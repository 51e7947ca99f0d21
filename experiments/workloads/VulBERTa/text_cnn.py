"""The CNN of VulBERTa (arXiv 2205.12424): Kim's TextCNN (arXiv 1408.5882) on the token embedding."""

from __future__ import annotations

import torch
from roberta import PAD
from torch import Tensor, nn

__all__ = ["TextCnn"]


class TextCnn(nn.Module):
    """Tokens (N, L) to logits (N, 2): 200 filters each of 3, 4 and 5 tokens, then two hidden layers.

    Args:
        vocabulary: number of tokens.
        width: length of a token's vector.
        dropout: before each hidden layer, 0 to 1.
    """

    def __init__(self, vocabulary: int = 50_000, width: int = 768, dropout: float = 0.5) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width, padding_idx=PAD)
        self.filters = nn.ModuleList(nn.Conv1d(width, 200, tokens) for tokens in (3, 4, 5))
        self.head = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(600, 256), nn.ReLU(),
            nn.Dropout(dropout), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 2),
        )  # fmt: skip

    def forward(self, tokens: Tensor) -> Tensor:
        vectors = self.words(tokens).transpose(1, 2)
        strongest = [torch.relu(conv(vectors)).amax(dim=2) for conv in self.filters]
        logits: Tensor = self.head(torch.cat(strongest, dim=1))
        return logits
