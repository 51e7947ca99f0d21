"""Imports of the package's modules without pytest's rewriting of assertions, of which they have none."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, PathFinder
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

__all__ = ["import_plainly"]

_PACKAGE = "pytest_parallel_energy."
_EXPERIMENTS = f"{_PACKAGE}experiments"
"""The reference workloads, which hold tests."""


class _PlainFinder:
    """A finder of the package's modules for ``sys.meta_path``.

    pytest takes each module of a plugin for one with assertions and parses, rewrites and compiles it. Under
    ``PYTHONDONTWRITEBYTECODE``, as in most container images, it does so in every session, although the installer has
    compiled the modules.
    """

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        """Return the module as Python itself finds it; ``None`` outside the package."""
        if not name.startswith(_PACKAGE) or name.startswith(_EXPERIMENTS):
            return None
        return PathFinder.find_spec(name, path)


def import_plainly(config: pytest.Config) -> None:
    """Let Python import the modules of the package by itself until the session ends."""
    finder = _PlainFinder()
    sys.meta_path.insert(0, finder)

    def remove() -> None:
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)

    config.add_cleanup(remove)
