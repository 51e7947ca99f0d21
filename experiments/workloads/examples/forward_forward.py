"""The forward-forward algorithm: Hinton, arXiv 2212.13345.

Each layer learns by itself to be active for an image with its right label and quiet for one with a wrong label.
The label is written over the first ten pixels. 784-500-500, threshold 2, Adam: as in PyTorch's example.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ForwardForward", "with_label"]

_THRESHOLD = 2.0
_CLASSES = 10


class _Layer(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        # only the direction is passed on: the length is the goodness of the layer below
        return F.relu(super().forward(x / (x.norm(dim=1, keepdim=True) + 1e-4)))

    def loss(self, right: Tensor, wrong: Tensor) -> Tensor:
        goodness_right, goodness_wrong = self(right).square().mean(dim=1), self(wrong).square().mean(dim=1)
        return F.softplus(torch.cat([_THRESHOLD - goodness_right, goodness_wrong - _THRESHOLD])).mean()


class ForwardForward(nn.Module):
    """Two layers of 500 units on images of 784 pixels; 0.64 M parameters.

    Args:
        amplitude: brightness of the label pixels, in units of the brightest pixel.
    """

    def __init__(self, amplitude: float = 1.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList([_Layer(784, 500), _Layer(500, 500)])
        self.amplitude = amplitude

    def forward(self, images: Tensor) -> Tensor:
        """Return the goodness (N, 10) of each label; the label with the greatest is the answer."""
        images = images.flatten(start_dim=1)
        scores = []
        for label in range(_CLASSES):
            x = with_label(images, torch.full((len(images),), label, device=images.device), self.amplitude)
            total = torch.zeros(len(images), device=images.device)
            for layer in self.layers:
                x = layer(x)
                total = total + x.square().mean(dim=1)
            scores.append(total)
        return torch.stack(scores, dim=1)

    def layer_inputs(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the input of the first layer: the images with their own labels, and with random wrong labels."""
        images = images.flatten(start_dim=1)
        shift = torch.randint(1, _CLASSES, labels.shape, generator=generator).to(labels.device)
        wrong = (labels + shift) % _CLASSES
        return with_label(images, labels, self.amplitude), with_label(images, wrong, self.amplitude)


def with_label(images: Tensor, labels: Tensor, amplitude: float) -> Tensor:
    """Return a copy of the flat images (N, 784) whose first ten pixels are replaced by the label."""
    marked = images.clone()
    marked[:, :_CLASSES] = F.one_hot(labels, _CLASSES) * images.max() * amplitude
    return marked
