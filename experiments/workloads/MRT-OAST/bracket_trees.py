"""Syntax trees as text: ``A [ B C ]`` is a node A with the children B and C, as MRT-OAST's data files write them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Tree", "postorder", "preorder", "read_tree", "write_tree"]


@dataclass(frozen=True, slots=True)
class Tree:
    """A node: its label, without white space or brackets, and its children in order."""

    label: str
    children: tuple[Tree, ...] = ()


def write_tree(tree: Tree) -> str:
    """Return the tree as text.

    >>> write_tree(Tree("A", (Tree("B"), Tree("C", (Tree("D"),)))))
    'A [ B C [ D ] ]'
    """
    if not tree.children:
        return tree.label
    return f"{tree.label} [ {' '.join(write_tree(child) for child in tree.children)} ]"


def read_tree(text: str) -> Tree:
    """Return the tree that a text holds.

    >>> read_tree("A [ B C ]") == Tree("A", (Tree("B"), Tree("C")))
    True

    Raises:
        ValueError: brackets that do not match, no node, or more than one at the top.
    """
    done: list[list[Tree]] = [[]]
    for part in text.split():
        if part == "[":
            if not done[-1]:
                raise ValueError("an opening bracket has no node before it")
            done.append([])
        elif part == "]":
            if len(done) == 1:
                raise ValueError("a closing bracket has no opening one")
            children = tuple(done.pop())
            done[-1][-1] = Tree(done[-1][-1].label, children)
        else:
            done[-1].append(Tree(part))
    if len(done) != 1 or len(done[0]) != 1:
        raise ValueError(
            f"expected one tree with matching brackets, found {len(done[0])} and {len(done) - 1} open brackets"
        )
    return done[0][0]


def preorder(tree: Tree) -> Iterator[str]:
    """Yield the labels, each node before its children."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node.label
        waiting.extend(reversed(node.children))


def postorder(tree: Tree) -> list[str]:
    """Return the labels, each node after its children."""
    labels, waiting = [], [tree]
    while waiting:
        node = waiting.pop()
        labels.append(node.label)
        waiting.extend(node.children)
    return labels[::-1]
