"""The keys of experiment files: one table for the translation of files and for the JSON schema of editors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from ..documents.node import is_comment
from ..load.conditions import CONDITIONS

__all__ = [
    "BACKGROUND",
    "ENTRY",
    "FOREGROUND",
    "GLOBAL",
    "MODES",
    "MUTATE",
    "SETTINGS",
    "STRATEGIES",
    "SWEPT",
    "TOP",
    "FileKey",
    "is_bookkeeping",
]

_BOOKKEEPING = re.compile(
    r"(?:.*_)?(?:comments?|notes?|description|remarks?|warning|todo)"
    r"|(?:estimated|expected|total|actual|target(?!_gpu_util)|created|updated|modified|version|author|date|last|schema)(?:_.*|s|ed)?"
    r"|(?:title|purpose|objective|goal|rationale|summary|tags|metadata|priority|changelog|history|usage|reference)(?:s|_.*)?"
)


def is_bookkeeping(key: str) -> bool:
    """Return true for a key that holds a remark for readers of the file: such keys are ignored without a warning.

    >>> is_bookkeeping("estimated_duration_hours"), is_bookkeeping("target_completion"), is_bookkeeping("repo")
    (True, True, False)

    A condition of a load is not a remark, however it is spelt:

    >>> is_bookkeeping("target_gpu_utilization")
    False
    """
    return is_comment(key) or _BOOKKEEPING.fullmatch(key.lower()) is not None


class FileKey(Struct, frozen=True, kw_only=True):
    """One key: its name, its older names, its values as JSON schema, and its meaning."""

    name: str
    schema: Mapping[str, Any]
    help: str
    aliases: tuple[str, ...] = ()


_TEXT: Mapping[str, Any] = {"type": "string", "minLength": 1}
_COUNT: Mapping[str, Any] = {"type": "integer", "minimum": 0}
_POSITIVE: Mapping[str, Any] = {"type": "integer", "minimum": 1}
_VALUE: Mapping[str, Any] = {"type": ["number", "string", "boolean", "null"]}
_TEXTS: Mapping[str, Any] = {"type": "array", "items": _TEXT}
MODES = ("mutation", "default", "parallel", "nonparallel", "batch", "mixed")
"""Values of ``mode``; ``nonparallel`` is an entry without a background, ``batch`` and ``mixed`` mean nothing more."""

SETTINGS = (
    FileKey(
        name="runs_per_config",
        schema=_POSITIVE,
        help="mutation mode: how many mutations (unless num_mutations says so); default mode: how many repetitions",
    ),
    FileKey(name="max_retries", schema=_COUNT, help="further attempts of a training that failed"),
    FileKey(name="governor", schema=_TEXT, help="CPU frequency governor for each run, such as performance"),
    FileKey(
        name="use_deduplication",
        schema={"type": "boolean"},
        help="leave out mutations that historical_csvs hold already (true where they are given)",
    ),
    FileKey(
        name="historical_csvs",
        schema={"anyOf": [_TEXT, _TEXTS]},
        help="results with hyperparam_* columns, or folders of runs; relative to this file or the root folder",
    ),
    FileKey(
        name="timeout",
        schema={"type": "number", "exclusiveMinimum": 0},
        help="seconds after which a training is stopped",
        aliases=("timeout_s", "timeout_seconds"),
    ),
    FileKey(name="num_mutations", schema=_POSITIVE, help="mutations to draw; each runs runs_per_config times"),
    FileKey(name="baseline_runs", schema=_COUNT, help="further runs of the un-mutated cell"),
    FileKey(name="seed", schema={"type": "integer"}, help="seed of the draws (default 0)", aliases=("random_seed",)),
    FileKey(name="profile", schema=_TEXT, help="profile of the registry whose defaults and ranges count"),
)

_MODE = FileKey(name="mode", schema={"enum": list(MODES)}, help="what is mutated, and whether a load runs")
_WHO = (
    FileKey(name="repository", schema=_TEXT, help="repository in the registry of workloads", aliases=("repo",)),
    FileKey(name="model", schema=_TEXT, help="its model"),
)
_VALUES = FileKey(
    name="hyperparameters",
    schema={"type": "object", "additionalProperties": _VALUE},
    help="values that are fixed; all others are the registry's defaults",
    aliases=("fixed_hyperparams",),
)
_RANGE: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "min": {"type": "number"},
        "max": {"type": "number"},
        "distribution": {"enum": ["uniform", "log_uniform", "int_uniform", "choice"]},
        "zero_probability": {"type": "number", "minimum": 0, "maximum": 1},
        "values": {"type": "array", "items": _VALUE, "minItems": 1},
    },
    "additionalProperties": False,
}
STRATEGIES: Mapping[str, Literal["all", "one-at-a-time"]] = {
    **dict.fromkeys(("all", "together", "random", "multi", "multi_param", "random_multi_param"), "all"),
    **dict.fromkeys(("one_at_a_time", "single", "single_param", "random_single_param"), "one-at-a-time"),
}
"""Values of ``mutate_strategy``, written with ``_``: how many hyperparameters differ is ``num_params_per_mutation``."""

MUTATE = (
    FileKey(name="mutate", schema={"anyOf": [_TEXT, _TEXTS]}, help='names of hyperparameters to mutate, or "all"'),
    FileKey(
        name="mutate_params",
        schema={
            "anyOf": [
                _TEXT,
                _TEXTS,
                {
                    "type": "object",
                    "additionalProperties": {"anyOf": [_RANGE, {"type": "array", "items": _VALUE}, {"type": "null"}]},
                },
            ]
        },
        help="as mutate; an object gives ranges of its own: {name: {min, max, distribution}} or a list of values",
    ),
    FileKey(
        name="mutate_strategy",
        schema={"enum": ["one-at-a-time", *STRATEGIES]},
        help="several hyperparameters together, or one at a time",
        aliases=("mutation_strategy",),
    ),
    FileKey(
        name="num_params_per_mutation",
        schema={"anyOf": [_POSITIVE, {"type": "array", "items": _POSITIVE, "minItems": 2, "maxItems": 2}]},
        help="how many hyperparameters one mutation varies: a number, or [least, most]",
    ),
)
_LABEL = FileKey(
    name="name", schema=_TEXT, help="part of the test's name", aliases=("id", "experiment_id", "experiment_name")
)

SWEPT = ("n", *(name for name, condition in CONDITIONS.items() if condition.sweeps))
"""Keys of a load that may list several values: one experiment for each."""


def _condition(name: str, schema: Mapping[str, Any], words: str) -> FileKey:
    if name not in SWEPT:
        return FileKey(name=name, schema=schema, help=words)
    several = {"type": "array", "items": schema, "minItems": 1}
    return FileKey(name=name, schema={"anyOf": [schema, several]}, help=f"{words}; a list: one experiment for each")


_COMMAND: Mapping[str, Any] = {"type": "array", "items": {"type": "string"}, "minItems": 1}
BACKGROUND: tuple[FileKey, ...] = (
    FileKey(name="name", schema=_TEXT, help="repository/model, in one word"),
    *_WHO,
    FileKey(name="mode", schema={"enum": ["default"]}, help="a load runs with fixed values"),
    _VALUES,
    FileKey(name="command", schema=_COMMAND, help="a program and its arguments, instead of a training"),
    FileKey(name="profile", schema=_TEXT, help="profile of the registry"),
    _condition("n", _POSITIVE, "how many of it"),
    FileKey(name="batch_size", schema={"enum": ["auto"]}, help="auto: made smaller where memory is short"),
    *(_condition(name, condition.schema, condition.help) for name, condition in CONDITIONS.items()),
)
FOREGROUND: tuple[FileKey, ...] = (_MODE, *_WHO, _VALUES, *MUTATE, *SETTINGS)
_LOAD: Mapping[str, Any] = {"$ref": "#/$defs/background"}
_LOADS: Mapping[str, Any] = {"type": "array", "items": {"anyOf": [_LOAD, _TEXT, _COMMAND]}}
ENTRY: tuple[FileKey, ...] = (
    _LABEL,
    *FOREGROUND,
    FileKey(name="mutation_type", schema=_TEXT, help="an older name of mode"),
    FileKey(name="experiment_type", schema=_TEXT, help="an older name of mode"),
    FileKey(name="foreground", schema={"$ref": "#/$defs/foreground"}, help="the training that is measured"),
    FileKey(
        name="background",
        schema={"anyOf": [_LOAD, _TEXT, _LOADS]},
        help="the training that loops alongside it, as repository/model or with its conditions; or a list of them",
    ),
)
GLOBAL: tuple[FileKey, ...] = (_MODE, *SETTINGS)
TOP: tuple[FileKey, ...] = (
    FileKey(name="experiment_name", schema=_TEXT, help="name of the study; -k finds it", aliases=("name",)),
    _MODE,
    *SETTINGS,
    FileKey(
        name="global_settings", schema={"$ref": "#/$defs/global_settings"}, help="settings for all entries, as the top"
    ),
    FileKey(
        name="experiments",
        schema={"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/entry"}, {"type": "string"}]}},
        help="the entries",
    ),
    FileKey(
        name="include",
        schema={"anyOf": [_TEXT, _TEXTS]},
        help="further experiment files whose entries come first; relative to this file",
    ),
)
