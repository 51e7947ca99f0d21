"""Networks for person re-identification: a trunk, a feature vector, a classifier of the training identities.

The strong baseline of Zheng, Yang, Hauptmann (arXiv 1610.02984) on DenseNet-121 or HRNet-W18 has one vector of 512.
PCB of Sun et al. (arXiv 1711.09349) on ResNet-50 cuts the image into six stripes, with a vector of 256 and a classifier
for each.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from densenet import DenseNetTrunk
from hrnet import HrNetTrunk
from resnet_imagenet import resnet50_trunk
from torch import Tensor, nn

__all__ = ["IMAGE_HEIGHTS", "ReidNetwork", "reid_loss", "reid_network"]

IMAGE_HEIGHTS = {"densenet121": 256, "hrnet18": 256, "pcb": 384}
"""The published image height of each network, in pixels; the width is half of it."""


class _Part(nn.Module):
    """A feature vector with batch normalisation, followed by dropout and the classifier."""

    def __init__(self, channels: int, length: int, identities: int, dropout: float) -> None:
        super().__init__()
        self.feature = nn.Sequential(nn.Linear(channels, length), nn.BatchNorm1d(length))
        self.classify = nn.Sequential(nn.Dropout(dropout), nn.Linear(length, identities))
        nn.init.kaiming_normal_(self.feature[0].weight, mode="fan_out")
        nn.init.zeros_(self.feature[0].bias)
        nn.init.normal_(self.classify[1].weight, std=0.001)
        nn.init.zeros_(self.classify[1].bias)


class ReidNetwork(nn.Module):
    """Images (N, 3, H, W) to logits (N, stripes, identities), and to feature vectors for retrieval.

    Args:
        trunk: gives maps of ``trunk.channels`` channels.
        stripes: into how many horizontal stripes the maps are averaged.
        length: of each stripe's vector.
        identities: how many people there are in training.
        dropout: before each classifier, 0 to 1.
    """

    def __init__(self, trunk: nn.Module, *, stripes: int, length: int, identities: int, dropout: float) -> None:
        super().__init__()
        self.trunk = trunk
        self.stripes = stripes
        self.parts = nn.ModuleList(_Part(trunk.channels, length, identities, dropout) for _ in range(stripes))

    def forward(self, images: Tensor) -> Tensor:
        return torch.stack(
            [part.classify(vector) for part, vector in zip(self.parts, self._vectors(images), strict=True)], dim=1
        )

    def features(self, images: Tensor) -> Tensor:
        """Return one vector of length 1 per image: the sum of the vectors of the image and of its mirror image."""
        both = [torch.cat(self._vectors(view), dim=1) for view in (images, images.flip(3))]
        return F.normalize(both[0] + both[1], dim=1)

    def _vectors(self, images: Tensor) -> list[Tensor]:
        maps = self.trunk(images)
        # a plain mean over cut stripes: adaptive pooling has no repeatable gradient on CUDA
        cut = maps.tensor_split(self.stripes, dim=2) if maps.shape[2] >= self.stripes else [maps] * self.stripes
        return [part.feature(stripe.mean(dim=(2, 3))) for part, stripe in zip(self.parts, cut, strict=True)]


def reid_loss(logits: Tensor, identities: Tensor) -> Tensor:
    """Return the sum over the stripes of each classifier's mean cross-entropy (arXiv 1711.09349, section 3.2)."""
    stripes = logits.shape[1]
    return stripes * F.cross_entropy(logits.flatten(end_dim=1), identities.repeat_interleave(stripes))


def reid_network(name: str, *, identities: int, dropout: float) -> ReidNetwork:
    """Return the network of that name: ``densenet121``, ``hrnet18`` or ``pcb``.

    Raises:
        KeyError: another name.
    """
    makers = {
        "densenet121": lambda: (DenseNetTrunk(), 1, 512),
        "hrnet18": lambda: (HrNetTrunk(), 1, 512),
        # PCB removes the last down-sampling, for finer stripes
        "pcb": lambda: (resnet50_trunk(last_stride=1), 6, 256),
    }
    trunk, stripes, length = makers[name]()
    return ReidNetwork(trunk, stripes=stripes, length=length, identities=identities, dropout=dropout)
