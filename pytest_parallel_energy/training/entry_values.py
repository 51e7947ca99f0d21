"""The parts of a registry entry as values: commands, paths, environment variables, output, config file."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..documents.node import Node, shown
from ..errors import ConfigError
from .command_words import placeholders
from .config_file import SUFFIXES, ConfigFile
from .hyperparameter import check_variable, read_pattern
from .metric_files import PICKS, MetricFile, is_known_format, needs_key
from .metric_files import SUFFIXES as METRIC_SUFFIXES
from .rank_launcher import LAUNCHER_PLACEHOLDERS, RankLauncher, ranks_in
from .workload import Output

__all__ = [
    "picked",
    "read_config",
    "read_environment",
    "read_launcher",
    "read_log_pattern",
    "read_metric_file",
    "read_output",
    "read_path",
    "read_python",
    "read_sample",
    "read_words",
    "texts",
]


def texts(node: Node) -> tuple[str, ...]:
    """Return arguments: a list as it is, a text split as a shell would split it, with nothing in it expanded."""
    if isinstance(node.value, list):
        return tuple(item.text() for item in node.array())
    text = node.text()
    try:
        return tuple(shlex.split(text))
    except ValueError as problem:
        node.fail(f"{shown(text)} cannot be split into arguments: {problem}", "write a list of texts instead")


def read_words(node: Node) -> tuple[tuple[str, ...], list[str]]:
    """Return the words of a command, and the names of their placeholders."""
    words = texts(node)
    if not words:
        node.fail("is empty", 'write the program and its arguments: ["torchrun", "train.py"]')
    _refuse_captured_output(node, words)
    try:
        return words, [name for word in words for name in placeholders(word)]
    except ConfigError as problem:
        node.fail(str(problem))


def read_python(node: Node, base: Path) -> tuple[str, ...]:
    """Return an interpreter and its arguments; a path is relative to the registry file, a name is found on PATH."""
    words = tuple(item.text() for item in node.array()) if isinstance(node.value, list) else (node.text(),)
    if not words or not words[0]:
        node.fail("must name an interpreter")
    _refuse_captured_output(node, words)
    if "/" not in words[0]:
        return words
    # Links are kept: an interpreter of a virtual environment is a link, and finds its packages by the link's place.
    return (str(base.absolute() / Path(words[0]).expanduser()), *words[1:])


_CONDA_RUN_WITH_VALUE = ("-n", "--name", "-p", "--prefix", "--cwd")
_CONDA_RUN_LIVE = frozenset({"--no-capture-output", "--live-stream", "-s"})


def _refuse_captured_output(node: Node, words: Sequence[str]) -> None:
    """Refuse ``conda run`` that passes the log on only when the training has ended: epochs would have no times."""
    if Path(words[0]).name != "conda" or words[1:2] != ("run",):
        return
    options = iter(words[2:])
    for option in options:
        if option in _CONDA_RUN_LIVE:
            return
        if not option.startswith("-") or option == "--":
            break
        if option in _CONDA_RUN_WITH_VALUE:
            next(options, "")
    node.fail(
        "runs conda so that it keeps the log back until the training has ended",
        'write ["conda", "run", "--no-capture-output", …], or name the interpreter: "/path/to/envs/NAME/bin/python"',
    )


def read_launcher(node: Node, ranks: Node | None, base: Path, environment: Mapping[str, str]) -> RankLauncher:
    """Return the launcher of an entry, with the number of ranks from ``ranks`` or else from its arguments."""
    if not isinstance(node.value, list):
        node.fail(f"must be a list of words, not {shown(node.value)}", 'for example ["torchrun", "--nproc-per-node=2"]')
    words = read_python(node, base)
    for word in words:
        try:
            unknown = set(placeholders(word)) - set(LAUNCHER_PLACEHOLDERS)
        except ConfigError as problem:
            node.fail(str(problem))
        if unknown:
            node.fail(
                f"has the placeholder {shown(min(unknown))}, which is not known",
                f"a launcher may have {', '.join(LAUNCHER_PLACEHOLDERS)}",
            )
    count = ranks_in(words, environment) if ranks is None else ranks.value
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        (ranks or node).fail(
            "does not give the number of ranks on this machine as a whole number of 1 or more",
            'write it next to the launcher, as in "ranks": 2',
        )
    return RankLauncher(words=words, ranks=count)


def read_config(node: Node) -> ConfigFile:
    """Return the config file of an entry; the template itself is read when a training starts."""
    fields = node.object(("template", "flag"))
    if "template" not in fields:
        node.fail('lacks "template"', 'for example {"template": "conf/base.yaml", "flag": "--config"}')
    template = fields["template"].text()
    if Path(template).suffix.lower() not in SUFFIXES:
        fields["template"].fail(f"{shown(template)} is not one of {', '.join(SUFFIXES)}")
    return ConfigFile(template=template, flag=fields["flag"].text() if "flag" in fields else "")


_LOG_PICKS = ("last", "first", "best", "min", "max", "mean", "each")


def read_log_pattern(node: Node) -> tuple[re.Pattern[str], str]:
    """Return the pattern of a metric, and which of its matches counts: the last one unless the entry says otherwise."""
    if not isinstance(node.value, dict):
        return read_pattern(node), "last"
    fields = node.object(("pattern", "pick"))
    if "pattern" not in fields:
        node.fail('lacks "pattern"', 'for example {"pattern": "^accuracy: ([0-9.]+)$", "pick": "best"}')
    return read_pattern(fields["pattern"]), fields["pick"].one_of(_LOG_PICKS) if "pick" in fields else "last"


def picked(node: Node, pick: str, better: str | None) -> Any:
    """Return the match that counts, with the best one as the least or the greatest.

    Args:
        node: the entry of the metric, for messages.
        pick: as the entry says it.
        better: ``higher`` or ``lower``; ``None`` where the registry does not say.
    """
    if pick != "best":
        return pick
    if better is None:
        node.fail('the pick "best" needs a direction', 'say which values are better: "better": {"NAME": "higher"}')
    return "max" if better == "higher" else "min"


def read_metric_file(node: Node) -> MetricFile:
    """Return the place of a metric in a file of the output folder."""
    fields = node.object(("file", "key", "pick"))
    for name in ("file", "key"):
        if name not in fields and (name == "file" or needs_key(fields["file"].text())):
            node.fail(f"lacks {shown(name)}", 'for example {"file": "results.json", "key": "eval.accuracy"}')
    file = _inside(fields["file"], "output folder")
    if not is_known_format(file):
        fields["file"].fail(
            f"{shown(file)} is not one of {', '.join(METRIC_SUFFIXES)}; *tfevents* (TensorBoard) and metrics/NAME "
            "(MLflow) are read too"
        )
    pick = fields["pick"].one_of((*PICKS, "best")) if "pick" in fields else "last"
    return MetricFile(file=file, key=fields["key"].text() if "key" in fields else "", pick=pick)  # type: ignore[arg-type]


def read_output(node: Node, *, in_command: bool) -> Output:
    """Return the way in which a training is given its output folder or file."""
    fields = node.object(("flag", "env", "copy", "share", "file"))
    kinds = [key for key in ("flag", "env", "copy") if key in fields]
    file = fields["file"].text() if "file" in fields else ""
    if "file" in fields and (not file or Path(file).name != file):
        fields["file"].fail(f"{shown(file)} is not the name of a file", "it is written into the run's own folder")
    if in_command and not kinds:
        return Output(kind="command", file=file)
    if len(kinds) != 1:
        node.fail('must have one of "flag", "env" and "copy"', 'for example {"flag": "--output-dir"}')
    share = tuple(_inside(item) for item in fields["share"].array()) if "share" in fields else ()
    if "copy" in fields:
        return Output(kind="copy" if fields["copy"].boolean() else "checkout", share=share)
    if share:
        fields["share"].fail('belongs to "copy"')
    if "flag" in fields:
        return Output(kind="flag", name=fields["flag"].text(), file=file)
    return Output(kind="env", name=fields["env"].text(), file=file)


def _inside(node: Node, folder: str = "checkout") -> str:
    name = node.text()
    if Path(name).is_absolute() or ".." in Path(name).parts or name in {"", "."}:
        node.fail(f"{shown(name)} is not a path inside the {folder}", f"name something below the {folder}")
    return name


def read_path(node: Node, base: Path) -> Path:
    """Return an absolute path; a relative one starts at the folder of the registry file."""
    try:
        return (base / Path(node.text()).expanduser()).resolve()
    except (OSError, RuntimeError) as problem:  # a loop of links; a user without a home folder
        node.fail(f"{shown(node.value)} is not a path that can be used: {problem}")


def read_modules(node: Node, base: Path) -> tuple[Path, ...]:
    """Return the paths of code outside the checkout that its trainings import: files or folders that exist."""
    found = []
    for item in node.one_or_more():
        path = read_path(item, base)
        if not path.exists():
            item.fail(f"there is no file or folder {path}", "relative paths start at the folder of this file")
        found.append(path)
    return tuple(found)


def read_environment(node: Node) -> dict[str, str]:
    """Return the environment variables of an entry; their values are texts."""
    members = node.entries()
    for name, value in members.items():
        check_variable(value, name)
        if not isinstance(value.value, str):
            value.fail(f"must be a text, not {shown(value.value)}", "put it in quotes")
    return {name: str(value.value) for name, value in members.items()}


def read_sample(node: Node, base: Path) -> Path:
    """Return the path of a sample log, a plain file that this user can read."""
    path = read_path(node, base)
    try:
        if not path.is_file():
            node.fail(
                f"the sample log {path} cannot be read: it is not a plain file",
                "relative paths start at the registry's folder",
            )
        path.open("rb").close()
    except (OSError, ValueError) as problem:
        node.fail(f"the sample log {path} cannot be read: {problem}", "relative paths start at the registry's folder")
    return path
