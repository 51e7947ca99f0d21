"""The marker of the reference experiments, and the skip where their libraries are missing."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

_LIBRARIES = ("numpy", "PIL", "sklearn", "torch", "tree_sitter", "tree_sitter_c")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "quick: takes seconds without a GPU or a data set; run all of them with -m quick"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the experiments, with the remedy, where a library of the trainings is not installed."""
    missing = [name for name in _LIBRARIES if find_spec(name) is None]
    if not missing:
        return
    reason = f"{', '.join(missing)} not installed: the reference experiments need the extra 'experiments'"
    folder = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(folder):
            item.add_marker(pytest.mark.skip(reason=reason))
