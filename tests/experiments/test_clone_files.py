"""The loader of MRT-OAST's files, and the clones made of the standard library."""

from __future__ import annotations

import ast
import random

import pytest
from bracket_trees import Tree, postorder, preorder, read_tree, write_tree
from clone_files import Pair, read_clones, write_clones
from data_errors import DataError
from stdlib_clones import _library_functions, functions_of, optimised_tree, rewritten

TREE = "A [ B [ D ] C ]"
A, B = ("0", "a.c"), ("1", "b.c")


@pytest.fixture
def folder(tmp_path):
    rows = [(A, "int a, b;\n", TREE, TREE), (B, 'puts("x");', "A", "A")]
    write_clones(tmp_path, rows, {part: [Pair(A, B, part == "train")] for part in ("train", "valid", "test")})
    return tmp_path


def test_trees_and_pairs_come_back_as_written(folder):
    """Functions are named by index and file; pairs have their label."""
    trees, pairs = read_clones(folder)
    assert trees == {A: read_tree(TREE), B: Tree("A")}
    assert pairs["train"] == [Pair(A, B, clones=True)]
    assert pairs["test"] == [Pair(A, B, clones=False)]


def test_both_orders_of_a_tree():
    """Pre-order puts a node before its children, post-order after them."""
    tree = read_tree(TREE)
    assert list(preorder(tree)) == ["A", "B", "D", "C"]
    assert postorder(tree) == ["D", "B", "C", "A"]
    assert write_tree(tree) == TREE


def test_a_deep_tree_is_read():
    """Real code nests deeper than Python recurses."""
    assert len(postorder(read_tree("A [ " * 5000 + "A" + " ]" * 5000))) == 5001


@pytest.mark.parametrize("text", ["", "[ A ]", "A [ B", "A ]", "A B", "A [ ] ]"])
def test_wrong_brackets_are_refused(text):
    """Brackets that do not match, or not one tree."""
    with pytest.raises(ValueError, match=r"bracket"):
        read_tree(text)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("Generated_train.csv", "a,b,c,d,e\n0,a.c,1,b.c,2\n", "row 1: expected the label 1, 0 or -1, found '2'"),
        ("Generated_test.csv", "a,b,c,d,e\n0,a.c,9,b.c,1\n", "9/b.c is not in the file of trees"),
        ("Generated_valid.csv", "a,b,c,d,e\n0,a.c\n", "expected 5 columns, found 2"),
        ("Generated_valid.csv", "a,b,c,d,e\n", "at least one row"),
        ("Generated_with_AST+OAST.csv", "a,b,c,d,e\n0,a.c,x,A,A [ B\n", "row 1: the fifth column is not a tree"),
    ],
)
def test_a_damaged_file_is_named(folder, name, content, words):
    """The message names file and row, and what was expected."""
    (folder / name).write_text(content)
    with pytest.raises(DataError) as raised:
        read_clones(folder)
    assert words in str(raised.value)
    assert name in str(raised.value)


def test_a_label_of_minus_one_is_no_clone(folder):
    """Some of the sets write −1 instead of 0."""
    (folder / "Generated_test.csv").write_text("a,b,c,d,e\n0,a.c,1,b.c,-1\n")
    assert read_clones(folder)[1]["test"] == [Pair(A, B, clones=False)]


def test_two_sets_in_one_folder_are_refused(folder):
    """Which one was meant cannot be guessed: both are named."""
    (folder / "GCJ_with_AST+OAST.csv").write_text("")
    with pytest.raises(DataError, match=r"found GCJ_with_AST\+OAST\.csv, Generated_with_AST\+OAST\.csv"):
        read_clones(folder)


def test_a_rewritten_function_computes_the_same():
    """Swapped operands, flipped comparisons, exchanged branches and dead code change no result on numbers."""
    source = "def f(a, b):\n    if a < b + 2:\n        return a * b + 1\n    else:\n        return a - b\n"
    original = ast.parse(source).body[0]
    rng = random.Random(5)
    texts = set()
    for _ in range(20):
        copy = ast.unparse(rewritten(original, rng))
        texts.add(copy)
        scope: dict[str, object] = {}
        exec(copy, scope)
        assert [scope["f"](a, b) for a, b in ((1, 5), (5, 1), (3, 1))] == [6, 4, 2]
    assert len(texts) > 10


def test_the_optimised_tree_has_no_names():
    """Two functions that differ in their names alone have the same optimised tree."""
    first, second = (ast.parse(f"def f({name}):\n    return {name} + 1").body[0] for name in ("x", "total"))
    assert optimised_tree(first) == optimised_tree(second)


NESTED = """
def outer(a, b, c):
    def inner(x, y):
        total = x + y * 2 - x * y
        if total > x and total > y:
            total = total - x - y
        return total + x * x + y * y
    if a > b:
        return inner(a, b) + inner(b, c)
    return inner(c, a)
"""


def test_a_nested_function_is_part_of_the_function_around_it():
    """The split cannot put a function on one side and the code inside it on the other."""
    assert [function.name for function in functions_of(ast.parse(NESTED))] == ["outer"]


def test_no_function_of_the_set_contains_another_or_equals_it():
    """True for the whole standard library, whatever its version."""
    functions = _library_functions()
    inside = [
        {ast.unparse(node) for node in ast.walk(some) if node is not some and hasattr(node, "body")}
        for some in functions
    ]
    texts = {ast.unparse(function) for function in functions}
    assert not any(texts & nested for nested in inside)
    assert len({optimised_tree(function) for function in functions}) == len(functions)
