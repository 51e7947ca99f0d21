"""``pytest-parallel-energy add-workload``: a registry entry for a training script, to be edited by the user."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from ..errors import ConfigError
from ..processes.child import start_supervised
from ..processes.command import Command
from ..processes.rules import Supervision
from ..records.atomic_write import write_file

__all__ = ["configure", "run"]

_HELP_S = 60.0
_LOG_BYTES = 1 << 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the subcommand."""
    parser.description = """\
Write a first registry entry for a training script: from its --help (argparse, click and what builds on them), its
source and, if named, a config file and a log of one run. The script is run once, with --help. The entry is printed, or
added to a registry with --write; it is meant to be edited."""
    parser.epilog = """\
examples:
  pytest-parallel-energy add-workload ../my-repository/train.py
  pytest-parallel-energy add-workload train.py --log run.log --write workloads.json
  pytest-parallel-energy add-workload train.py --config conf/base.yaml --config-flag=--config
  pytest-parallel-energy add-workload train.py --python ../my-repository/.venv/bin/python"""
    parser.add_argument("script", metavar="PATH", help="the training script: a .py file or an executable")
    parser.add_argument("--name", help="name of the repository in the registry (default: the name of its folder)")
    parser.add_argument("--repository", metavar="DIR", help="folder that the script runs in (default: the script's)")
    parser.add_argument("--python", metavar="FILE", help="interpreter of the script (default: the one of this command)")
    parser.add_argument("--config", metavar="FILE", help="config file of the script: JSON, TOML, YAML or Python")
    parser.add_argument(
        "--config-flag", default="--config", metavar="FLAG", help="flag before its path (default: %(default)s)"
    )
    parser.add_argument("--log", metavar="FILE", help="log of one run: metrics are looked for in it")
    parser.add_argument("--write", metavar="REGISTRY", help="JSON registry to add the entry to; made if missing")


def run(options: argparse.Namespace) -> int:
    """Print the entry or add it to a registry, and say what is left to do."""
    script = Path(options.script)
    if not script.is_file():
        raise ConfigError(f"{script} is not a file; name the script that trains, such as repository/train.py")
    repository = Path(options.repository) if options.repository else script.absolute().parent
    name = options.name or repository.resolve().name
    base = Path(options.write).absolute().parent if options.write else Path.cwd()
    entry, notes = _proposal(options, script.absolute(), repository.absolute(), base)
    document = {"models": {name: entry}}
    if options.write:
        _write(Path(options.write), name, entry)
        notes.insert(0, f"wrote {name}/default to {options.write}")
    else:
        print(json.dumps(document, indent=2, ensure_ascii=False))  # noqa: T201 - the answer itself
    for note in notes:
        print(note, file=sys.stderr)  # noqa: T201 - a command's own output
    return 0


def _proposal(
    options: argparse.Namespace, script: Path, repository: Path, base: Path
) -> tuple[dict[str, Any], list[str]]:
    from ..training.entry_proposal import from_config, from_options

    interpreter = options.python or sys.executable
    found, notes = _script_options(script, repository, interpreter)
    parts, others = from_options(found)
    entry: dict[str, Any] = {"path": _relative(repository, base), "train_script": _relative(script, repository)}
    if options.python:
        entry["python"] = _relative(Path(options.python), base)
    entry |= {"models": ["default"], **parts}
    if options.config:
        template = Path(options.config).absolute()
        entry["config"] = {"template": _relative(template, repository), "flag": options.config_flag}
        entry["supported_hyperparams"] |= from_config(_config_keys(template))
    entry |= _metrics(options.log, base)
    if others:
        notes.append(f'not proposed: {", ".join(others)}; put those that each run needs into "required_args"')
    if "output" not in entry:
        notes.append('no flag of an output folder was found: if the script writes files, add "output" (see the docs)')
    if not options.log:
        notes.append(
            "check the metric pattern: keep the log of one run and try\n"
            "  pytest-parallel-energy metrics LOG --models REGISTRY --workload NAME/default"
        )
    return entry, notes


def _script_options(script: Path, repository: Path, interpreter: str) -> tuple[list[Any], list[str]]:
    """Return the options of a script; what its source says replaces what its help leaves open."""
    from ..training.script_options import help_options, source_options

    notes: list[str] = []
    argv = (interpreter, str(script), "--help") if script.suffix == ".py" else (str(script), "--help")
    text, problem = _help(argv, repository)
    if problem:
        notes.append(f"{script.name} --help {problem}; the entry comes from the source alone")
    found = {option.name: option for option in help_options(text)}
    try:
        declared = source_options(script.read_text(encoding="utf-8")) if script.suffix == ".py" else []
    except (SyntaxError, UnicodeDecodeError) as error:
        declared, note = [], f"{script.name} cannot be parsed: {error}"
        notes.append(note)
    for option in declared:
        known = found.get(option.name)
        if known is None and text and not problem:
            continue  # of a sub-command or another program of the same file
        if known is None or option.kind is not None:
            found[option.name] = option if known is None else _merged(known, option)
    return list(found.values()), notes


def _merged(helped: Any, declared: Any) -> Any:
    default = declared.default if declared.default is not None else helped.default
    return replace(declared, default=default, choices=helped.choices, takes_value=helped.takes_value)


def _help(argv: tuple[str, ...], folder: Path) -> tuple[str, str]:
    """Return the help text of a script, and what went wrong, if anything."""
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "help.txt"
        command = Command(argv=argv, cwd=folder, env={"COLUMNS": "160", "NO_COLOR": "1"})
        with start_supervised(command, Supervision(log=log, grace_s=1.0)) as child:
            outcome = child.wait(_HELP_S)
        text = log.read_text(encoding="utf-8", errors="replace")
    if outcome is None:
        return "", f"did not end within {_HELP_S:g} s and was stopped"
    if outcome.exit_code != 0:
        last = (text.strip().splitlines() or ["no output"])[-1]
        return "", f"failed with exit code {outcome.exit_code} ({last})"
    return text, ""


def _config_keys(template: Path) -> dict[str, Any]:
    from ..training.config_file import template_keys

    return template_keys(template)


def _metrics(log: str | None, base: Path) -> dict[str, Any]:
    from ..training.entry_proposal import log_patterns
    from ..training.log_search import plain_text

    if log is None:
        return {"performance_metrics": {"log_patterns": {"accuracy": "accuracy\\s*[:=]\\s*([0-9.]+)"}}}
    try:
        with Path(log).open("rb") as stream:
            lines = plain_text(stream.read(_LOG_BYTES).decode("utf-8", "replace")).splitlines()
    except OSError as error:
        raise ConfigError(f"the log {log} cannot be read: {error.strerror}") from error
    found = log_patterns(lines)
    if not found["log_patterns"]:
        raise ConfigError(
            f"no number in {log} looks like a metric (accuracy: 0.5); leave --log out and write the pattern"
        )
    return {"performance_metrics": found, "sample_log": _relative(Path(log).absolute(), base)}


def _relative(path: Path, base: Path) -> str:
    return os.path.relpath(path.absolute(), base)


def _write(file: Path, name: str, entry: dict[str, Any]) -> None:
    """Add the entry to a registry; what the file holds already stays, and a registry that cannot be read is kept.

    Raises:
        ConfigError: the file is not a JSON registry, has such an entry, or cannot be written.
    """
    from ..training.registry import load_registry

    before = None
    try:
        before = file.read_text(encoding="utf-8") if file.exists() else None
        document = json.loads(before) if before is not None else {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read as JSON: {error}") from error
    models = document.setdefault("models", {}) if isinstance(document, dict) else None
    if not isinstance(models, dict):
        raise ConfigError(f'{file} is not a registry: {{"models": {{…}}}}')
    if name in models:
        raise ConfigError(f"{file} has an entry {name!r} already; choose another --name, or edit the entry")
    models[name] = entry
    write_file(file, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    try:
        load_registry([file])
    except ConfigError as error:
        if before is not None:
            write_file(file, before)
        else:
            file.unlink()
        raise ConfigError(f"the proposed entry is not valid, {file} was left as it was: {error}") from error
