"""Images for training: normalised once, augmented anew in every epoch."""

from __future__ import annotations

import numpy as np
import torch
from labelled_set import LabelledSet
from torch import Tensor

__all__ = ["augmented", "normalised"]


def normalised(images: np.ndarray, labels: np.ndarray, *, like: np.ndarray, device: torch.device) -> LabelledSet:
    """Bytes (N, channels, height, width) to floats, with the mean and deviation of each channel of ``like``.

    ``like`` are the training images, so that nothing is learnt from the test images.
    """
    mean = torch.tensor(like.mean(axis=(0, 2, 3)), dtype=torch.float32)[:, None, None]
    deviation = torch.tensor(like.std(axis=(0, 2, 3)), dtype=torch.float32)[:, None, None]
    floats = (torch.tensor(images, dtype=torch.float32) - mean) / deviation
    return LabelledSet(inputs=floats.to(device), labels=torch.tensor(labels, dtype=torch.int64, device=device))


def augmented(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image shifted by up to 4 pixels over zeros and mirrored by chance (He et al. 2015, section 4.2)."""
    count, _, height, width = images.shape
    padded = torch.nn.functional.pad(images, (4, 4, 4, 4))
    shift = torch.randint(0, 9, (2, count), generator=generator).to(images.device)
    mirrored = (torch.rand(count, generator=generator) < 0.5).to(images.device)
    rows = (shift[0][:, None] + torch.arange(height, device=images.device))[:, :, None]
    columns = shift[1][:, None] + torch.arange(width, device=images.device)
    columns = torch.where(mirrored[:, None], columns.flip(1), columns)[:, None, :]
    picture = torch.arange(count, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[picture, rows, columns].permute(0, 3, 1, 2).contiguous()
