"""MNIST's idx files, plain and gzipped: http://yann.lecun.com/exdb/mnist/, "File formats".

Two zero bytes, the type (8 is unsigned byte), the number of dimensions, each dimension as a big-endian 32-bit
integer, the values.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from data_errors import DataError

__all__ = ["Digits", "read_mnist", "write_mnist"]

_PARTS = {"train": "train", "test": "t10k"}
_UNSIGNED_BYTE = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Digits:
    """Images of digits with their labels.

    Args:
        images: (N, 28, 28), unsigned bytes, 0 is background.
        labels: (N,), integers 0 to 9.
    """

    images: np.ndarray
    labels: np.ndarray


def read_mnist(folder: Path) -> tuple[Digits, Digits]:
    """Return the training and the test digits of a folder with the four files, or of ``MNIST/raw`` or ``raw`` in it.

    Raises:
        DataError: a file is missing or damaged; the message names it and what was expected.
    """
    for place in (folder / "MNIST" / "raw", folder / "raw"):
        if place.is_dir():
            folder = place
            break
    return _read_part(folder, _PARTS["train"]), _read_part(folder, _PARTS["test"])


def write_mnist(folder: Path, train: Digits, test: Digits) -> None:
    """Write the four files, gzipped."""
    for part, digits in (("train", train), ("test", test)):
        _write(folder / f"{_PARTS[part]}-images-idx3-ubyte.gz", digits.images)
        _write(folder / f"{_PARTS[part]}-labels-idx1-ubyte.gz", digits.labels)


def _read_part(folder: Path, part: str) -> Digits:
    image_path, label_path = _find(folder, f"{part}-images", 3), _find(folder, f"{part}-labels", 1)
    images, labels = _read(image_path, 3), _read(label_path, 1)
    if images.shape[1:] != (28, 28):
        raise DataError(f"{image_path}: expected images of 28 × 28, found {images.shape[1]} × {images.shape[2]}")
    if len(images) != len(labels) or not len(images):
        raise DataError(f"{label_path}: expected as many labels as the {len(images)} images, found {len(labels)}")
    if labels.max() > 9:
        raise DataError(f"{label_path}: expected labels 0 to 9, found {labels.max()}")
    return Digits(images=images, labels=labels.astype(np.int64))


def _find(folder: Path, stem: str, dimensions: int) -> Path:
    name = f"{stem}-idx{dimensions}-ubyte"
    # some copies of the set write a dot where the original has a dash
    for candidate in (name, f"{name}.gz", name.replace("-idx", ".idx"), name.replace("-idx", ".idx") + ".gz"):
        if (folder / candidate).is_file():
            return folder / candidate
    raise DataError(f"{folder} holds no {name} (or {name}.gz), which MNIST consists of")


def _read(path: Path, dimensions: int) -> np.ndarray:
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read or unpacked: {error}") from error
    header = struct.Struct(f">HBB{dimensions}I")
    if len(content) < header.size:
        raise DataError(f"{path} is damaged: {len(content)} bytes are shorter than its header of {header.size}")
    zero, kind, found, *shape = header.unpack_from(content)
    if (zero, kind, found) != (0, _UNSIGNED_BYTE, dimensions):
        raise DataError(
            f"{path} is not an idx file of unsigned bytes in {dimensions} dimensions: it starts {content[:4].hex()}"
        )
    expected = header.size + int(np.prod(shape, dtype=object))
    if len(content) != expected:
        raise DataError(f"{path} is damaged: its header asks for {expected} bytes, it has {len(content)}")
    return np.frombuffer(content, np.uint8, offset=header.size).reshape(shape)


def _write(path: Path, values: np.ndarray) -> None:
    header = struct.pack(f">HBB{values.ndim}I", 0, _UNSIGNED_BYTE, values.ndim, *values.shape)
    # mtime 0: the same values are the same file
    path.write_bytes(gzip.compress(header + values.astype(np.uint8).tobytes(), mtime=0))
