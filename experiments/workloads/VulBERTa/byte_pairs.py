"""Byte-pair encoding: Sennrich, Haddow, Birch, arXiv 1508.07909, algorithm 1."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["BytePairs", "learn_byte_pairs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BytePairs:
    """The pairs of neighbouring pieces that are joined, in order.

    Args:
        ranks: a pair of pieces to its place in the order of learning, from 0.
        pieces: every piece that can come out of :meth:`cut` for the words learnt from: characters, then joined pairs.
    """

    ranks: Mapping[tuple[str, str], int]
    pieces: tuple[str, ...]

    def cut(self, word: str) -> list[str]:
        """Return the pieces of a word; together they are the word."""
        parts = list(word)
        while len(parts) > 1:
            best = min(pairwise(parts), key=lambda pair: self.ranks.get(pair, len(self.ranks)))
            if best not in self.ranks:
                break
            parts = _joined(parts, best)
        return parts


def learn_byte_pairs(words: Mapping[str, int], size: int) -> BytePairs:
    """Learn from words and how often each occurs, until there are ``size`` pieces or no pair occurs twice.

    Ties go to the pair that sorts first, so the result depends on the words alone.
    """
    spelt = {word: list(word) for word in words}
    characters = sorted({character for word in words for character in word})[:size]
    counts: Counter[tuple[str, str]] = Counter()
    homes: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for word, parts in spelt.items():
        _count(parts, word, words[word], counts, homes)
    ranks: dict[tuple[str, str], int] = {}
    heap = [(-count, pair) for pair, count in counts.items()]
    heapq.heapify(heap)
    while heap and len(characters) + len(ranks) < size:
        count, best = heapq.heappop(heap)
        if counts[best] != -count:
            continue  # an older count of this pair; the newer one is in the heap too
        if counts[best] < 2:
            break
        ranks[best] = len(ranks)
        changed = _join_everywhere(best, spelt, words, counts, homes)
        for pair in changed:
            heapq.heappush(heap, (-counts[pair], pair))
    return BytePairs(ranks=ranks, pieces=(*characters, *("".join(pair) for pair in ranks)))


def _join_everywhere(
    best: tuple[str, str],
    spelt: dict[str, list[str]],
    words: Mapping[str, int],
    counts: Counter[tuple[str, str]],
    homes: defaultdict[tuple[str, str], set[str]],
) -> list[tuple[str, str]]:
    """Join the pair in every word that has it; return the pairs whose counts changed and are not zero."""
    changed: set[tuple[str, str]] = set()
    for word in homes.pop(best):
        changed.update(pairwise(spelt[word]))
        _count(spelt[word], word, -words[word], counts, homes)
        spelt[word] = _joined(spelt[word], best)
        changed.update(pairwise(spelt[word]))
        _count(spelt[word], word, words[word], counts, homes)
    return [pair for pair in changed if counts[pair] > 0]


def _count(
    parts: list[str],
    word: str,
    times: int,
    counts: Counter[tuple[str, str]],
    homes: defaultdict[tuple[str, str], set[str]],
) -> None:
    for pair in pairwise(parts):
        counts[pair] += times
        if times > 0:
            homes[pair].add(word)


def _joined(parts: list[str], pair: tuple[str, str]) -> list[str]:
    joined, place = [], 0
    while place < len(parts):
        two = tuple(parts[place : place + 2]) == pair
        joined.append("".join(pair) if two else parts[place])
        place += 2 if two else 1
    return joined
