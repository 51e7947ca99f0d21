"""HRNet-W18's trunk: Wang et al., "Deep high-resolution representation learning", arXiv 1908.07919.

Up to four branches of 18, 36, 72 and 144 channels, at 1/4, 1/8, 1/16 and 1/32 of the image's size, run in parallel and
exchange their maps after each module; the classification head (appendix of the paper) merges them into 2048 channels.
21.3 M parameters with 1000 classes.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from resnet_imagenet import BasicBlock, Bottleneck
from torch import Tensor, nn

__all__ = ["HrNetTrunk"]

_WIDTHS = (18, 36, 72, 144)
_HEAD_WIDTHS = (32, 64, 128, 256)
_BLOCKS = 4
_MODULES = {2: 1, 3: 4, 4: 3}
"""Number of branches to number of modules with so many branches."""


class HrNetTrunk(nn.Module):
    """Images (N, 3, H, W) to maps (N, 2048, H / 32, W / 32); H and W are multiples of 32."""

    channels = 2048

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            *_conv(3, 64, stride=2), nn.ReLU(), *_conv(64, 64, stride=2), nn.ReLU(),
            Bottleneck(64, 64, 1), *(Bottleneck(256, 64, 1) for _ in range(3)),
        )  # fmt: skip
        self.first = _Start(256, _WIDTHS[0])
        self.grow = nn.ModuleList(
            nn.Sequential(
                *_conv(256 if branches == 2 else _WIDTHS[branches - 2], _WIDTHS[branches - 1], stride=2), nn.ReLU()
            )
            for branches in _MODULES
        )
        self.stages = nn.ModuleList(
            nn.ModuleList(_Module(branches) for _ in range(modules)) for branches, modules in _MODULES.items()
        )
        self.head = _Head()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem(images)
        maps, source = [self.first(x)], x
        for grow, stage in zip(self.grow, self.stages, strict=True):
            # the new, coarser branch starts from the coarsest existing one
            maps = [*maps, grow(source)]
            for module in stage:
                maps = module(maps)
            source = maps[-1]
        result: Tensor = self.head(maps)
        return result


class _Start(nn.Sequential):
    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__(*_conv(channels_in, channels), nn.ReLU())


class _Module(nn.Module):
    """Four blocks in each branch, then every branch receives the sum of all, brought to its size."""

    def __init__(self, branches: int) -> None:
        super().__init__()
        widths = _WIDTHS[:branches]
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(width, width, 1) for _ in range(_BLOCKS))) for width in widths
        )
        self.exchange = nn.ModuleList(
            nn.ModuleList(_exchange(source, target) for source in range(branches)) for target in range(branches)
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        results = []
        for target, paths in zip(maps, self.exchange, strict=True):
            parts = [_enlarged(path(x), target) for path, x in zip(paths, maps, strict=True)]
            results.append(F.relu(torch.stack(parts).sum(dim=0)))
        return results


class _Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.widen = nn.ModuleList(
            Bottleneck(width, head, 1) for width, head in zip(_WIDTHS, _HEAD_WIDTHS, strict=True)
        )
        self.down = nn.ModuleList(
            nn.Sequential(*_conv(4 * width, 8 * width, stride=2, bias=True), nn.ReLU()) for width in _HEAD_WIDTHS[:3]
        )
        self.last = nn.Sequential(nn.Conv2d(1024, 2048, 1), nn.BatchNorm2d(2048), nn.ReLU())

    def forward(self, maps: list[Tensor]) -> Tensor:
        x = self.widen[0](maps[0])
        for down, widen, finer in zip(self.down, self.widen[1:], maps[1:], strict=True):
            x = down(x) + widen(finer)
        result: Tensor = self.last(x)
        return result


def _enlarged(x: Tensor, target: Tensor) -> Tensor:
    """Return maps of the target's size by copying pixels; unlike ``interpolate`` this is deterministic on CUDA."""
    height, width = target.shape[2:]
    factor = max(math.ceil(height / x.shape[2]), math.ceil(width / x.shape[3]))
    if factor == 1:
        return x
    copies = x[:, :, :, None, :, None].expand(-1, -1, -1, factor, -1, factor)
    return copies.flatten(4, 5).flatten(2, 3)[:, :, :height, :width]


def _exchange(source: int, target: int) -> nn.Module:
    """Return the layers from one branch's channels to another's; strides shrink the maps of a coarser branch."""
    if source == target:
        return nn.Identity()
    if source > target:
        return nn.Sequential(
            nn.Conv2d(_WIDTHS[source], _WIDTHS[target], 1, bias=False), nn.BatchNorm2d(_WIDTHS[target])
        )
    layers: list[nn.Module] = []
    for _ in range(target - source - 1):
        layers += [*_conv(_WIDTHS[source], _WIDTHS[source], stride=2), nn.ReLU()]
    return nn.Sequential(*layers, *_conv(_WIDTHS[source], _WIDTHS[target], stride=2))


def _conv(channels_in: int, channels: int, *, stride: int = 1, bias: bool = False) -> list[nn.Module]:
    return [nn.Conv2d(channels_in, channels, 3, stride, 1, bias=bias), nn.BatchNorm2d(channels)]
