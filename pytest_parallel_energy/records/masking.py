"""Masks for secrets in what is stored: the training itself gets the true values."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .record import Record

__all__ = ["MASK", "is_private", "mask_arguments", "mask_environment", "mask_text"]

MASK = "***"
_SECRET_WORDS = frozenset(
    {"auth", "authorization", "bearer", "credential", "credentials", "passphrase", "pat", "secrets"},
)
_SECRET_ENDINGS = ("accesskey", "apikey", "passwd", "password", "secret")
_COUNTED_WORDS = frozenset({"key", "pwd", "token"})
"""Words that also name harmless numbers, as in ``--token-dim 64``: their numbers are kept."""
_FAULT_WORDS = frozenset({"error", "exception", "warning"})
"""Endings of the names of exceptions: ``KeyError: 'x'`` is a message."""
_LEAST_SECRET = 6
"""Characters of a value that is masked wherever it stands in a text."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_NUMBER = re.compile(r"[-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?|true|false", re.IGNORECASE)
_ASSIGNMENT = re.compile(r"(?P<name>-{0,2}[A-Za-z_][\w.-]*)(?P<sign>\s*[=:]\s*)(?P<value>.+)", re.DOTALL)
_INSIDE = re.compile(
    r"(?P<name>-{0,2}[A-Za-z_][\w.-]*)(?P<sign>[=:]\s*)(?P<value>'[^']*'|\"[^\"]*\"|(?:Bearer |Basic )?\S+)"
)
_OPTION_INSIDE = re.compile(r"(?<!\S)(?P<name>--?[A-Za-z][\w-]*)(?P<sign>\s+)(?P<value>'[^']*'|\"[^\"]*\"|\S+)")
_ACCOUNT = re.compile(r"(?P<start>[a-zA-Z][\w+.-]*://[^\s/:@]*):[^\s/@]+@")
_PLUGIN_VARIABLES = frozenset({
    "MKL_NUM_THREADS", "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "OPENBLAS_NUM_THREADS", "PARALLEL_ENERGY_OUTPUT_DIR",
    "PYTHONUNBUFFERED",
})  # fmt: skip


def mask_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with the values of secrets replaced by :data:`MASK`.

    >>> mask_environment({"HF_TOKEN": "hf_abc", "TOKENIZERS_PARALLELISM": "false", "EPOCHS": "3"})
    {'HF_TOKEN': '***', 'TOKENIZERS_PARALLELISM': 'false', 'EPOCHS': '3'}
    """
    return {name: MASK if _is_secret(name, value) else _mask_inside(value) for name, value in environment.items()}


def mask_arguments(arguments: Iterable[str]) -> tuple[str, ...]:
    """Return a command line with the values of secrets replaced by :data:`MASK`.

    >>> mask_arguments(["train.py", "--api-key", "abc", "--password=x y", "--token-dim", "64"])
    ('train.py', '--api-key', '***', '--password=***', '--token-dim', '64')
    """
    masked = []
    option = ""
    for argument in arguments:
        assignment = _ASSIGNMENT.fullmatch(argument)
        if option and _is_secret(option, argument) and not argument.startswith("--"):
            masked.append(MASK)
        elif assignment and _is_whole(assignment) and _is_secret(assignment["name"], assignment["value"]):
            masked.append(f"{assignment['name']}{assignment['sign']}{MASK}")
        else:
            masked.append(_mask_inside(argument))
        option = argument if argument.startswith("-") and not assignment else ""
    return tuple(masked)


def mask_text(text: str, environment: Mapping[str, str]) -> str:
    """Return a message with the secrets in it masked: those that it names, and values of secret variables.

    >>> mask_text("KeyError: 'lr'; 401 for https://me:pw@host with hf_abc", {"HF_TOKEN": "hf_abc"})
    "KeyError: 'lr'; 401 for https://me:***@host with ***"
    """
    secrets = {value for name, value in environment.items() if len(value) >= _LEAST_SECRET and _is_secret(name, value)}
    for value in sorted(secrets, key=len, reverse=True):  # one may hold another
        text = text.replace(value, MASK)
    return _mask_inside(text)


def is_private(record: Record) -> bool:
    """Return whether a record holds environment variables of the user: a name may not look like the secret it holds."""
    return record.workload is not None and not _PLUGIN_VARIABLES.issuperset(record.workload.environment)


def _is_secret(name: str, value: str) -> bool:
    """Return whether a variable or option of this name and value looks like a secret."""
    kind = _kind_of(name)
    return bool(value) and (kind == "secret" or (kind == "counted" and not _NUMBER.fullmatch(value)))


@functools.lru_cache(maxsize=1024)
def _kind_of(name: str) -> Literal["secret", "counted", "plain"]:
    """Return what a name says of its value; each record asks for every variable of the environment."""
    words = [word.lower() for word in _WORD.findall(name)]
    if words and words[-1] in _FAULT_WORDS:
        return "plain"
    if any(word in _SECRET_WORDS or word.endswith(_SECRET_ENDINGS) for word in words):
        return "secret"
    # PWD alone is the working directory
    is_counted = words != ["pwd"] and any(word in _COUNTED_WORDS or word.endswith("token") for word in words)
    return "counted" if is_counted else "plain"


def _is_whole(assignment: re.Match[str]) -> bool:
    """Return whether the value is the rest of the argument, and not the first word of a line for a shell."""
    return assignment["name"].startswith("-") or " " not in assignment["value"]


def _mask_inside(text: str) -> str:
    """Return text, such as a line for a shell, with the secrets in its assignments, options and addresses masked."""
    text = _ACCOUNT.sub(rf"\g<start>:{MASK}@", text)
    for pattern in (_INSIDE, _OPTION_INSIDE):
        text = pattern.sub(_mask_match, text)
    return text


def _mask_match(found: re.Match[str]) -> str:
    if _is_secret(found["name"], found["value"].strip("'\"")):
        return f"{found['name']}{found['sign']}{MASK}"
    # the value of an option may be an assignment, as in --energy-tag=token=abc
    return f"{found['name']}{found['sign']}{_mask_inside(found['value'])}"
