"""The loader of MNIST's idx files."""

from __future__ import annotations

import gzip

import pytest

np = pytest.importorskip("numpy", reason="the experiments extra is not installed")

from data_errors import DataError
from idx_files import Digits, read_mnist, write_mnist


def some_digits(count):
    rng = np.random.default_rng(count)
    return Digits(images=rng.integers(0, 256, (count, 28, 28), dtype=np.uint8), labels=rng.integers(0, 10, count))


@pytest.fixture
def folder(tmp_path):
    write_mnist(tmp_path, some_digits(7), some_digits(3))
    return tmp_path


def test_digits_come_back_as_written(folder):
    """Images and labels are read back, in order."""
    train, test = read_mnist(folder)
    assert (train.images == some_digits(7).images).all()
    assert (train.labels == some_digits(7).labels).all()
    assert (test.images == some_digits(3).images).all()


def test_plain_files_are_read_as_well(folder):
    """The unpacked files do as well, also with a dot in the name."""
    for path in list(folder.iterdir()):
        path.with_name(path.name.removesuffix(".gz").replace("-idx", ".idx")).write_bytes(
            gzip.decompress(path.read_bytes())
        )
        path.unlink()
    assert len(read_mnist(folder)[0].labels) == 7


def test_the_header_is_that_of_mnist(folder):
    """The magic number of images is 0x00000803, and sizes follow as big-endian integers."""
    content = gzip.decompress((folder / "train-images-idx3-ubyte.gz").read_bytes())
    assert content[:16].hex() == "00000803" + "00000007" + "0000001c" + "0000001c"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "shorter than its header"),
        (bytes.fromhex("00000d0300000001"), "shorter than its header"),
        (bytes.fromhex("00000d0300000001000000010000000100"), "not an idx file of unsigned bytes in 3 dimensions"),
        (bytes.fromhex("000008030000000100000001000000020000"), "expected images of 28 × 28, found 1 × 2"),
        (bytes.fromhex("0000080300000002000000010000000200"), "asks for 20 bytes, it has 17"),
        (bytes.fromhex("00000803ffffffffffffffffffffffff"), "is damaged"),
    ],
)
def test_damaged_images_name_the_file(folder, content, words):
    """The message names the file and what was expected; a header that asks for too much allocates nothing."""
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(content))
    with pytest.raises(DataError, match=words) as raised:
        read_mnist(folder)
    assert "t10k-images" in str(raised.value)


def test_a_cut_archive_names_the_file(folder):
    """A gzip file that ends early is damaged."""
    path = folder / "train-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte\.gz cannot be read or unpacked"):
        read_mnist(folder)


def test_labels_and_images_belong_together(folder, tmp_path):
    """Another number of labels than of images is refused."""
    other = tmp_path / "other"
    other.mkdir()
    write_mnist(other, some_digits(5), some_digits(5))
    (folder / "train-labels-idx1-ubyte.gz").write_bytes((other / "train-labels-idx1-ubyte.gz").read_bytes())
    with pytest.raises(DataError, match="as many labels as the 7 images, found 5"):
        read_mnist(folder)


def test_an_empty_folder_says_what_belongs_there(tmp_path):
    """A wrong path names the first file that is missing."""
    with pytest.raises(DataError, match="holds no train-images-idx3-ubyte"):
        read_mnist(tmp_path)


def test_the_small_digits_are_mnist_shaped(tmp_path):
    """The digits of scikit-learn are written as MNIST, ten classes, on a black border."""
    pytest.importorskip("sklearn", reason="the experiments extra is not installed")
    from small_digits import write_small_digits

    write_small_digits(tmp_path)
    train, test = read_mnist(tmp_path)
    assert (len(train.labels), len(test.labels)) == (1437, 360)
    assert set(test.labels) == set(range(10))
    assert train.images[:, 0].max() == 0
    assert train.images.max() == 255
