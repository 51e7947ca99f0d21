"""Two small networks for MNIST, with the layers of PyTorch's examples ``mnist`` and ``mnist_rnn``."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["MnistCnn", "MnistRnn"]


class MnistCnn(nn.Module):
    """Two convolutions and two linear layers: images (N, 1, 28, 28) to logits (N, 10); 1.2 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
            nn.Flatten()
        )  # fmt: skip
        self.head = nn.Sequential(nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(images))
        return logits


class MnistRnn(nn.Module):
    """An LSTM that reads an image row by row, then two linear layers: (N, 1, 28, 28) to (N, 10); 0.03 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.LSTM(input_size=28, hidden_size=64, batch_first=True)
        self.head = nn.Sequential(
            nn.BatchNorm1d(64), nn.Dropout(0.25), nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 10)
        )

    def forward(self, images: Tensor) -> Tensor:
        steps, _ = self.rows(images[:, 0])
        logits: Tensor = self.head(steps[:, -1])
        return logits
