"""C source to token numbers: the lexical units that a C parser finds, rare ones in pieces.

Lexical units come from tree-sitter's C grammar, comments left out. Units that the vocabulary does not hold are spelt
by byte-pair encoding (Sennrich et al., arXiv 1508.07909), learnt on the training functions alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from byte_pairs import BytePairs, learn_byte_pairs
from roberta import PAD

__all__ = ["CVocabulary", "c_units"]

_START, _END, _UNKNOWN = 0, 2, 3
_SPECIAL = 4


def c_units(source: str) -> list[str]:
    """Return the lexical units of C source, in order, without comments; of broken code the recognisable ones.

    ``c_units("x = a[i]; /* get */")`` is ``["x", "=", "a", "[", "i", "]", ";"]``. A string or character literal is
    one unit.
    """
    import tree_sitter
    import tree_sitter_c

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_c.language()))
    content = source.encode(errors="replace")
    return [content[start:end].decode(errors="replace") for start, end in _leaves(parser.parse(content).walk())]


def _leaves(cursor: object) -> Iterator[tuple[int, int]]:
    """Yield the byte ranges of the leaves, without recursion: real code nests deeper than Python's stack."""
    whole = {"string_literal", "char_literal", "system_lib_string"}
    while True:
        node = cursor.node
        leaf = node.child_count == 0 or node.type in whole
        if leaf and node.type != "comment" and node.end_byte > node.start_byte:
            yield node.start_byte, node.end_byte
        if not leaf and cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return


@dataclass(frozen=True, slots=True, kw_only=True)
class CVocabulary:
    """Numbers for lexical units and for the pieces of rare ones.

    Args:
        numbers: token to number; 0 to 3 are start, padding, end and unknown, as in RoBERTa.
        pairs: the pieces of units that are not in ``numbers``.
    """

    numbers: dict[str, int]
    pairs: BytePairs

    @classmethod
    def learn(cls, functions: Iterable[list[str]], size: int) -> CVocabulary:
        """Return a vocabulary of at most ``size`` tokens: half of them the most frequent units, the rest pieces."""
        counts = Counter(unit for units in functions for unit in units)
        order = sorted(counts, key=lambda unit: (-counts[unit], unit))
        whole = order[: (size - _SPECIAL) // 2]
        pairs = learn_byte_pairs({unit: counts[unit] for unit in order[len(whole) :]}, size - _SPECIAL - len(whole))
        tokens = [*whole, *(piece for piece in pairs.pieces if piece not in set(whole))]
        return cls(numbers={token: number for number, token in enumerate(tokens, _SPECIAL)}, pairs=pairs)

    def encode(self, units: list[str], length: int) -> list[int]:
        """Return exactly ``length`` numbers: start, as many tokens as fit, end, padding."""
        numbers: list[int] = []
        for unit in units:
            if len(numbers) >= length - 2:
                break
            whole = self.numbers.get(unit)
            pieces = [unit] if whole is not None else self.pairs.cut(unit)
            numbers.extend(self.numbers.get(piece, _UNKNOWN) for piece in pieces)
        inner = [_START, *numbers[: length - 2], _END]
        return inner + [PAD] * (length - len(inner))

    def __len__(self) -> int:
        return len(self.numbers) + _SPECIAL
