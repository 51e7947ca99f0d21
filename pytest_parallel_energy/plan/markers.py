"""The arguments of the markers as typed values; each refuses arguments that it does not understand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from msgspec import Struct, field

from ..errors import ConfigError, did_you_mean, nearest
from ..processes.command import COMMAND_REPOSITORY, checked_words, command_name

if TYPE_CHECKING:
    from ..load.conditions import LoadConditions
    from ..mutation.draw import Draw, Mutation

__all__ = ["LoadRequest", "MarkLike", "MutateMark", "WorkloadMark"]


_Mark = TypeVar("_Mark")


class MarkLike(Protocol):
    """The part of ``pytest.Mark`` that is read here."""

    @property
    def args(self) -> tuple[Any, ...]:
        """The positional arguments."""

    @property
    def kwargs(self) -> Mapping[str, Any]:
        """The keyword arguments."""


class WorkloadMark(Struct, frozen=True, kw_only=True):
    """``@pytest.mark.workload("repository/model", profile=None, **fixed)``, or with a command as a list of words."""

    name: str
    """Of the workload; ``command/`` and the program for a command."""
    profile: str | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    """Empty for a registered workload."""

    @classmethod
    def from_mark(cls, mark: MarkLike) -> WorkloadMark:
        """Read the marker.

        Raises:
            ConfigError: neither exactly one name nor one command, or a command with hyperparameters.
        """
        if (ready := _ready(cls, mark)) is not None:
            return ready
        keywords = dict(mark.kwargs)
        command = keywords.pop("command", None)
        if command is None and len(mark.args) == 1 and isinstance(mark.args[0], (list, tuple)):
            command, mark_args = mark.args[0], ()
        else:
            mark_args = mark.args
        if command is not None:
            return cls._of_command(command, mark_args, keywords)
        profile = keywords.pop("profile", None)
        return cls(name=_one_name("workload", mark.args), profile=profile, fixed=keywords)

    @classmethod
    def _of_command(cls, command: object, others: Sequence[object], keywords: Mapping[str, Any]) -> WorkloadMark:
        if others or keywords:
            extra = [*(repr(other) for other in others), *keywords]
            raise ConfigError(
                f"the marker 'workload' has a command and {', '.join(extra)}: a command is complete as it is; write "
                "values into it, or register the training to give it hyperparameters"
            )
        words = checked_words(command)
        return cls(name=f"{COMMAND_REPOSITORY}/{command_name(words)}", command=words)


class MutateMark(Struct, frozen=True, kw_only=True):
    """``@pytest.mark.mutate("learning_rate", samples=5, seed=0, vary="all", default=False, batch_size=[16, 32])``."""

    draw: Draw
    names: tuple[str, ...] = ()
    """Hyperparameters whose registered distributions count."""
    spaces: Mapping[str, Any] = field(default_factory=dict)
    """Distributions or lists that the marker gives itself."""
    drawn: tuple[Mutation, ...] = ()
    """The mutations, where the reader of an experiment file has drawn them already."""

    @classmethod
    def from_mark(cls, mark: MarkLike) -> MutateMark:
        """Read the marker.

        Raises:
            ConfigError: nothing to mutate, or an argument of the wrong type or range.
        """
        if (ready := _ready(cls, mark)) is not None:
            return ready
        from ..mutation.draw import Draw

        spaces = dict(mark.kwargs)
        own = {field: spaces.pop(name) for name, field in _DRAW_FIELDS.items() if name in spaces}
        if not all(isinstance(name, str) for name in mark.args):
            raise ConfigError(f"the marker 'mutate' takes names of hyperparameters; it has {mark.args!r}")
        if not mark.args and not spaces:
            raise ConfigError("the marker 'mutate' names nothing to mutate; write mutate('learning_rate')")
        for name, value in spaces.items():
            # a single value is no distribution, so that the name can only be a misspelt argument
            if isinstance(value, (bool, int, str)) and nearest(name, _DRAW_FIELDS) is not None:
                raise ConfigError(f"the marker 'mutate' has no argument {name!r}; {did_you_mean(name, _DRAW_FIELDS)}")
        return cls(draw=Draw(**own), names=tuple(mark.args), spaces=spaces)


_DRAW_FIELDS = {"samples": "samples", "seed": "seed", "vary": "vary", "default": "include_default"}
"""Arguments of the marker, and the fields of ``Draw`` that they are."""


class LoadRequest(Struct, frozen=True, kw_only=True):
    """A request to run a background load, from a marker, the ``background_load`` fixture, or an experiment file.

    A plain command has no profile and no hyperparameters.
    """

    name: str
    """Of the workload; of the program for a command."""
    n: int = 1
    profile: str | None = None
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    conditions: LoadConditions
    """Intensity, devices and the like."""
    command: tuple[str, ...] = ()
    """Empty for a workload."""
    cwd: Path | None = None
    """The folder that a command runs in; ``None`` is pytest's."""

    @classmethod
    def of(cls, target: str | Sequence[object], keywords: Mapping[str, Any], *, n: int = 1) -> LoadRequest:
        """Return the request for a load whose conditions, profile and hyperparameters are one mapping.

        Args:
            target: a workload by name, or a command as a list of words.
            keywords: the keywords of its marker, without ``n``.
            n: number of instances.

        Raises:
            ConfigError: a condition has an invalid value, or a command has a keyword that only a training has.
        """
        from ..load.conditions import check_command, split_conditions

        conditions, rest = split_conditions(keywords)
        if isinstance(target, str):
            profile = rest.pop("profile", None)
            return cls(name=target, n=n, profile=profile, hyperparameters=rest, conditions=conditions)
        words = tuple(str(word) for word in target)
        check_command(words, conditions, rest)
        return cls(name=command_name(words), n=n, conditions=conditions, command=words)

    @classmethod
    def from_mark(cls, mark: MarkLike) -> LoadRequest:
        """Read the marker.

        Raises:
            ConfigError: not exactly one name or command, or a number of loads below 1.
        """
        if (ready := _ready(cls, mark)) is not None:
            return ready
        if len(mark.args) == 1 and isinstance(mark.args[0], (list, tuple)):
            return cls._of_marker(mark.args[0], mark.kwargs)
        return cls._of_marker(_one_name("background_load", mark.args), mark.kwargs)

    @classmethod
    def from_parameter(cls, given: object) -> LoadRequest:
        """Read what ``parametrize("background_load", [...], indirect=True)`` gives.

        That is a name, a command as a list of words, or a mapping with ``name`` or ``command`` and further keywords.

        Raises:
            ConfigError: it is none of them.
        """
        keywords = dict(given) if isinstance(given, Mapping) else {}
        target = keywords.pop("name", None) or keywords.pop("command", None) if keywords else given
        if (isinstance(target, str) and target) or isinstance(target, (list, tuple)):
            return cls._of_marker(target, keywords)
        raise ConfigError(
            "parametrize('background_load', …, indirect=True) takes None, 'repository/model', a command as a list of "
            f"words, or a mapping with 'name' or 'command'; it has {given!r}"
        )

    @classmethod
    def _of_marker(cls, target: str | Sequence[object], keywords: Mapping[str, Any]) -> LoadRequest:
        from ..load.conditions import read_count

        n = read_count(keywords.get("n", 1))
        return cls.of(target, {name: value for name, value in keywords.items() if name != "n"}, n=n)


def _ready(kind: type[_Mark], mark: MarkLike) -> _Mark | None:
    """Return the value that an experiment file put into the marker, which needs no reading."""
    return mark.args[0] if len(mark.args) == 1 and isinstance(mark.args[0], kind) else None


def _one_name(marker: str, args: tuple[Any, ...]) -> str:
    if len(args) != 1 or not isinstance(args[0], str) or not args[0]:
        command = " or a command as a list of words" if marker == "background_load" else ""
        raise ConfigError(f'the marker {marker!r} takes one name, "repository/model"{command}; it has {args!r}')
    return args[0]
