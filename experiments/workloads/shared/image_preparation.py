"""Images for training: scaled, and augmented anew in every epoch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from labelled_set import LabelledSet
from torch import Tensor

__all__ = ["PixelScale", "augmented", "normalised"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PixelScale:
    """Turns bytes into floats of mean 0 and deviation 1 in each channel, as they are in the training images.

    Args:
        mean: (channels, 1, 1), 0 to 255.
        deviation: (channels, 1, 1), 0 to 255.
    """

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, images: np.ndarray, device: torch.device) -> PixelScale:
        """Return the scale of bytes (N, channels, height, width); a large set would not fit into memory as floats."""
        counts = np.zeros((images.shape[1], 256))
        for part in np.array_split(images, max(len(images) // 1000, 1)):
            counts += [np.bincount(part[:, channel].ravel(), minlength=256) for channel in range(len(counts))]
        shares, values = counts / counts.sum(axis=1, keepdims=True), np.arange(256)
        mean = shares @ values
        deviation = np.sqrt(shares @ values**2 - mean**2)
        as_tensor = [torch.tensor(row, dtype=torch.float32, device=device)[:, None, None] for row in (mean, deviation)]
        return cls(mean=as_tensor[0], deviation=as_tensor[1])

    def __call__(self, images: Tensor) -> Tensor:
        return (images.to(self.mean) - self.mean) / self.deviation


def normalised(images: np.ndarray, labels: np.ndarray, *, scale: PixelScale) -> LabelledSet:
    """Return a set whose images are scaled once and stay on the training's device."""
    device = scale.mean.device
    return LabelledSet(
        inputs=scale(torch.tensor(images)), labels=torch.tensor(labels, dtype=torch.int64, device=device)
    )


def augmented(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return each image shifted by up to 4 pixels over zeros and mirrored by chance (He et al. 2015, section 4.2)."""
    count, _, height, width = images.shape
    padded = torch.nn.functional.pad(images, (4, 4, 4, 4))
    shift = torch.randint(0, 9, (2, count), generator=generator).to(images.device)
    mirrored = (torch.rand(count, generator=generator) < 0.5).to(images.device)
    rows = (shift[0][:, None] + torch.arange(height, device=images.device))[:, :, None]
    columns = shift[1][:, None] + torch.arange(width, device=images.device)
    columns = torch.where(mirrored[:, None], columns.flip(1), columns)[:, None, :]
    picture = torch.arange(count, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[picture, rows, columns].permute(0, 3, 1, 2).contiguous()
