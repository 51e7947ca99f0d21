"""Handwritten digits in MNIST's format without a download: the 1797 that come with scikit-learn, enlarged.

They are real digits (Alpaydin and Kaynak 1998, UCI "Optical recognition of handwritten digits") of 8 × 8 pixels;
each pixel becomes 3 × 3, with a border of 2, which gives MNIST's 28 × 28. Chance is 10 %.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from idx_files import Digits, write_mnist

__all__ = ["SET_NAME", "write_small_digits"]

SET_NAME = "mnist-small-digits-v1"
_TEST_DIGITS = 360


def write_small_digits(folder: Path) -> None:
    """Write 1437 training and 360 test digits as idx files."""
    from sklearn.datasets import load_digits

    raw = load_digits()
    order = np.random.default_rng(28).permutation(len(raw.target))
    large = np.kron(raw.images[order], np.ones((3, 3))) * (255 / 16)
    images = np.pad(large, ((0, 0), (2, 2), (2, 2))).round().astype(np.uint8)
    labels = raw.target[order]
    test, train = slice(0, _TEST_DIGITS), slice(_TEST_DIGITS, None)
    write_mnist(
        folder,
        Digits(images=images[train], labels=labels[train]),
        Digits(images=images[test], labels=labels[test]),
    )
