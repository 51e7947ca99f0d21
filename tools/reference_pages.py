"""The reference pages of the documentation, written from the code: they cannot say what the program does not do."""

from __future__ import annotations

import argparse
import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import griffe

from pytest_parallel_energy.console.cli import COMMANDS
from pytest_parallel_energy.plan.options import MARKERS, OPTIONS, Option

__all__ = ["reference_pages"]

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pytest_parallel_energy"
_FORMATS = {"json": "JSON", "toml": "TOML", "yaml": "YAML"}
_RECORD_PARTS = ("records.record", "records.energy_values", "records.job_part")

_OTHER_VARIABLES = {
    "PYTEST_ENERGY_SYSFS_ROOT": "root under which the powercap and perf trees are looked for, for containers that mount "
    "the host's `/sys` elsewhere (default: `/sys`)",
    "PYTEST_ENERGY_SHARED_MEMORY": "`writable` lets trainings and loads change the host's `/dev/shm`; otherwise each has "
    "its own, with the host's data to read",
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
        "reference/record.md": _record(),
        "reference/experiment-file.md": _experiment_file(),
        "reference/environment.md": _environment(),
        "reference/exit-statuses.md": _exit_statuses(),
        "reference/api.md": _public_interface(),
        "reference/messages.md": _messages(),
    }


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines) + "\n"


def _options() -> str:
    parts = [
        "# Options and settings\n",
        "Every option of pytest has a setting of the same meaning in the ini file (`pytest.ini`, or "
        "`[tool.pytest.ini_options]` in `pyproject.toml`) and an environment variable. A marker takes precedence over "
        "the command line, the command line over the environment, the environment over the ini file, and that over "
        "the default.\n\nAn option with an optional value takes it only after `=`: `--energy-resume=RUN`.\n",
    ]
    for option in OPTIONS:
        parts += [f"## `{option.flag}{_value_of(option)}`\n", f"{_sentence(option.help.replace('%%', '%'))}\n"]
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


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}".rstrip(".") + "."


def _markers_and_fixtures() -> str:
    parts = ["# Markers and fixtures\n", "## Markers\n"]
    for name, text in MARKERS.items():
        signature, _, meaning = text.partition("): ")
        parts += [f"### `{name}`\n", f"```python\n@pytest.mark.{signature})\n```\n", f"{_sentence(meaning)}\n"]
    parts += ["## Fixtures\n", "A test that asks for one of them is an experiment.\n"]
    module = griffe.load("pytest_parallel_energy", search_paths=[ROOT])["plugin.fixtures"]
    for function in module.functions.values():
        if any(str(decorator.value).startswith("pytest.fixture") for decorator in function.decorators):
            parts += [f"### `{function.name}`\n", _as_markdown(function.docstring), ""]
    return "\n".join(parts)


def _as_markdown(docstring: griffe.Docstring | None) -> str:
    return "" if docstring is None else docstring.value.replace("``", "`") + "\n"


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
        parts += [f"## `{name}`\n", f"{_sentence(summary)}\n", f"```text\n{parser.format_help()}```\n"]
    return "\n".join(parts)


def _record() -> str:
    parts = [
        "# The record\n",
        "One JSON object per attempt, in `records.jsonl` of a run's folder, and in `experiment.json` of an experiment's "
        "folder. Units are in the names: `_j` joules, `_w` watts, `_s` seconds, `_bytes`, `_ratio` (0 to 1). A field that "
        "is unknown is `null`, never 0, and a flag says why. Fields are added and never renamed or removed within a "
        "version of the schema.\n",
    ]
    package = griffe.load("pytest_parallel_energy", search_paths=[ROOT])
    for path in _RECORD_PARTS:
        for cls in package[path].classes.values():
            if cls.is_alias or not (fields := dict(_fields(cls))):
                continue
            parts += [f"## {cls.name}\n", _as_markdown(cls.docstring).partition("\nArgs:")[0]]
            parts.append(_table(("field", "type", "meaning"), [(f"`{n}`", f"`{t}`", text) for n, (t, text) in fields.items()]))
    return "\n".join(parts)


def _fields(cls: griffe.Class) -> Iterator[tuple[str, tuple[str, str]]]:
    for name, attribute in cls.attributes.items():
        if name.startswith("_"):
            continue
        kind = str(attribute.annotation or attribute.value or "").replace("Mapping", "object")
        yield name, (kind, _as_markdown(attribute.docstring))


def _experiment_file() -> str:
    schema = json.loads((ROOT / "experiments" / "experiment.schema.json").read_text(encoding="utf-8"))
    parts = [
        "# Keys of an experiment file\n",
        f"An experiment file is {', '.join(_FORMATS.values())}. `experiments/experiment.schema.json` completes and checks "
        "it in an editor. What the keys do together is described in [sweeps](../sweeps.md#experiment-files).\n",
    ]
    objects = [(variant.get("title", "The file"), variant) for variant in schema["anyOf"] if "properties" in variant]
    objects += [(_words(name), part) for name, part in schema.get("$defs", {}).items() if "properties" in part]
    for title, part in objects:
        rows = [(f"`{key}`", _schema_type(value), str(value.get("description", ""))) for key, value in part["properties"].items()]
        parts += [f"## {title}\n", _table(("key", "value", "meaning"), rows)]
    return "\n".join(parts)


def _words(name: str) -> str:
    return _sentence(name.replace("_", " ")).rstrip(".")


def _schema_type(value: Mapping[str, Any]) -> str:
    if "anyOf" in value:
        kinds = [_schema_type(choice) for choice in value["anyOf"] if choice.get("type") != "null"]
        return " or ".join(dict.fromkeys(kind for kind in kinds if kind))
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"] if choice is not None)
    if "$ref" in value:
        return str(value["$ref"]).rpartition("/")[2].replace("_", " ")
    if value.get("type") == "array":
        return f"list of {_schema_type(value.get('items', {})) or 'values'}"
    return {"string": "text", "boolean": "true or false"}.get(str(value.get("type", "")), str(value.get("type", "")))


def _environment() -> str:
    rows = [(f"`{option.variable}`", f"the same as [`{option.flag}`](options.md)") for option in OPTIONS]
    rows += [(f"`{name}`", meaning) for name, meaning in _OTHER_VARIABLES.items()]
    rows += [(f"`{name}`", f"data set of `{repository}`, instead of the generated one") for name, repository in _data_sets()]
    return "# Environment variables\n\n" + _table(("variable", "meaning"), rows)


def _data_sets() -> Iterator[tuple[str, str]]:
    for script in sorted((ROOT / "experiments" / "workloads").rglob("train_*.py")):
        for name in sorted(set(re.findall(r"EXPERIMENTS_(?!CACHE)[A-Z0-9_]+", script.read_text(encoding="utf-8")))):
            yield name, script.parent.name


def _exit_statuses() -> str:
    parts = ["# Exit statuses\n"]
    for program, statuses in _EXIT_STATUSES.items():
        parts += [f"## {program}\n", _table(("status", "meaning"), statuses.items())]
    return "\n".join(parts)


def _public_interface() -> str:
    package = griffe.load("pytest_parallel_energy", search_paths=[ROOT])
    names = [name for name in package.exports or () if str(name) != "__version__"]
    parts = [
        "# Python interface\n",
        "Everything here is imported from the top, as in `from pytest_parallel_energy import EnergyMeter`, and works in a "
        "plain script. Names that are not on this page may change.\n",
        *(f"::: pytest_parallel_energy.{name}\n    options:\n      heading_level: 2\n" for name in sorted(map(str, names))),
        "## For tests: `pytest_parallel_energy.testing`\n",
        "Stand-ins with known truth.\n",
    ]
    testing = package["testing"]
    parts += [
        f"::: pytest_parallel_energy.testing.{name}\n    options:\n      heading_level: 3\n"
        for name in sorted(map(str, testing.exports or ()))
    ]
    return "\n".join(parts)


def _messages() -> str:
    rows = sorted({row for path in sorted(PACKAGE.rglob("*.py")) for row in _raised(path)})
    return (
        "# All error messages\n\nThe texts of the errors in the code, with `…` for what is filled in. The search of this "
        "site finds a message by any of its words. [Troubleshooting](../troubleshooting.md) explains the frequent ones.\n\n"
        + _table(("message", "error", "from"), [(text, f"`{error}`", f"`{place}`") for text, error, place in rows])
    )


def _raised(path: Path) -> Iterator[tuple[str, str, str]]:
    place = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args):
            continue
        error = ast.unparse(node.exc.func).rpartition(".")[2]
        text = _message(node.exc.args[0])
        if error.endswith(("Error", "UsageError")) and len(text.split()) > 2:  # noqa: PLR2004 - a sentence, not a name
            yield text, error, place


def _message(node: ast.expr) -> str:
    """Return a text with ``…`` for its variable parts."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_message(part) if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.BinOp):
        return _message(node.left) + _message(node.right)
    return "…"
