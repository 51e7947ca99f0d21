"""DenseNet-121's trunk: Huang et al., "Densely connected convolutional networks", arXiv 1608.06993.

Growth 32, blocks of 6, 12, 24, 16 layers with bottlenecks, compression one half (DenseNet-BC, table 1); 6.95 M
parameters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["DenseNetTrunk"]

_GROWTH = 32
_BLOCKS = (6, 12, 24, 16)


class _DenseLayer(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.new = nn.Sequential(
            nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, 4 * _GROWTH, 1, bias=False),
            nn.BatchNorm2d(4 * _GROWTH), nn.ReLU(), nn.Conv2d(4 * _GROWTH, _GROWTH, 3, padding=1, bias=False),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.new(x)], dim=1)


class DenseNetTrunk(nn.Module):
    """Images (N, 3, H, W) to maps (N, 1024, H / 32, W / 32)."""

    channels = 1024

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        ]  # fmt: skip
        channels = 64
        for number, count in enumerate(_BLOCKS):
            layers += [_DenseLayer(channels + place * _GROWTH) for place in range(count)]
            channels += count * _GROWTH
            layers += [nn.BatchNorm2d(channels), nn.ReLU()]
            if number < len(_BLOCKS) - 1:
                layers += [nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]
                channels //= 2
        self.layers = nn.Sequential(*layers)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.layers(images)
        return maps
