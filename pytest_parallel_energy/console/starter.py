"""``pytest-parallel-energy init``: the files of a first experiment, to run at once and to change afterwards."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import ConfigError
from ..records.atomic_write import file_in_the_way, why

__all__ = ["configure", "run", "write_starter"]

_FILES = Path(__file__).parent / "starter_files"
"""Templates end in .txt, so that no tool takes them for modules or tests of this package."""
_PYPROJECT = """[tool.pytest.ini_options]
testpaths = ["."]
energy_models = ["workloads.json"]
"""
_PYPROJECT_IN_PROCESS = """[tool.pytest.ini_options]
testpaths = ["."]
"""
_KINDS = ("script", "in-process", "file")


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the subcommand."""
    parser.description = """\
Write the files of a first experiment, which runs at once and is meant to be changed. Existing files are never
overwritten."""
    parser.epilog = """\
examples:
  pytest-parallel-energy init my-experiment
  pytest-parallel-energy init my-experiment --repository ../my-repository --script train.py"""
    parser.add_argument(
        "folder", nargs="?", default=".", metavar="DIR", help="folder to write to (default: the working directory)"
    )
    parser.add_argument(
        "--kind",
        choices=_KINDS,
        default="script",
        help="script: a training script, its registry entry and tests (default); in-process: a test that trains in "
        "pytest's own process; file: the same script, with an experiment file instead of tests",
    )
    parser.add_argument(
        "--repository",
        metavar="PATH",
        help="write a registry entry and a test for an existing repository instead of the example; needs --script",
    )
    parser.add_argument("--script", metavar="FILE", help="the repository's training script, relative to PATH")


def run(options: argparse.Namespace) -> int:
    """Write the files, and print their paths and the command that runs them."""
    folder = Path(options.folder)
    written = write_starter(folder, options.kind, repository=options.repository, script=options.script)
    for path in written:
        print(f"wrote {path}")  # noqa: T201 - a command's own output
    if _hides_settings(folder, written):
        print(  # noqa: T201
            f"note: pytest reads {folder / 'pytest.ini'} instead of the pytest settings in "
            f"{folder / 'pyproject.toml'}: move its lines there and delete it, or name another folder"
        )
    if options.repository:
        print("next: describe the script's flags and metrics in workloads.json")  # noqa: T201
    where = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
    target = "starter.energy.json" if options.kind == "file" else ""
    print(f"run it with: {where}pytest {target}".rstrip())  # noqa: T201
    return 0


def write_starter(
    folder: Path, kind: str = "script", *, repository: str | None = None, script: str | None = None
) -> list[Path]:
    """Write the files of a first experiment into a folder, which is made where it is missing; return their paths.

    Args:
        folder: where to write.
        kind: ``script``, ``in-process`` or ``file``, as ``init --kind`` explains.
        repository: an existing repository to write a registry entry and a test for.
        script: its training script, relative to it.

    Raises:
        ConfigError: one of the files exists already (nothing is written then), the folder cannot be written, or the
            repository's script is missing.
    """
    contents = _contents(folder, kind) if repository is None else _repository_contents(folder, repository, script)
    existing = [name for name in contents if (folder / name).exists()]
    if existing:
        raise ConfigError(
            f"{folder} already has {', '.join(existing)}; nothing was written. Name another folder: "
            "pytest-parallel-energy init DIR"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in contents.items():
            with (folder / name).open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        obstacle = file_in_the_way(folder)
        reason = f"{obstacle} is a file, not a folder" if obstacle else why(error)
        raise ConfigError(
            f"{folder} cannot be written: {reason}. Name another folder: pytest-parallel-energy init DIR"
        ) from error
    return [folder / name for name in contents]


def _contents(folder: Path, kind: str) -> dict[str, str]:
    if kind == "in-process":
        names, settings = {"test_energy.py": "test_in_process.py"}, _PYPROJECT_IN_PROCESS
    else:
        own = "starter.energy.json" if kind == "file" else "test_energy.py"
        names, settings = {name: name for name in ("train.py", "workloads.json", own)}, _PYPROJECT
    return {name: (_FILES / f"{source}.txt").read_text(encoding="utf-8") for name, source in names.items()} | _settings(
        folder, settings
    )


def _repository_contents(folder: Path, repository: str, script: str | None) -> dict[str, str]:
    root = Path(repository)
    if script is None:
        raise ConfigError("--repository needs --script: the training script, relative to the repository")
    if not (root / script).is_file():
        raise ConfigError(f"{root / script} is not a file: --script names the training script inside {root}")
    name = root.resolve().name
    entry = {
        "path": os.path.relpath(root.resolve(), folder.resolve()),
        "train_script": script,
        "models": ["default"],
        "supported_hyperparams": {
            "learning_rate": {
                "flag": "--lr",
                "type": "float",
                "default": 0.01,
                "range": [0.001, 0.1],
                "distribution": "log_uniform",
            },
        },
        "performance_metrics": {"log_patterns": {"test_accuracy": "accuracy[:=] *([0-9.]+)"}},
    }
    registry = json.dumps({"models": {name: entry}}, indent=2) + "\n"
    test = (
        f'"""Energy experiments on {name}. Run them with: pytest"""\n\nimport pytest\n\n\n'
        f'@pytest.mark.workload("{name}/default")\n@pytest.mark.energy(repeats=3)\n'
        "def test_training(train, energy_meter):\n"
        '    """Train with the default hyperparameters."""\n'
        "    train()\n    assert energy_meter.total_j > 0\n"
    )
    return {"workloads.json": registry, "test_energy.py": test} | _settings(folder, _PYPROJECT)


def _settings(folder: Path, text: str) -> dict[str, str]:
    """Return the settings as a file of their own: pyproject.toml, or pytest.ini where the project has the former."""
    if not (folder / "pyproject.toml").exists():
        return {"pyproject.toml": text}
    return {"pytest.ini": "[pytest]\n" + "".join(_as_ini(line) for line in text.splitlines()[1:])}


def _hides_settings(folder: Path, written: Sequence[Path]) -> bool:
    """Return whether a written pytest.ini takes the place of settings of pytest that the project already had."""
    if folder / "pytest.ini" not in written:
        return False
    text = (folder / "pyproject.toml").read_text(encoding="utf-8", errors="replace")
    return any(line.strip().startswith("[tool.pytest") for line in text.splitlines())


def _as_ini(line: str) -> str:
    name, _, value = line.partition(" = ")
    return f"{name} = {json.loads(value)[0]}\n"
