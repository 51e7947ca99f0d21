"""ResNet-18 and ResNet-50 trunks: He et al. 2015 (arXiv 1512.03385), table 1.

With 1000 classes they have 11.7 M and 25.6 M parameters.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["BasicBlock", "Bottleneck", "ResNetTrunk", "resnet18_trunk", "resnet50_trunk"]


class BasicBlock(nn.Module):
    """Two 3 × 3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(channels_in, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip
        self.shortcut = _shortcut(channels_in, width, stride)
        _start_as_identity(self.branch)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x) + self.shortcut(x))


class Bottleneck(nn.Module):
    """1 × 1, 3 × 3 and 1 × 1 convolutions and a shortcut; four times ``width`` channels come out."""

    expansion = 4

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(channels_in, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width),
        )  # fmt: skip
        self.shortcut = _shortcut(channels_in, 4 * width, stride)
        _start_as_identity(self.branch)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x) + self.shortcut(x))


class ResNetTrunk(nn.Module):
    """Everything before the classifier: images (N, channels_in, H, W) to maps (N, channels, H / 32, W / 32).

    Args:
        block: the kind of block.
        blocks: how many in each of the four stages.
        width: channels of the first stage.
        channels_in: channels of the images.
        last_stride: stride of the fourth stage; 1 keeps its maps larger, as PCB asks (arXiv 1711.09349).
    """

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        blocks: tuple[int, int, int, int],
        *,
        width: int = 64,
        channels_in: int = 3,
        last_stride: int = 2,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels_in, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        channels, stages = width, []
        for number, (count, stride) in enumerate(zip(blocks, (1, 2, 2, last_stride), strict=True)):
            for place in range(count):
                stages.append(block(channels, width << number, stride if place == 0 else 1))
                channels = (width << number) * block.expansion
        self.stages = nn.Sequential(*stages)
        self.channels = channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.stages(self.stem(images))
        return maps


def resnet18_trunk(*, width: int = 64, channels_in: int = 3) -> ResNetTrunk:
    """Return ResNet-18 without its classifier."""
    return ResNetTrunk(BasicBlock, (2, 2, 2, 2), width=width, channels_in=channels_in)


def resnet50_trunk(*, width: int = 64, last_stride: int = 2) -> ResNetTrunk:
    """Return ResNet-50 without its classifier."""
    return ResNetTrunk(Bottleneck, (3, 4, 6, 3), width=width, last_stride=last_stride)


def _shortcut(channels_in: int, channels: int, stride: int) -> nn.Module:
    if stride == 1 and channels_in == channels:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))


def _start_as_identity(branch: nn.Sequential) -> None:
    """Set the last normalisation of a branch to 0, with which deep networks learn from the first step on.

    Goyal et al., "Accurate, large minibatch SGD", arXiv 1706.02677, section 5.1.
    """
    nn.init.zeros_(branch[-1].weight)
