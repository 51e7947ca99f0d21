"""The reference pages of the documentation, written from the code: they cannot say what the program does not do."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import griffe

from pytest_parallel_energy.console.cli import COMMANDS
from pytest_parallel_energy.plan.options import MARKERS, OPTIONS, Option

from . import code_pages
from .markdown_text import as_markdown, sentence, table

__all__ = ["reference_pages"]

ROOT = Path(__file__).parents[1]

_OTHER_VARIABLES = {
    "PYTEST_ENERGY_SYSFS_ROOT": "root under which the powercap and perf trees are looked for, for containers that mount "
    "the host's `/sys` elsewhere (default: `/sys`)",
    "PARALLEL_ENERGY_OUTPUT_DIR": "set *for* a training and for a load: the path of its own output folder",
    "PARALLEL_ENERGY_ROUND": "set *for* a background load: the number of its round, from 1",
    "EXPERIMENTS_CACHE": "folder for the generated data sets of the reference workloads (default: "
    "`~/.cache/pytest-parallel-energy`)",
}
"""Variables that belong to no option. A test compares them with those that the code reads."""

_EXIT_STATUSES = {
    "`pytest`": {
        "0": "all tests passed, and no gate closed; also a resumed run of which nothing was left",
        "1": "a test failed, a load did not run, or a gate of `--energy-compare-fail` closed",
        "2": "the run was interrupted, by Ctrl-C or because `--energy-budget` was used up",
        "4": "an option, registry, experiment file or baseline cannot be used; nothing was measured",
        "5": "pytest collected no test",
        "129, 143": "SIGHUP or SIGTERM ended the run: 128 + the number of the signal",
    },
    "`pytest --energy-doctor`": {
        "0": "energy can be measured on this machine",
        "1": "it can only be estimated, or not at all",
    },
    "`pytest-parallel-energy`": {
        "0": "the command did what was asked",
        "1": "the answer is bad news: a gate of `compare --fail` closed, no sensor can measure (`doctor`), a leftover "
        "process could not be killed (`kill-background`)",
        "2": "the command line or a file cannot be used",
        "130": "Ctrl-C",
        "141": "the reader of the output has gone away, as in `list | head`",
        "any other": "`measure`: the status of the measured command",
    },
}


def reference_pages() -> dict[str, str]:
    """Return the Markdown text of each generated page, by its path in the documentation."""
    return {
        "reference/options.md": _options(),
        "reference/markers-and-fixtures.md": _markers_and_fixtures(),
        "reference/command-line.md": _command_line(),
        "reference/record.md": code_pages.record(),
        "reference/experiment-file.md": code_pages.experiment_file(),
        "reference/environment.md": _environment(),
        "reference/exit-statuses.md": _exit_statuses(),
        "reference/api.md": code_pages.public_interface(),
        "reference/messages.md": code_pages.messages(),
    }


def _options() -> str:
    parts = [
        "# Options and settings\n",
        "Every option of pytest has a setting of the same meaning in the ini file (`pytest.ini`, or "
        "`[tool.pytest.ini_options]` in `pyproject.toml`) and an environment variable. A marker takes precedence over "
        "the command line, the command line over the environment, the environment over the ini file, and that over "
        "the default.\n\nAn option with an optional value takes it only after `=`: `--energy-resume=RUN`.\n",
    ]
    for option in OPTIONS:
        parts += [f"## `{option.flag}{_value_of(option)}`\n", f"{sentence(option.help.replace('%%', '%'))}\n"]
        default = option.default or ("off" if option.kind == "flag" else "none")
        parts.append(
            f"Ini: `{option.ini_name}` ({_ini_type(option)}). Environment: `{option.variable}`. Default: {default}."
            + (f" Marker: `@pytest.mark.energy({option.field}=…)`." if option.marker else "")
            + "\n"
        )
    return "\n".join(parts)


def _value_of(option: Option) -> str:
    if option.bare is not None:
        return f"[={option.metavar}]"
    return f"={option.metavar}" if option.metavar else ""


def _ini_type(option: Option) -> str:
    return {"args": "a list", "bool": "true or false", "string": "text"}.get(option.ini, option.ini)


def _markers_and_fixtures() -> str:
    parts = ["# Markers and fixtures\n", "## Markers\n"]
    for name, text in MARKERS.items():
        signature, _, meaning = text.partition("): ")
        parts += [f"### `{name}`\n", f"```python\n@pytest.mark.{signature})\n```\n", f"{sentence(meaning)}\n"]
    parts += ["## Fixtures\n", "A test that asks for one of them is an experiment.\n"]
    module = griffe.load("pytest_parallel_energy", search_paths=[ROOT])["plugin.fixtures"]
    for function in module.functions.values():
        if any(str(decorator.value).startswith("pytest.fixture") for decorator in function.decorators):
            parts += [f"### `{function.name}`\n", as_markdown(function.docstring), ""]
    return "\n".join(parts)


def _command_line() -> str:
    parts = [
        "# The command line\n",
        "`pytest-parallel-energy` works with results and needs no pytest; `python -m pytest_parallel_energy` is the "
        "same. Experiments themselves are started by `pytest`.\n",
    ]
    for name, (module, summary) in COMMANDS.items():
        parser = argparse.ArgumentParser(
            prog=f"pytest-parallel-energy {name}",
            formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=100),
        )
        import_module(f"pytest_parallel_energy.console.{module}").configure(parser)
        parts += [f"## `{name}`\n", f"{sentence(summary)}\n", f"```text\n{parser.format_help()}```\n"]
    return "\n".join(parts)


def _environment() -> str:
    rows = [(f"`{option.variable}`", f"the same as [`{option.flag}`](options.md)") for option in OPTIONS]
    rows += [(f"`{name}`", meaning) for name, meaning in _OTHER_VARIABLES.items()]
    rows += [
        (f"`{name}`", f"data set of `{repository}`, instead of the generated one") for name, repository in _data_sets()
    ]
    return "# Environment variables\n\n" + table(("variable", "meaning"), rows)


def _data_sets() -> Iterator[tuple[str, str]]:
    for script in sorted((ROOT / "experiments" / "workloads").rglob("train_*.py")):
        for name in sorted(set(re.findall(r"EXPERIMENTS_(?!CACHE)[A-Z0-9_]+", script.read_text(encoding="utf-8")))):
            yield name, script.parent.name


def _exit_statuses() -> str:
    parts = ["# Exit statuses\n"]
    for program, statuses in _EXIT_STATUSES.items():
        parts += [f"## {program}\n", table(("status", "meaning"), statuses.items())]
    return "\n".join(parts)
