"""Ten silhouettes in random place, size, tilt and colour: a small learnable set in CIFAR-10's format.

Only the shape depends on the class; colour and brightness do not. Chance is 10 %.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from cifar10 import Batch, write_python_batches

__all__ = ["CLASSES", "SET_NAME", "draw_silhouettes", "write_silhouettes"]

CLASSES = ("disk", "ring", "square", "triangle", "plus", "bars", "cross", "poles", "dome", "chequer")
_TRAIN_IMAGES = 2560
_TEST_IMAGES = 512
SET_NAME = f"cifar10-silhouettes-v4-{_TRAIN_IMAGES}-{_TEST_IMAGES}"


def write_silhouettes(folder: Path) -> None:
    """Write the set as CIFAR-10 python batches; the same bytes every time."""
    rng = np.random.default_rng(20)
    train = draw_silhouettes(_TRAIN_IMAGES, rng)
    write_python_batches(folder, train, draw_silhouettes(_TEST_IMAGES, rng), CLASSES)


def draw_silhouettes(count: int, rng: np.random.Generator) -> Batch:
    """Return ``count`` images with classes in random order, each class as often as the others (give or take one)."""
    labels = rng.permutation(np.arange(count) % len(CLASSES))
    u, v = _coordinates(count, rng)
    inside = np.zeros((count, 32, 32), dtype=bool)
    for label in range(len(CLASSES)):
        chosen = labels == label
        inside[chosen] = _shape(label, u[chosen], v[chosen])
    return Batch(images=_paint(inside, rng), labels=labels)


def _coordinates(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return each pixel's place in the shape's own frame, where the shape fills about −1 to 1."""
    axis = (np.arange(32) - 15.5) / 16
    y, x = np.meshgrid(axis, axis, indexing="ij")
    size, angle = rng.uniform(0.7, 1.0, (count, 1, 1)), rng.uniform(-0.2, 0.2, (count, 1, 1))
    x = x - rng.uniform(-0.1, 0.1, (count, 1, 1))
    y = y - rng.uniform(-0.1, 0.1, (count, 1, 1))
    return (np.cos(angle) * x + np.sin(angle) * y) / size, (np.cos(angle) * y - np.sin(angle) * x) / size


def _shape(label: int, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    radius, reach = np.hypot(u, v), np.maximum(np.abs(u), np.abs(v))
    near, diagonal = np.minimum(np.abs(u), np.abs(v)), np.minimum(np.abs(u - v), np.abs(u + v))
    shapes = (
        lambda: radius < 0.85,
        lambda: (radius > 0.5) & (radius < 0.9),
        lambda: reach < 0.75,
        lambda: (v < 0.7) & (v > 2 * np.abs(u) - 0.9),
        lambda: (near < 0.22) & (reach < 0.9),
        lambda: (np.abs(np.abs(v) - 0.5) < 0.2) & (reach < 0.9),
        lambda: (diagonal < 0.3) & (reach < 0.8),
        lambda: (np.abs(np.abs(u) - 0.5) < 0.2) & (reach < 0.9),
        lambda: (radius < 0.9) & (v < 0),
        lambda: (u * v > 0) & (reach < 0.85),
    )
    return shapes[label]()


def _paint(inside: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    count = len(inside)
    back = rng.uniform(0.05, 0.5, (count, 3, 1, 1))
    contrast = rng.uniform(0.25, 0.45, (count, 3, 1, 1))
    slope = rng.uniform(-0.1, 0.1, (count, 3, 1, 1)) * np.linspace(-1, 1, 32)
    image = back + slope + contrast * inside[:, None] + rng.normal(0, 0.08, (count, 3, 32, 32))
    return (np.clip(image, 0, 1) * 255).astype(np.uint8)
