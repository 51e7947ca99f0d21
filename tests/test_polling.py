"""The helper with which tests wait."""

from __future__ import annotations

import pytest
from polling import eventually


def test_it_returns_the_first_true_result():
    """The condition is called until it is true."""
    results = iter([0, None, "", "there", "later"])
    assert eventually(lambda: next(results), pause_s=0) == "there"


def test_it_ends_at_its_deadline():
    """A condition that stays false fails the test, with what it was."""
    with pytest.raises(AssertionError, match=r"still \[\] after 0.05 s"):
        eventually(list, timeout_s=0.05)
