"""The C tokeniser and its vocabulary."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="the experiments extra is not installed")
pytest.importorskip("tree_sitter_c", reason="the experiments extra is not installed")

from byte_pairs import learn_byte_pairs
from c_tokens import CVocabulary, c_units


def test_units_are_those_of_c():
    """Operators, literals, numbers and names are one unit each; comments are none."""
    source = "int f(char *s) { /* no */ if (n <= 0x1F && s->p[2] != '\\n') s += \"a, b\\n\"; return -1; } // end"
    assert c_units(source) == [
        "int", "f", "(", "char", "*", "s", ")", "{", "if", "(", "n", "<=", "0x1F", "&&", "s", "->", "p", "[", "2", "]",
        "!=", "'\\n'", ")", "s", "+=", '"a, b\\n"', ";", "return", "-1", ";", "}",
    ]  # fmt: skip


@pytest.mark.parametrize("source", ["", "int f( {", "}}}", "\x00\udcff", "((((" * 3000])
def test_broken_code_is_no_error(source):
    """Real data holds code that does not parse; it gives what can be recognised."""
    assert isinstance(c_units(source), list)


def test_a_frequent_pair_becomes_a_piece():
    """Byte pairs join what stands together most often, and cut words into pieces that spell them."""
    pairs = learn_byte_pairs({"lower": 5, "lowest": 3, "newer": 4}, size=30)
    assert next(iter(pairs.ranks)) == ("w", "e")  # 5 + 3 + 4 times
    assert "wer" in pairs.pieces
    assert "".join(pairs.cut("slower")) == "slower"
    assert len(pairs.cut("lower")) < 5


def test_the_vocabulary_keeps_to_its_size():
    """At most the size asked for, and numbers within it."""
    functions = [c_units(f"int name_{number}(void) {{ return {number}; }}") for number in range(200)]
    vocabulary = CVocabulary.learn(functions, size=80)
    numbers = vocabulary.encode(functions[150], length=40)
    assert len(vocabulary) <= 80
    assert len(numbers) == 40
    assert max(numbers) < len(vocabulary)


def test_long_functions_are_cut_at_the_length():
    """A function that is longer than the model reads is cut and still ends with the end token."""
    units = ["x"] * 500
    numbers = CVocabulary.learn([units], size=20).encode(units, length=16)
    assert len(numbers) == 16
    assert numbers[0] == 0
    assert numbers[-1] == 2
