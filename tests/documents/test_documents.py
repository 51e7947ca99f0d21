"""Reading JSON that people wrote: what is refused, and how it is said."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_parallel_energy.documents import readers as reading
from pytest_parallel_energy.documents.readers import read_json
from pytest_parallel_energy.errors import ConfigError


@pytest.fixture
def write(tmp_path):
    def write(content):
        file = tmp_path / "file.json"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return write


def refusal(file):
    with pytest.raises(ConfigError) as caught:
        read_json(file)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "place", "words"),
    [
        ('{"a": 1,\n "b": }', "file.json:2:7:", "is not JSON"),
        ("", "file.json:1:1:", "is the file empty?"),
        ('{"a": {"b": 1,\n "b": 2}}', "file.json:2: a.b:", 'the key "b" is written twice (lines 1, 2)'),
        ('{"a":\n [1, NaN]}', "file.json:2: a[1]:", "NaN is not a number"),
        ('{"a": 1e999}', "file.json:1: a:", "inf is not a number"),
        ('{"a": ' + "9" * 30 + "}", "file.json:1: a:", "too large"),
        ('{"a": ' + "9" * 5000 + "}", "file.json:", "too long"),
        ('{"a": "x\\u0000"}', "file.json:1: a:", "NUL"),
        ('{"a": "\\ud800"}', "file.json:1: a:", "lone surrogate"),
        ("[" * 100 + "]" * 100, "file.json", "nested more than"),
        ("[" * 100_000, "file.json", "nested more than"),
        (b'{"a":\n "\xff"}', "file.json:2:", "is not UTF-8: byte 0xff at offset 8"),
    ],
)
def test_what_is_no_settings_file_is_refused_with_its_place(write, content, place, words):
    """Each kind of damage is named with file, line and place, and nothing but our error comes out."""
    message = refusal(write(content))
    assert place in message
    assert words in message


def test_a_file_that_is_too_large_is_refused_unread(write, monkeypatch):
    """50 MB of JSON is refused by its size."""
    file = write("")
    with file.open("r+b") as stream:
        stream.truncate(50_000_000)
    assert "more than 16 MiB" in refusal(file)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    """The message says which of the two it is, and where relative paths start."""
    assert "there is no such file" in refusal(tmp_path / "none.json")
    assert "is a folder" in refusal(tmp_path)
    assert "cannot be read" in refusal(tmp_path / ("x" * 5000)) or "no such file" in refusal(tmp_path / ("x" * 5000))


def test_comments_may_say_anything_twice(write):
    """Keys for people are ignored wherever they stand, written twice or holding a NaN."""
    node = read_json(write('{"comment": 1, "comment": NaN, "_x": {}, "a": 1}'))
    assert list(node.entries()) == ["a"]


def test_a_byte_order_mark_is_accepted(write):
    """Editors on other systems begin a file with one."""
    assert read_json(write(b'\xef\xbb\xbf{"a": 1}')).value == {"a": 1}


def test_an_unknown_key_is_refused_with_the_nearest_known(write):
    """A misspelt key names the right one."""
    node = read_json(write('{\n"pth": 1}'))
    with pytest.raises(ConfigError, match=r"file.json:2: pth: \"pth\" is not a key .*did you mean 'path'\?"):
        node.object(["path", "models"])


@pytest.mark.parametrize(
    ("content", "ask", "words"),
    [
        ("5", lambda n: n.text(), "must be a text, not 5"),
        ('""', lambda n: n.text(), "must not be empty"),
        ('"x"', lambda n: n.number(), 'must be a number, not "x"'),
        ("true", lambda n: n.number(), "must be a number, not true"),
        ("5", lambda n: n.number(0, 1), "must be from 0 to 1, not 5"),
        ("1.5", lambda n: n.whole(), "must be a whole number, not 1.5"),
        ("1", lambda n: n.boolean(), "must be true or false, not 1"),
        ("{}", lambda n: n.array(), "must be a list"),
        ("[]", lambda n: n.entries(), "must be an object"),
        ("[]", lambda n: n.scalar(), "must be a single value"),
        ('"lr"', lambda n: n.one_of(["learning_rate"]), "known: learning_rate"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(write, content, ask, words):
    """Each reader says what it wants and what it found."""
    with pytest.raises(ConfigError, match=words):
        ask(read_json(write(content)))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(JSON, st.sampled_from([None, 0, 1, 4]))
def test_each_value_is_found_on_its_line(tmp_path_factory, value, indent):
    """For any document, in any layout, a value's line is the line on which it begins."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    file = tmp_path_factory.mktemp("json") / "any.json"
    file.write_text(text, encoding="utf-8", newline="")
    node = read_json(file, ignored=lambda _: False)
    pending = [node]
    while pending:
        one = pending.pop()
        (line,) = reading._json_lines(text, one.path)
        begins = text.split("\n")[line - 1]
        assert json.dumps(one.value, ensure_ascii=False)[:1] in begins
        if isinstance(one.value, dict):
            pending += one.entries().values()
        elif isinstance(one.value, list):
            pending += one.array()


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:0eE-+.tfn\\u \n', max_size=40).map(str.encode))
def test_no_bytes_make_it_crash(tmp_path_factory, content):
    """Any bytes at all are read or refused by our error."""
    file = tmp_path_factory.mktemp("fuzz") / "any.json"
    file.write_bytes(content)
    message = "any.json"
    try:
        read_json(file)
    except ConfigError as refused:
        message = str(refused)
    assert "any.json" in message
