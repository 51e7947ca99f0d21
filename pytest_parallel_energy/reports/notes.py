"""Numbered notes below a table; sentences that differ in their amounts alone are one note."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from msgspec import Struct, field

__all__ = ["Notes", "merged_counts"]

_NUMBER = r"(-?\d+(?:\.\d+)?)"
# An amount, or a range of amounts, with its unit. Plain numbers, such as exit codes and line numbers, are not amounts:
# a range of them would name values that never occurred.
_AMOUNT = re.compile(rf"(?<![\w.]){_NUMBER}(?: to {_NUMBER})?(?= ?(?:%|[mkM]?[JWs]\b|°C|MiB\b|GiB\b|min\b))")


class Notes(Struct):
    """Sentences numbered from 1 in the order of their first use, each once."""

    _variants: dict[str, dict[str, None]] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)

    def refer(self, sentences: Iterable[str]) -> str:
        """Return the numbers of ``sentences``, in ascending order."""
        found = set()
        for sentence in sentences:
            template = _template(sentence)
            self._variants.setdefault(template, {})[sentence] = None
            found.add(self._numbers.setdefault(template, len(self._numbers) + 1))
        return " ".join(map(str, sorted(found)))

    @property
    def sentences(self) -> list[str]:
        """The notes in the order of their numbers, with ranges where the amounts differ."""
        return [_merged(template, list(variants)) for template, variants in self._variants.items()]


def merged_counts(sentences: Iterable[str]) -> list[tuple[str, int]]:
    """Return the notes that some sentences make, the most frequent first, with how many sentences each stands for.

    >>> merged_counts(["others used 3 % of the CPU", "others used 8 % of the CPU", "exit 1", "exit 2"])
    [('others used 3 to 8 % of the CPU', 2), ('exit 1', 1), ('exit 2', 1)]
    """
    found: dict[str, Counter[str]] = {}
    for sentence in sentences:
        found.setdefault(_template(sentence), Counter())[sentence] += 1
    counts = [(_merged(template, list(variants)), variants.total()) for template, variants in found.items()]
    return sorted(counts, key=lambda pair: -pair[1])


def _template(sentence: str) -> str:
    return _AMOUNT.sub("\0", sentence)


def _merged(template: str, variants: list[str]) -> str:
    """Return one sentence for variants of one template: each amount as it is, or as the range of its values."""
    amounts = []
    for column in zip(*(_AMOUNT.findall(variant) for variant in variants), strict=True):
        ends = [end for amount in column for end in amount if end]
        low, high = min(ends, key=float), max(ends, key=float)
        amounts.append(low if float(low) == float(high) else f"{low} to {high}")
    head, *rest = template.split("\0")
    return head + "".join(f"{amount}{text}" for amount, text in zip(amounts, rest, strict=True))
