"""Proposals of registry entries: from the options of a script, the keys of a config file, and a log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..mutation.distributions import Value
from .script_options import ScriptOption

__all__ = ["from_config", "from_options", "log_patterns"]

_USUAL_NAMES = {
    "lr": "learning_rate",
    "wd": "weight_decay",
    "bs": "batch_size",
    "num_epochs": "epochs",
    "b": "batch_size",
}
_OUTPUT = re.compile(
    r"(?:out(?:put)?|save|result|checkpoint|ckpt|work|log|run|default_root)s?(?:_(?:dir|path|folder))?", re.IGNORECASE
)
_PLACE = re.compile(
    r"(?:^|_)(?:dir|path|root|file|folder|data|dataset|device|url|host|port|gpu|rank)s?(?:_|$)", re.IGNORECASE
)
"""Names of values that say where something is: they belong into ``required_args``, and a sweep does not vary them."""
_METRIC = re.compile(
    r"(?P<name>[A-Za-z][\w/@.\- ]*?)\s*[:=]\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?P<percent>\s?%)?"
)
_METRIC_WORD = re.compile(
    r"acc|loss|f1|auc|\bmap\b|rank|bleu|perplexity|ppl|score|precision|recall|error|top-?[15]|prec|rmse|mse|mae|r2",
    re.IGNORECASE,
)
_LOWER = re.compile(r"loss|perplexity|ppl|error|rmse|mse|mae", re.IGNORECASE)
_QUALIFIERS = frozenset({"test", "val", "validation", "train", "training", "best", "final", "eval"})
_MOST_METRICS = 8


def from_options(options: Iterable[ScriptOption]) -> tuple[dict[str, Any], list[str]]:
    """Return the parts of an entry that follow from options, and the flags that are not in it.

    Numbers, switches and choices become hyperparameters. The flag of an output folder becomes ``output``.
    """
    hyperparameters: dict[str, Any] = {}
    output, others = None, []
    for option in options:
        if output is None and option.takes_value and option.kind in {None, "str"} and _OUTPUT.fullmatch(option.name):
            output = {"flag": option.flag}
        elif option.kind is None or (option.kind == "str" and not option.choices) or _PLACE.search(option.name):
            others.append(option.flag)
        else:
            name = _USUAL_NAMES.get(option.name, option.name)
            hyperparameters[name] = _described(name, option)
    entry: dict[str, Any] = {"supported_hyperparams": hyperparameters}
    return (entry | {"output": output} if output else entry), others


def _described(name: str, option: ScriptOption) -> dict[str, Any]:
    valued_switch = option.kind == "bool" and option.takes_value
    described: dict[str, Any] = {"flag": f"{option.flag}=" if valued_switch else option.flag, "type": option.kind}
    if option.false_flag:
        described["false_flag"] = option.false_flag
    if option.default is not None:
        described["default"] = option.default
    if option.choices:
        described["choices"] = list(option.choices)
    return described | _range(name, option.default)


def _range(name: str, default: Value) -> dict[str, Any]:
    """Return a range to draw from around a default, for values that sweeps usually vary."""
    if isinstance(default, float) and default > 0 and name in {"learning_rate", "weight_decay"}:
        return {"range": [default / 2, default * 2], "distribution": "log_uniform"}
    if isinstance(default, float) and 0 < default < 1 and "drop" in name:
        return {"range": [default / 2, min(0.9, default * 1.5)], "distribution": "uniform"}
    return {}


def from_config(keys: Mapping[str, Value]) -> dict[str, Any]:
    """Return the hyperparameters that follow from the keys of a config file: its numbers and switches."""
    found: dict[str, Any] = {}
    for key, value in keys.items():
        last = key.rpartition(".")[2]
        if isinstance(value, str) or value is None or _PLACE.search(last):
            continue
        usual = _USUAL_NAMES.get(last, last)
        name = usual if usual not in found else key.replace(".", "_")
        kind = "bool" if isinstance(value, bool) else "int" if isinstance(value, int) else "float"
        found[name] = {"config": key, "type": kind, "default": value} | _range(name, value)
    return found


def log_patterns(lines: Sequence[str]) -> dict[str, Any]:
    """Return ``performance_metrics`` for the numbers in a log that look like metrics, eight at most.

    >>> log_patterns(["epoch 3 loss: 0.25", "Test accuracy = 91.5 %"])["better"]
    {'loss': 'lower', 'test_accuracy': 'higher'}
    """
    patterns: dict[str, str] = {}
    for line in lines:
        for match in _METRIC.finditer(line):
            label = _label(match["name"])
            if label and len(patterns) < _MOST_METRICS:
                name = re.sub(r"\W+", "_", label).strip("_").lower()
                patterns.setdefault(name, rf"{_escaped(label)}\s*[:=]\s*([-+\d.eE]+)")
    better = {name: "lower" if _LOWER.search(name) else "higher" for name in patterns}
    return {"log_patterns": patterns, "better": better}


def _label(text: str) -> str:
    """Return the last words of a label, from the one before that names a metric; empty where none does."""
    words = text.split()
    places = [index for index, word in enumerate(words) if _METRIC_WORD.search(word)]
    if not places or places[-1] < len(words) - 2:
        return ""
    begin = places[-1]
    if begin and words[begin - 1].lower() in _QUALIFIERS:
        begin -= 1
    return " ".join(words[begin:])


def _escaped(label: str) -> str:
    return re.sub(r"([.^$*+?{}\[\]\\|()])", r"\\\1", label)
