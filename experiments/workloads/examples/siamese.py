"""A siamese network that compares the digits of two images: Koch et al. 2015, with the layers of PyTorch's example.

Both images go through one ResNet-18 trunk; the two feature vectors together go through two linear layers.
11.4 M parameters at the full width of 64.
"""

from __future__ import annotations

import torch
from labelled_set import LabelledSet
from resnet_imagenet import resnet18_trunk
from torch import Tensor, nn

__all__ = ["Siamese", "draw_pairs"]


class Siamese(nn.Module):
    """Pairs of images (N, 2, H, W) to one logit each (N,): above 0 is "the same".

    Args:
        width: channels of the trunk's first stage.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.trunk = resnet18_trunk(width=width, channels_in=1)
        self.head = nn.Sequential(nn.Linear(2 * self.trunk.channels, 256), nn.ReLU(), nn.Linear(256, 1))

    def forward(self, pairs: Tensor) -> Tensor:
        first, second = self.trunk(torch.cat([pairs[:, :1], pairs[:, 1:]])).mean(dim=(2, 3)).chunk(2)
        logits: Tensor = self.head(torch.cat([first, second], dim=1))[:, 0]
        return logits


def draw_pairs(data: LabelledSet, count: int, generator: torch.Generator) -> LabelledSet:
    """Return ``count`` pairs of single-channel images; every second one shows the same class, so chance is one half.

    Needs at least two classes. Labels are floats, 1 for the same.
    """
    labels = data.labels.cpu()
    first = torch.randint(len(labels), (count,), generator=generator)
    same = torch.arange(count) % 2 == 0
    fits = (labels[first][:, None] == labels) == same[:, None]
    second = torch.multinomial(fits.double(), 1, generator=generator)[:, 0]
    images = torch.cat([data.inputs[first], data.inputs[second]], dim=1)
    return LabelledSet(inputs=images, labels=same.to(data.inputs))
