"""Code clones without a download: functions of Python's standard library, and rewritten copies of them.

A clone is the same function after random changes that keep its meaning: swapped operands of ``+``, ``*``, ``==`` …,
flipped comparisons, branches exchanged under ``not``, and a few added statements without effect. Other pairs are two
different functions of about the same size, rewritten in the same way. Accuracy by chance is one half.
"""

from __future__ import annotations

import ast
import random
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from bracket_trees import Tree, write_tree
from clone_files import Key, Pair, write_clones
from data_errors import DataError

__all__ = ["SET_NAME", "functions_of", "optimised_tree", "rewritten", "write_stdlib_clones"]

# the functions are those of this Python, so another version has another set
SET_NAME = f"mrt-oast-stdlib-v2-python{sys.version_info.major}.{sys.version_info.minor}"
_FUNCTIONS = 320
_PAIRS = {"train": 768, "valid": 128, "test": 256}
_VARIANTS = 4
_SMALLEST_NODES, _LARGEST_NODES = 25, 110
_FLIPPED = {ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE, ast.Eq: ast.Eq, ast.NotEq: ast.NotEq}
_COMMUTES = (ast.Add, ast.Mult, ast.BitAnd, ast.BitOr, ast.BitXor)
_DEAD = ("_unused = 0", "pass", "if False:\n    raise ValueError", "_copy = (1, 2)")


def write_stdlib_clones(folder: Path) -> None:
    """Write functions, trees and pairs in MRT-OAST's format.

    Training, validation and test pairs are drawn from different functions, and no function contains another one.
    """
    rng = random.Random(64)
    originals = _library_functions()
    rng.shuffle(originals)
    del originals[_FUNCTIONS:]
    variants: dict[Key, ast.AST] = {}
    for index, original in enumerate(originals):
        for number in range(_VARIANTS):
            variants[str(index), f"v{number}"] = rewritten(original, rng)
    edges = {"train": (0, 200), "valid": (200, 240), "test": (240, _FUNCTIONS)}
    sizes = [_nodes(original) for original in originals]
    pairs = {part: _draw_pairs(range(*edges[part]), sizes, count, rng) for part, count in _PAIRS.items()}
    rows = [
        (key, ast.unparse(node), write_tree(_full_tree(node)), write_tree(optimised_tree(node)))
        for key, node in variants.items()
    ]
    write_clones(folder, rows, pairs)


def rewritten(function: ast.AST, rng: random.Random) -> ast.AST:
    """Return a copy of the function that does the same, written differently."""
    copy = ast.parse(ast.unparse(function)).body[0]
    return ast.fix_missing_locations(_Rewriter(rng).visit(copy))


def optimised_tree(node: ast.AST) -> Tree:
    """Return the tree without nodes that say nothing about the structure: contexts, wrappers, parameters, names."""
    if isinstance(node, ast.Expr):
        return optimised_tree(node.value)
    dropped = (ast.expr_context, ast.arguments, ast.alias, ast.keyword)
    children = [child for child in ast.iter_child_nodes(node) if not isinstance(child, dropped)]
    return Tree(_label(node), tuple(optimised_tree(child) for child in children))


def _label(node: ast.AST) -> str:
    if isinstance(node, ast.Constant):
        return f"Constant-{type(node.value).__name__}"
    return type(node).__name__


def _full_tree(node: ast.AST) -> Tree:
    return Tree(_label(node), tuple(_full_tree(child) for child in ast.iter_child_nodes(node)))


class _Rewriter(ast.NodeTransformer):
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        # strings and lists do not commute under +, but the trees of the copies are what counts here
        if isinstance(node.op, _COMMUTES) and self.rng.random() < 0.5:
            node.left, node.right = node.right, node.left
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        flipped = _FLIPPED.get(type(node.ops[0]))
        if len(node.ops) == 1 and flipped is not None and self.rng.random() < 0.5:
            return ast.Compare(left=node.comparators[0], ops=[flipped()], comparators=[node.left])
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        self.generic_visit(node)
        if node.orelse and self.rng.random() < 0.5:
            opposite = ast.UnaryOp(op=ast.Not(), operand=node.test)
            return ast.If(test=opposite, body=node.orelse, orelse=node.body)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        for _ in range(self.rng.randint(0, 2)):
            place = self.rng.randint(0, len(node.body) - 1)
            node.body.insert(place, ast.parse(self.rng.choice(_DEAD)).body[0])
        return node


def _draw_pairs(indices: range, sizes: list[int], count: int, rng: random.Random) -> list[Pair]:
    pairs = []
    for number in range(count):
        index = rng.choice(indices)
        first, second = rng.sample(range(_VARIANTS), 2)
        clones = number % 2 == 0
        other = index if clones else _of_like_size(index, indices, sizes, rng)
        pairs.append(Pair((str(index), f"v{first}"), (str(other), f"v{second}"), clones))
    return pairs


def _of_like_size(index: int, indices: range, sizes: list[int], rng: random.Random) -> int:
    others = sorted((other for other in indices if other != index), key=lambda other: abs(sizes[other] - sizes[index]))
    return rng.choice(others[:10])


def functions_of(module: ast.AST) -> Iterator[ast.FunctionDef]:
    """Yield the functions of middle size, in source order; a function inside a yielded one is part of that one.

    A nested function on its own, in another part of the split than the function around it, would let a model meet
    code from its training in the test.
    """
    for child in ast.iter_child_nodes(module):
        if isinstance(child, ast.FunctionDef) and _SMALLEST_NODES <= _nodes(child) <= _LARGEST_NODES:
            yield child
        else:
            yield from functions_of(child)


def _library_functions() -> list[ast.AST]:
    """Return the functions of the standard library's own modules, in the order of the file names.

    Of functions with the same optimised tree the first is kept: a pair of two others would look like a clone.
    """
    root = Path(sysconfig.get_path("stdlib"))
    functions: dict[Tree, ast.AST] = {}
    for path in sorted(root.glob("*.py")):
        try:
            module = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError):
            continue  # a few modules are written to be wrong, or for another version
        for function in functions_of(module):
            functions.setdefault(optimised_tree(function), function)
    if len(functions) < _FUNCTIONS:
        raise DataError(
            f"{root} holds {len(functions)} functions, {_FUNCTIONS} are needed; give the real set with --data"
        )
    return list(functions.values())


def _nodes(node: ast.AST) -> int:
    return sum(1 for _ in ast.walk(node))
