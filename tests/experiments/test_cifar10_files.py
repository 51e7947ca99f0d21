"""The CIFAR-10 loader: both formats, and what it says about files that are not right."""

from __future__ import annotations

import pickle
import struct

import pytest

np = pytest.importorskip("numpy", reason="the experiments extra is not installed")

from cifar10 import Batch, read_cifar10, write_python_batches
from data_errors import DataError

CLASSES = [f"class-{number}" for number in range(10)]


def some_batch(count):
    rng = np.random.default_rng(count)
    return Batch(images=rng.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8), labels=rng.integers(0, 10, count))


@pytest.fixture
def folder(tmp_path):
    write_python_batches(tmp_path, some_batch(23), some_batch(4), CLASSES)
    return tmp_path


def test_python_batches_come_back_as_written(folder):
    """What is written as python batches is read back, in order, image by image."""
    train, test = read_cifar10(folder)
    assert (train.images == some_batch(23).images).all()
    assert (train.labels == some_batch(23).labels).all()
    assert (test.images == some_batch(4).images).all()


def test_the_archive_folder_is_found(tmp_path):
    """The path may be the folder into which the archive was unpacked."""
    inner = tmp_path / "cifar-10-batches-py"
    inner.mkdir()
    write_python_batches(inner, some_batch(5), some_batch(1), CLASSES)
    assert len(read_cifar10(tmp_path)[0].labels) == 5


def test_batches_pickled_by_python_2_are_read(folder):
    """The real files were written by Python 2: byte strings as keys, and an array state in byte strings."""
    images = bytes(range(256)) * 12
    (folder / "test_batch").write_bytes(python_2_pickle(images, label=7))
    _, test = read_cifar10(folder)
    assert test.images.tobytes() == images
    assert test.labels.tolist() == [7]


def python_2_pickle(images, *, label):
    """One image, in the opcodes that Python 2's cPickle wrote with protocol 2 (BINSTRING for str)."""

    def text(value):
        return b"T" + struct.pack("<i", len(value)) + value

    dtype = (
        b"cnumpy\ndtype\n"
        + text(b"u1")
        + b"K\x00K\x01\x87R(K\x03"
        + text(b"|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
    array = empty + b"(K\x01K\x01M\x00\x0c\x86" + dtype + b"\x89" + text(images) + b"tb"
    labels = text(b"labels") + b"]K" + bytes([label]) + b"a"
    return b"\x80\x02}(" + text(b"data") + array + labels + b"u."


def test_binary_batches_are_read(folder):
    """The binary version gives the same images as the python version."""
    train, test = read_cifar10(folder)
    binary = folder / "binary"
    binary.mkdir()
    parts = np.array_split(np.arange(len(train.labels)), 5)
    for number, rows in enumerate(parts, 1):
        write_binary(binary / f"data_batch_{number}.bin", train.images[rows], train.labels[rows])
    write_binary(binary / "test_batch.bin", test.images, test.labels)
    again, _ = read_cifar10(binary)
    assert (again.images == train.images).all()
    assert (again.labels == train.labels).all()


def write_binary(path, images, labels):
    path.write_bytes(b"".join(bytes([label]) + image.tobytes() for image, label in zip(images, labels, strict=True)))


class Payload:
    def __reduce__(self):
        return print, ("code from the file ran",)


def test_a_pickle_that_calls_something_is_refused(folder, capsys):
    """A batch that names a function is refused by name, and the function is not called."""
    (folder / "data_batch_3").write_bytes(pickle.dumps({"data": Payload()}, protocol=2))
    with pytest.raises(DataError, match=r"data_batch_3.*print"):
        read_cifar10(folder)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("keep", [0, 1, 20, 700, 5000])
def test_a_truncated_batch_names_the_file(folder, keep):
    """A batch that was cut off anywhere is reported with its file."""
    path = folder / "data_batch_2"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match="data_batch_2"):
        read_cifar10(folder)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1, 2], "expected a dict, found list"),
        ({"labels": [1]}, "expected 'data'"),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [1]}, "as many 'labels' as the 2 images"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": [10]}, "labels 0 to 9, found 10"),
        ({"data": np.zeros((1, 3072), np.float64), "labels": [1]}, "3072 bytes"),
    ],
)
def test_wrong_content_says_what_was_expected(folder, content, words):
    """A readable pickle with the wrong content is told from a right one."""
    (folder / "test_batch").write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(DataError, match=words):
        read_cifar10(folder)


def test_a_damaged_binary_batch_names_the_record_length(tmp_path):
    """A binary file of no whole number of records is refused."""
    for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
        (tmp_path / f"{name}.bin").write_bytes(b"\x01" * 3073)
    (tmp_path / "data_batch_4.bin").write_bytes(b"\x01" * 3000)
    with pytest.raises(DataError, match=r"data_batch_4\.bin is damaged: 3000 bytes .* 3073"):
        read_cifar10(tmp_path)


def test_a_missing_batch_is_named(folder):
    """One file of the set is missing: it is named."""
    (folder / "data_batch_5").unlink()
    with pytest.raises(DataError, match="data_batch_5 cannot be read"):
        read_cifar10(folder)


def test_an_empty_folder_says_what_belongs_there(tmp_path):
    """A wrong path says which files a CIFAR-10 folder has."""
    with pytest.raises(DataError, match="expected the files data_batch_1"):
        read_cifar10(tmp_path)
