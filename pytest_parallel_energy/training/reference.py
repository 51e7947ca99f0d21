"""The registry of the reference workloads, which the package brings with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = ["REFERENCE", "registry_files"]

REFERENCE = "reference"
"""The name that stands for the packaged registry, in ``energy_models`` and after ``--energy-models``."""


def registry_files(named: Sequence[Path]) -> tuple[Path, ...]:
    """Return the registries to read: the reference workloads where none is named, and in place of ``reference``.

    A registry has a suffix that tells its format, so that no file of the user can have this name.
    """
    packaged = _packaged_registry()
    if not named:
        return () if packaged is None else (packaged,)
    return tuple(packaged if packaged is not None and path.name == REFERENCE else path for path in named)


def _packaged_registry() -> Path | None:
    """Return the registry inside the installed package, or in the checkout that the package is imported from."""
    package = Path(__file__).parents[1]
    places = (package / "experiments" / "workloads.json", package.parent / "experiments" / "workloads.json")
    return next((place for place in places if place.is_file()), None)
