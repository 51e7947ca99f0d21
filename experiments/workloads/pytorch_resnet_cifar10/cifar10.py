"""CIFAR-10 files: the python batches and the binary batches of https://www.cs.toronto.edu/~kriz/cifar.html.

Python: ``data_batch_1`` … ``data_batch_5`` and ``test_batch``, each a pickled dict of ``data`` (N × 3072 bytes: 1024
red, 1024 green, 1024 blue, row by row) and ``labels``. Binary: the same names with ``.bin``, records of one label byte
and 3072 image bytes. A batch of the real set holds 10 000 images; the loader takes any number.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from data_errors import DataError

__all__ = ["Batch", "read_cifar10", "write_python_batches"]

_IMAGE_BYTES = 3 * 32 * 32
_RECORD_BYTES = 1 + _IMAGE_BYTES
_TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
_TEST = "test_batch"
_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),  # how Python 3 writes bytes in protocol 2
    *((f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
}
# A damaged pickle can raise nearly anything; these are what truncation and flipped bytes were seen to raise.
_PICKLE_ERRORS = (
    pickle.UnpicklingError, ArithmeticError, AttributeError, EOFError, ImportError, LookupError, MemoryError,
    TypeError, ValueError,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Images and their classes.

    Args:
        images: (N, 3, 32, 32), unsigned bytes.
        labels: (N,), integers 0 to 9.
    """

    images: np.ndarray
    labels: np.ndarray


class _OnlyArrays(pickle.Unpickler):
    """Loads NumPy arrays and plain values; a pickle that names anything else is refused before that is called."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which a CIFAR-10 batch does not need")
        return super().find_class(module, name)


def read_cifar10(folder: Path) -> tuple[Batch, Batch]:
    """Return the training and the test images of a folder in either format, or of the archive's folder inside it.

    Raises:
        DataError: no batches there, one of them missing, or one damaged; the message names the file.
    """
    for place in (folder, folder / "cifar-10-batches-py", folder / "cifar-10-batches-bin"):
        if (place / _TRAIN[0]).is_file():
            return _read_all(place, "", _read_python)
        if (place / f"{_TRAIN[0]}.bin").is_file():
            return _read_all(place, ".bin", _read_binary)
    raise DataError(
        f"{folder} holds no CIFAR-10: expected the files data_batch_1 … data_batch_5 and test_batch "
        "(python version), or the same with .bin (binary version), there or in cifar-10-batches-py|bin"
    )


def write_python_batches(folder: Path, train: Batch, test: Batch, names: Sequence[str]) -> None:
    """Write five training batches, the test batch and ``batches.meta`` as the python version of the set does."""
    rows = np.array_split(np.arange(len(train.labels)), len(_TRAIN))
    for file_name, row in zip(_TRAIN, rows, strict=True):
        _write_python(folder / file_name, Batch(images=train.images[row], labels=train.labels[row]))
    _write_python(folder / _TEST, test)
    meta = {b"label_names": [name.encode() for name in names], b"num_vis": _IMAGE_BYTES}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta, protocol=2))


def _read_all(place: Path, suffix: str, read: Callable[[Path], Batch]) -> tuple[Batch, Batch]:
    train = [read(place / f"{name}{suffix}") for name in _TRAIN]
    images = np.concatenate([batch.images for batch in train])
    labels = np.concatenate([batch.labels for batch in train])
    return Batch(images=images, labels=labels), read(place / f"{_TEST}{suffix}")


def _read_python(path: Path) -> Batch:
    try:
        with path.open("rb") as file:
            # bytes: the real files were pickled by Python 2, whose strings are bytes
            content = _OnlyArrays(file, encoding="bytes").load()
    except OSError as error:
        raise _missing(path, error) from error
    except _PICKLE_ERRORS as error:
        raise DataError(f"{path} is damaged, or not a CIFAR-10 python batch: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} is not a CIFAR-10 python batch: expected a dict, found {type(content).__name__}")
    fields = {key.decode() if isinstance(key, bytes) else key: value for key, value in content.items()}
    return _checked(path, fields.get("data"), fields.get("labels"))


def _read_binary(path: Path) -> Batch:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _missing(path, error) from error
    if not content or len(content) % _RECORD_BYTES:
        raise DataError(
            f"{path} is damaged: {len(content)} bytes are not a multiple of the {_RECORD_BYTES} of a CIFAR-10 record"
        )
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, _RECORD_BYTES)
    return _checked(path, records[:, 1:], records[:, 0])


def _checked(path: Path, data: object, labels: object) -> Batch:
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != _IMAGE_BYTES:
        raise DataError(f"{path}: expected 'data' as N × {_IMAGE_BYTES} bytes, found {_shape(data)}")
    if not isinstance(labels, list | np.ndarray) or len(labels) != len(data) or not len(data):
        raise DataError(f"{path}: expected as many 'labels' as the {len(data)} images, found {_shape(labels)}")
    classes = np.asarray(labels)
    if classes.dtype.kind not in "iu" or classes.min() < 0 or classes.max() > 9:
        raise DataError(f"{path}: expected labels 0 to 9, found {classes.min()} to {classes.max()}")
    return Batch(images=data.reshape(-1, 3, 32, 32), labels=classes.astype(np.int64))


def _write_python(path: Path, batch: Batch) -> None:
    content = {
        b"batch_label": path.name.encode(),
        b"labels": [int(label) for label in batch.labels],
        b"data": batch.images.reshape(len(batch.labels), _IMAGE_BYTES),
    }
    path.write_bytes(pickle.dumps(content, protocol=2))


def _missing(path: Path, error: OSError) -> DataError:
    return DataError(
        f"{path} cannot be read ({error.strerror}): a CIFAR-10 folder holds five training batches and a test batch"
    )


def _shape(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"an array {value.shape} of {value.dtype}"
    return f"{len(value)} values" if isinstance(value, list) else type(value).__name__
