"""The house: imports point one way, and pytest stays in its rooms."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import pytest_parallel_energy

PACKAGE = Path(pytest_parallel_energy.__file__).parent

# A module may import from its own wing and from floors below it; wings on one floor do not know each other.
FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"errors"}),
    frozenset({"units"}),
    frozenset({"energy", "processes", "mutation", "results"}),
    frozenset({"load", "training"}),
    frozenset({"sweep"}),
    frozenset({"options"}),
    frozenset({
        "markers",
        "settings",
        "cells",
        "session",
        "recording",
        "neighbours",
        "experiment",
        "gate",
        "legs",
        "views",
        "answers",
        "conclusion",
        "testing",
    }),
    frozenset({"fixtures", "files"}),
    frozenset({"hooks", "commands"}),
    frozenset({"plugin", "cli", "__init__"}),
    frozenset({"__main__"}),
)
COMPOSITION = FLOORS[6]
PYTEST_ROOMS = {"plugin", "fixtures", "files", "options", "settings", "hooks"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def floor_of(room: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def name_of(path: Path) -> str:
    return ".".join(("pytest_parallel_energy", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
        ".__init__"
    )


MODULE_NAMES = frozenset(map(name_of, modules()))


def imports_of(path: Path, *, at_run_time: bool = True) -> set[str]:
    """Absolute names of the modules that a file imports; those for the type checker alone only when asked for."""
    package = name_of(path) if path.name == "__init__.py" else name_of(path).rpartition(".")[0]
    tree = ast.parse(path.read_text())
    typing_only = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    found = set()
    for node in ast.walk(tree):
        if at_run_time and node in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = parts[: len(parts) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            submodules = {f"{origin}.{alias.name}" for alias in node.names} & MODULE_NAMES
            found |= submodules or {origin}
    return found


def own_rooms(path: Path) -> set[str]:
    ours = {name for name in imports_of(path, at_run_time=False) if name.startswith("pytest_parallel_energy.")}
    rooms = {name.split(".")[1] for name in ours}
    known = frozenset().union(*FLOORS)
    return {room for room in rooms if room in known and room != "__init__"}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    """A module imports from its own wing and from the floors below, also for types alone; composition is one room."""
    room = room_of(path)
    allowed = {room} | (COMPOSITION if room in COMPOSITION else set())
    below = set().union(*FLOORS[: floor_of(room)])
    assert own_rooms(path) <= allowed | below


def test_no_cycle():
    """No module reaches itself through what it imports at run time."""
    names = {name_of(path): path for path in modules()}
    graph = {name: (imports_of(path) & names.keys()) - {name} for name, path in names.items()}
    assert list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_pytest_stays_in_its_rooms(path):
    """Everything below the fixtures works in a plain script, without pytest."""
    if room_of(path) in PYTEST_ROOMS:
        pytest.skip("this room is pytest's")
    assert not {name for name in imports_of(path) if name.split(".")[0] in {"pytest", "_pytest"}}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_private_pytest(path):
    """Only pytest's public names are used."""
    assert not {name for name in imports_of(path) if name.split(".")[0] == "_pytest"}
