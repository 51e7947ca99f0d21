"""ResNet for CIFAR-10: He, Zhang, Ren, Sun, "Deep residual learning", arXiv 1512.03385, section 4.2.

Three stages of n blocks with 16, 32 and 64 channels; shortcuts of option A: sub-sample, and pad the new channels
with zeros, so that they have no parameters. Depth = 6 n + 2: 20, 32, 44, 56 layers have 0.27, 0.46, 0.66, 0.85 M
parameters (the paper's table 6).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["DEPTHS", "CifarResNet", "cifar_resnet"]

DEPTHS = {"resnet20": 20, "resnet32": 32, "resnet44": 44, "resnet56": 56}


class _Block(nn.Module):
    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride = stride
        self.new_channels = channels - channels_in

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + self._shortcut(x))

    def _shortcut(self, x: Tensor) -> Tensor:
        if self.new_channels == 0:
            return x
        before = self.new_channels // 2
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, self.new_channels - before))


class CifarResNet(nn.Module):
    """The network: images (N, 3, 32, 32) to logits (N, classes).

    Args:
        depth: 6 n + 2 layers.
        classes: number of logits.
    """

    def __init__(self, depth: int = 20, classes: int = 10) -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.stages = nn.Sequential(_stage(16, 16, blocks), _stage(16, 32, blocks), _stage(32, 64, blocks))
        self.head = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # He initialisation (arXiv 1502.01852), which the paper names for these networks
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.stages(self.stem(images))
        logits: Tensor = self.head(features.mean(dim=(2, 3)))
        return logits


def cifar_resnet(name: str) -> CifarResNet:
    """Return the network of that name, ``resnet20`` … ``resnet56``.

    Raises:
        KeyError: not one of :data:`DEPTHS`.
    """
    return CifarResNet(DEPTHS[name])


def _stage(channels_in: int, channels: int, blocks: int) -> nn.Sequential:
    first = _Block(channels_in, channels, 1 if channels_in == channels else 2)
    return nn.Sequential(first, *(_Block(channels, channels, 1) for _ in range(blocks - 1)))
