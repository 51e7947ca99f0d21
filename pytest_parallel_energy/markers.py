"""What the markers say, as typed values: each refuses what it does not understand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from .errors import ConfigError, did_you_mean

__all__ = ["MARKERS", "LoadMark", "MarkLike", "MutateMark", "WorkloadMark"]

MARKERS: Mapping[str, str] = {
    "workload": 'workload("repository/model", profile=None, **hyperparameters): what the train fixture trains; '
    "named hyperparameters are fixed at the value given",
    "mutate": 'mutate("learning_rate", ..., samples=1, seed=0, vary="all", default=False, **spaces): one item for each '
    "drawn set of hyperparameter values; names take the registered distributions, keywords give explicit ones "
    "(log_uniform, uniform, int_uniform, choice, or a list as a grid); default=True adds the un-mutated cell",
    "background_load": 'background_load("repository/model", n=1, **hyperparameters): this training loops beside the '
    "test; may stand several times",
    "energy": "energy(repeats=, warmup=, max_retries=, profile=, coverage_min=): settings of this test",
}


class MarkLike(Protocol):
    """The part of ``pytest.Mark`` that is read here."""

    @property
    def args(self) -> tuple[Any, ...]:
        """The positional arguments."""

    @property
    def kwargs(self) -> Mapping[str, Any]:
        """The keyword arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadMark:
    """``@pytest.mark.workload("repository/model", profile=None, **fixed)``."""

    name: str
    profile: str | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_mark(cls, mark: MarkLike) -> WorkloadMark:
        """Read the marker.

        Raises:
            ConfigError: not exactly one name, or the name is not text.
        """
        keywords = dict(mark.kwargs)
        profile = keywords.pop("profile", None)
        return cls(name=_one_name("workload", mark.args), profile=profile, fixed=keywords)


@dataclass(frozen=True, slots=True, kw_only=True)
class MutateMark:
    """``@pytest.mark.mutate("learning_rate", samples=5, seed=0, vary="all", default=False, batch_size=[16, 32])``."""

    names: tuple[str, ...] = ()
    spaces: Mapping[str, Any] = field(default_factory=dict)
    samples: int = 1
    seed: int = 0
    vary: str = "all"
    default: bool = False

    @classmethod
    def from_mark(cls, mark: MarkLike) -> MutateMark:
        """Read the marker.

        Raises:
            ConfigError: nothing to mutate, or an argument of the wrong type or range.
        """
        keywords = dict(mark.kwargs)
        own: dict[str, Any] = {
            name: keywords.pop(name) for name in ("samples", "seed", "vary", "default") if name in keywords
        }
        if not all(isinstance(name, str) for name in mark.args):
            raise ConfigError(f"the marker 'mutate' takes names of hyperparameters; it has {mark.args!r}")
        made = cls(names=tuple(mark.args), spaces=keywords, **own)
        made._check()
        return made

    def _check(self) -> None:
        if not self.names and not self.spaces:
            raise ConfigError("the marker 'mutate' names nothing to mutate; write mutate(\"learning_rate\")")
        for name, least in (("samples", 1), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(f"mutate({name}={value!r}): {name} is a whole number of {least} or more")
        if self.vary not in {"all", "one-at-a-time"}:
            raise ConfigError(f"mutate(vary={self.vary!r}): {did_you_mean(str(self.vary), ['all', 'one-at-a-time'])}")
        if not isinstance(self.default, bool):
            raise ConfigError(f"mutate(default={self.default!r}): default is True or False")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadMark:
    """``@pytest.mark.background_load("repository/model", n=1, **hyperparameters)``."""

    name: str
    n: int = 1
    profile: str | None = None
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_mark(cls, mark: MarkLike) -> LoadMark:
        """Read the marker.

        Raises:
            ConfigError: not exactly one name, or a number of loads below 1.
        """
        keywords = dict(mark.kwargs)
        n = keywords.pop("n", 1)
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ConfigError(f"background_load(n={n!r}): n is a whole number of 1 or more")
        profile = keywords.pop("profile", None)
        return cls(name=_one_name("background_load", mark.args), n=n, profile=profile, hyperparameters=keywords)


def _one_name(marker: str, args: tuple[Any, ...]) -> str:
    if len(args) != 1 or not isinstance(args[0], str) or not args[0]:
        raise ConfigError(f'the marker {marker!r} takes one name, "repository/model"; it has {args!r}')
    return args[0]
