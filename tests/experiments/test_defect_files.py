"""The loaders of D2A and Devign."""

from __future__ import annotations

import random

import pytest
from c_functions import draw_functions
from data_errors import DataError
from defect_data import read_d2a, read_devign, write_d2a, write_devign

FORMATS = [pytest.param(read_d2a, write_d2a, id="d2a"), pytest.param(read_devign, write_devign, id="devign")]


@pytest.mark.parametrize(("read", "write"), FORMATS)
def test_functions_come_back_as_written(tmp_path, read, write):
    """Code with commas, quotes and line ends survives both formats, in order."""
    train, dev = draw_functions(12, random.Random(1)), draw_functions(5, random.Random(2))
    write(tmp_path, train, dev)
    assert read(tmp_path) == (train, dev)


def test_half_of_the_functions_have_a_defect():
    """The two classes are equally frequent, so that chance is one half."""
    assert sum(draw_functions(100, random.Random(3)).labels) == 50


def test_functions_depend_on_the_seed_alone():
    """The same seed draws the same functions."""
    assert draw_functions(20, random.Random(4)) == draw_functions(20, random.Random(4))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("code,target\nx,1\n", "expected the columns 'code' and 'label'"),
        ("code,label\nx,2\n", "row 1: expected the label 0 or 1, found '2'"),
        ("code,label\n", "at least one row"),
        ("code,label\n,1\n", "code in every row"),
        ('code,label\n"x,1\n', "not a D2A file"),
        ("code,label\nx\n", "found None"),
    ],
)
def test_a_damaged_d2a_file_is_named(tmp_path, content, words):
    """The message names the file and what was expected."""
    write_d2a(tmp_path, draw_functions(2, random.Random(5)), draw_functions(2, random.Random(6)))
    (tmp_path / "d2a_lbv1_function_dev.csv").write_text(content)
    with pytest.raises(DataError, match=words) as raised:
        read_d2a(tmp_path)
    assert "d2a_lbv1_function_dev.csv" in str(raised.value)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("function.json", "[{", "not a JSON list"),
        ("function.json", "{}", "expected one JSON list"),
        ("function.json", '[{"func": 3}]', "entry 0: expected an object"),
        ("function.json", '[{"func": "x", "target": 5}]', "label 0 or 1, found 5"),
        ("train.txt", "0\n99\n", "row numbers from 0 to 3"),
        ("train.txt", "one\n", "one row number per line"),
        ("valid.txt", "", "at least one"),
    ],
)
def test_a_damaged_devign_file_is_named(tmp_path, name, content, words):
    """The message names the file and what was expected."""
    write_devign(tmp_path, draw_functions(2, random.Random(5)), draw_functions(2, random.Random(6)))
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=words) as raised:
        read_devign(tmp_path)
    assert name in str(raised.value)


@pytest.mark.parametrize("read", [read_d2a, read_devign])
def test_an_empty_folder_says_what_belongs_there(tmp_path, read):
    """A wrong path names the files that the set consists of."""
    with pytest.raises(DataError, match=r"function"):
        read(tmp_path)
