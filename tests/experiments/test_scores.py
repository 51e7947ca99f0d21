"""Accuracy and F1."""

from __future__ import annotations

from binary_scores import accuracy, f1_score


def test_f1_of_naming_everything():
    """Naming every function vulnerable has F1 2/3 when half of them are, and accuracy one half."""
    truths = [0, 1] * 10
    assert round(f1_score([1] * 20, truths), 3) == 0.667
    assert accuracy([1] * 20, truths) == 0.5


def test_f1_without_a_single_one_is_zero():
    """No vulnerable function, none named: 0 by agreement, not a division by zero."""
    assert f1_score([0, 0], [0, 0]) == 0.0
