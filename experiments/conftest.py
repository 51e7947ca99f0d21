"""The marker of the reference experiments."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "quick: takes seconds without a GPU or a data set; run all of them with -m quick"
    )
