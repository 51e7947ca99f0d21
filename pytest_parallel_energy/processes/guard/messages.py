"""Messages between the owner, the guard and the init: one NamedTuple per kind, sent as one line of JSON."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, Protocol

__all__ = [
    "AnswerScript",
    "BecameReady",
    "Freeze",
    "FreezeBatch",
    "InitArmed",
    "InitFailed",
    "LeaderEnded",
    "LeaderStarted",
    "LoadEnded",
    "LoadStarted",
    "LoopsInVain",
    "Message",
    "NothingLeft",
    "RemainsKilled",
    "RoundEnded",
    "RoundRequested",
    "Start",
    "StartFailed",
    "StartLeader",
    "StatusAnswer",
    "StatusRequest",
    "Stop",
    "Terminate",
    "Thaw",
    "decode",
    "encode",
]


class Message(Protocol):
    """Any of the NamedTuples below."""

    def _asdict(self) -> dict[str, Any]: ...


# --- requests: from the owner to the guard ------------------------------------------------------------------------


class Start(NamedTuple):
    """Start the load; sent once, before any other request."""

    spec: dict[str, Any]
    """The fields of ``Supervision``, with ``marks`` (the command is a loop script), ``owner`` (a cookie), ``argv``,
    ``cwd`` and the whole ``env``."""


class StatusRequest(NamedTuple):
    """Send the figures of this moment."""

    id: int
    spans: bool
    """Include begin and end of each round: the list is long."""


class FreezeBatch(NamedTuple):
    """Let a fitted batch size only shrink from now on."""


class Stop(NamedTuple):
    """Stop the load: SIGTERM, the grace, SIGKILL."""

    grace_s: float


# --- events: from the guard to the owner --------------------------------------------------------------------------


class LoadStarted(NamedTuple):
    """The command runs. Pids are as the owner sees them."""

    pid: int | None
    init: int
    container: str
    refused: tuple[str, ...]


class StartFailed(NamedTuple):
    """The load could not be started, or the guard itself failed."""

    reason: str


class BecameReady(NamedTuple):
    """The load is ready."""

    ready_s: float


class LoopsInVain(NamedTuple):
    """Too many bad rounds in a row."""

    rounds: int
    code: int | None
    tail: str


class StatusAnswer(NamedTuple):
    """The answer to a request for the status."""

    id: int
    figures: dict[str, Any]


class LoadEnded(NamedTuple):
    """The last message of a guard."""

    code: int | None
    stopped: str
    seconds: float | None
    container: str
    stuck: list[str]
    flags: list[str]
    figures: dict[str, Any] | None
    """``None`` when the load was never started."""


# --- orders: from the guard to the init ---------------------------------------------------------------------------


class StartLeader(NamedTuple):
    """Start the load's first process, with variables added to its environment."""

    env: dict[str, str]


class AnswerScript(NamedTuple):
    """Let the loop script begin its next round."""

    text: str


class Terminate(NamedTuple):
    """Send SIGTERM to every process of the load."""


class Freeze(NamedTuple):
    """Send SIGSTOP to every process of the load."""


class Thaw(NamedTuple):
    """Send SIGCONT to every process of the load."""


# --- reports: from the init to the guard; ``at_s`` is the monotonic clock ------------------------------------------


class InitArmed(NamedTuple):
    """The init watches the guard and the owner: the load may start."""


class LeaderStarted(NamedTuple):
    """The load's first process runs, unless ``reason`` says why it does not."""

    pid: int
    reason: str
    at_s: float


class RoundRequested(NamedTuple):
    """The loop script asks whether it may begin its next round."""

    at_s: float


class RoundEnded(NamedTuple):
    """A round of the loop script ended."""

    code: int
    at_s: float


class LeaderEnded(NamedTuple):
    """The load's first process ended."""

    code: int
    at_s: float


class RemainsKilled(NamedTuple):
    """Processes that a round left behind took noticeably long to end."""

    seconds: float


class RemainsFound(NamedTuple):
    """Processes that were still running when a round ended, as their argument lists; they are killed."""

    commands: list[list[str]]


class NothingLeft(NamedTuple):
    """No process of the load is left after an order to terminate."""


class InitFailed(NamedTuple):
    """The init cannot continue."""

    reason: str


_KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        *(Start, StatusRequest, FreezeBatch, Stop),
        *(LoadStarted, StartFailed, BecameReady, LoopsInVain, StatusAnswer, LoadEnded),
        *(StartLeader, AnswerScript, Terminate, Freeze, Thaw),
        *(InitArmed, LeaderStarted, RoundRequested, RoundEnded, LeaderEnded, RemainsFound, RemainsKilled, NothingLeft),
        InitFailed,
    )
}


def encode(message: Message) -> bytes:
    """Return a message as one line."""
    return json.dumps([type(message).__name__, message._asdict()]).encode() + b"\n"


def decode(line: bytes) -> Any:
    """Return the message that a line holds.

    Raises:
        KeyError: its kind is unknown.
    """
    kind, fields = json.loads(line)
    return _KINDS[kind](**fields)
