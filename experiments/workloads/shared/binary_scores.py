"""Scores of yes-or-no answers."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["accuracy", "f1_score"]


def accuracy(answers: Sequence[int], truths: Sequence[int]) -> float:
    """Return the share of right answers, 0 to 1.

    >>> accuracy([1, 0, 1, 1], [1, 0, 0, 1])
    0.75
    """
    return sum(answer == truth for answer, truth in zip(answers, truths, strict=True)) / len(truths)


def f1_score(answers: Sequence[int], truths: Sequence[int]) -> float:
    """Return the harmonic mean of precision and recall for class 1, 0 to 1; 0 when there is no 1 in answers and truths.

    >>> f1_score([1, 0, 1, 1], [1, 0, 0, 1])
    0.8
    """
    both = sum(answer == truth == 1 for answer, truth in zip(answers, truths, strict=True))
    named = sum(answer == 1 for answer in answers) + sum(truth == 1 for truth in truths)
    return 2 * both / named if named else 0.0
