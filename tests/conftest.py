"""Each test of the project ends within two minutes, or fails."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items):
    """A limit for the tests here; the reference experiments train for as long as their authors wish."""
    for item in items:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(120))
