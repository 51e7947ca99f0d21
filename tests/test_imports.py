"""The architecture: imports point one way, pytest stays inside ``plugin/``, and no name is used twice."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import pytest_parallel_energy

PACKAGE = Path(pytest_parallel_energy.__file__).parent

# From the bottom up. A module imports from its own package and from the floors below it; packages on one floor do not
# know each other.
FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"errors"}),
    frozenset({"units"}),
    frozenset({"records", "processes", "mutation"}),
    frozenset({"documents", "host"}),
    frozenset({"statistics", "load", "energy", "training"}),
    frozenset({"reports", "testing"}),
    frozenset({"plan"}),
    frozenset({"study"}),
    frozenset({"run"}),
    frozenset({"console"}),
    frozenset({"plugin"}),
    frozenset({"__init__"}),
    frozenset({"__main__"}),
)
# Inside run/, from the bottom up, by the same rule.
RUN_FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"own_variables", "window_watch"}),
    frozenset({"load_leg", "use_shares"}),
    frozenset({
        *("closing", "conclusion_settings", "legs", "measuring_role", "outputs", "own_threads", "progress"),
        *("progress_parts", "record_parts", "sensor_words", "trained_code"),
    }),
    frozenset({"attempt_journal", "attempt_trainings", "experiment_cell", "load_check", "log_repair"}),
    frozenset({"session", "conclusion"}),
    frozenset({"loads", "ready_host"}),
    frozenset({"held_end"}),
    frozenset({"attempt"}),
    frozenset({"experiment"}),
)


def modules(package: str = "") -> list[Path]:
    return sorted((PACKAGE / package).rglob("*.py"))


def relative(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def package_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def name_of(path: Path) -> str:
    parts = ("pytest_parallel_energy", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


MODULE_NAMES = frozenset(map(name_of, modules()))


def imports_of(path: Path) -> set[str]:
    """Absolute names of everything that a file imports, wherever in it, also for the type checker alone."""
    package = name_of(path) if path.name == "__init__.py" else name_of(path).rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = parts[: len(parts) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            submodules = {f"{origin}.{alias.name}" for alias in node.names} & MODULE_NAMES
            found |= submodules or {origin}
    return found


def floor_of(name: str, floors: tuple[frozenset[str], ...]) -> int:
    return next(number for number, names in enumerate(floors) if name in names)


@pytest.mark.parametrize("path", modules(), ids=relative)
def test_imports_point_down(path):
    """A module imports from its own package and from the floors below it, also for types alone."""
    package = package_of(path)
    below = frozenset().union(*FLOORS[: floor_of(package, FLOORS)])
    used = {name.split(".")[1] for name in imports_of(path) if name.startswith("pytest_parallel_energy.")}
    assert used & frozenset().union(*FLOORS) <= below | {package}


@pytest.mark.parametrize("path", modules("run"), ids=relative)
def test_imports_inside_run_point_down(path):
    """The modules of ``run/`` have an order of their own; each is on one of its floors."""
    if path.name == "__init__.py":
        return
    below = frozenset().union(*RUN_FLOORS[: floor_of(path.stem, RUN_FLOORS)])
    assert {name.split(".")[2] for name in imports_of(path) if name.startswith("pytest_parallel_energy.run.")} <= below


def test_no_cycle():
    """No module reaches itself through what it imports, imports for the type checker included."""
    names = {name_of(path): path for path in modules()}
    graph = {name: (imports_of(path) & names.keys()) - {name} for name, path in names.items()}
    assert list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("path", modules(), ids=relative)
def test_pytest_stays_in_the_plugin(path):
    """Everything outside ``plugin/`` works in a plain script, without pytest; nothing uses pytest's private names."""
    foreign = {name.split(".")[0] for name in imports_of(path)}
    assert "_pytest" not in foreign
    assert package_of(path) == "plugin" or "pytest" not in foreign


def test_the_command_line_does_not_import_pytest():
    """The console script starts without pytest, which would be half of its start-up time."""
    code = "import sys, pytest_parallel_energy.console.cli; assert 'pytest' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_module_names_are_unique():
    """A module name says which module is meant, without its package."""
    counts = Counter(path.stem for path in modules() if not path.stem.startswith("__"))
    assert not [name for name, count in counts.items() if count > 1]


def test_class_names_are_unique():
    """A class name is used once in the package."""
    trees = [ast.parse(path.read_text()) for path in modules()]
    counts = Counter(node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    assert not [name for name, count in counts.items() if count > 1]
