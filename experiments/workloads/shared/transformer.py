"""A transformer encoder layer: Vaswani et al., "Attention is all you need", arXiv 1706.03762, section 3.

The two-layer network uses GELU (Hendrycks and Gimpel, arXiv 1606.08415), as BERT and RoBERTa do, where Vaswani et al.
used ReLU.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["EncoderLayer"]


class EncoderLayer(nn.Module):
    """Self-attention and a two-layer network, each with residual, dropout and layer normalisation *after* the sum.

    Args:
        width: length of each token's vector; a multiple of ``heads``.
        heads: attention heads.
        inner_width: hidden length of the two-layer network.
        dropout: of the attention weights and of both branches, 0 to 1.
    """

    def __init__(self, width: int, heads: int, inner_width: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attended = nn.Linear(width, width)
        self.norm1 = nn.LayerNorm(width)
        self.inner = nn.Sequential(nn.Linear(width, inner_width), nn.GELU(), nn.Linear(inner_width, width))
        self.norm2 = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, visible: Tensor) -> Tensor:
        """Return new token vectors of the same shape, (N, L, width).

        Args:
            x: the tokens' vectors.
            visible: (N, L), true where a token may be looked at, false for padding.
        """
        x = self.norm1(x + self.dropout(self._attend(x, visible)))
        result: Tensor = self.norm2(x + self.dropout(self.inner(x)))
        return result

    def _attend(self, x: Tensor, visible: Tensor) -> Tensor:
        count, length, width = x.shape
        parts = self.query_key_value(x).view(count, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        chance = self.dropout.p if self.training else 0.0
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=visible[:, None, None, :], dropout_p=chance)
        result: Tensor = self.attended(out.transpose(1, 2).reshape(count, length, width))
        return result
