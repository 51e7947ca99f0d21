"""The loader of Market-1501 and the painted people in its format."""

from __future__ import annotations

import pytest

np = pytest.importorskip("numpy", reason="the experiments extra is not installed")
Image = pytest.importorskip("PIL.Image", reason="the experiments extra is not installed")

from data_errors import DataError
from market1501 import read_market1501

NAMES = {
    "bounding_box_train": ["0002_c1s1_000451_03.jpg", "0002_c3s2_000001_01.jpg", "0007_c6s3_077419_03.jpg"],
    "query": ["0003_c2s1_000151_00.jpg"],
    "bounding_box_test": ["0003_c4s6_015641_02.jpg", "0000_c1s1_000151_01.jpg", "-1_c1s1_000401_03.jpg", "Thumbs.db"],
}


@pytest.fixture
def folder(tmp_path):
    for name, files in NAMES.items():
        (tmp_path / name).mkdir()
        for number, file in enumerate(files):
            path = tmp_path / name / file
            if path.suffix == ".jpg":
                Image.new("RGB", (64, 128), (0, 50 * number, 200)).save(path)
            else:
                path.write_bytes(b"as in the real set")
    return tmp_path


def test_identities_and_cameras_come_from_the_names(folder):
    """Person, camera, distractors (0) and junk (−1) are read from the file names; other files are left alone."""
    crops = read_market1501(folder, height=32)
    assert crops["train"].identities.tolist() == [2, 7, 2]
    assert crops["train"].cameras.tolist() == [1, 6, 3]
    assert sorted(crops["gallery"].identities.tolist()) == [-1, 0, 3]
    assert crops["query"].images.shape == (1, 3, 32, 16)


def test_a_limit_takes_each_person_in_turn(folder):
    """Fewer pictures of everybody, not all pictures of a few."""
    assert read_market1501(folder, height=32, limit=2)["train"].identities.tolist() == [2, 7]


def test_the_archive_folder_is_found(folder, tmp_path_factory):
    """The path may be the folder into which the archive was unpacked."""
    outer = tmp_path_factory.mktemp("outer")
    folder.rename(outer / "Market-1501-v15.09.15")
    assert len(read_market1501(outer, height=32)["train"].cameras) == 3


def test_a_missing_folder_is_named(folder):
    """One of the three folders is missing: it is named, with all three."""
    (folder / "query").rename(folder / "queries")
    with pytest.raises(DataError, match="query is missing: Market-1501 has the folders"):
        read_market1501(folder, height=32)


def test_a_folder_without_such_names_gives_an_example(folder):
    """No file has a Market-1501 name: the message shows one."""
    for path in (folder / "query").iterdir():
        path.rename(path.with_name("me.jpg"))
    with pytest.raises(DataError, match=r"query holds no image .* 0002_c1s1_000451_03\.jpg"):
        read_market1501(folder, height=32)


@pytest.mark.parametrize("keep", [0, 10, 400])
def test_a_damaged_picture_is_named(folder, keep):
    """A picture that was cut off is reported with its path."""
    path = folder / "query" / NAMES["query"][0]
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=NAMES["query"][0]):
        read_market1501(folder, height=32)


def test_painted_people_follow_the_protocol(tmp_path):
    """Nobody is in training and test, every query can be found, and there are distractors and junk."""
    from painted_people import write_people

    write_people(tmp_path)
    crops = read_market1501(tmp_path, height=32)
    gallery = crops["gallery"]
    assert not set(crops["train"].identities) & set(gallery.identities)
    assert {-1, 0} < set(gallery.identities)
    for identity, camera in zip(crops["query"].identities, crops["query"].cameras, strict=True):
        assert (gallery.cameras[gallery.identities == identity] != camera).any()
