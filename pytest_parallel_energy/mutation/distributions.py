"""Distributions of hyperparameters: ranges and choices to draw from, and grids whose values all run.

Draws use nothing but ``random.Random.random``, whose sequence Python promises to keep for a given seed
(https://docs.python.org/3/library/random.html#notes-on-reproducibility), and logarithms from ``decimal``, which
rounds correctly everywhere: the C library's ``exp`` and ``log`` may differ in the last bit between machines.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from decimal import Context, Decimal
from typing import ClassVar, Protocol

from msgspec import Struct

from ..errors import ConfigError
from .values import Value, check_bounds, check_number, checked_options, value_key

__all__ = [
    "DISTRIBUTIONS", "Choice", "Distribution", "Grid", "IntUniform", "LogUniform", "Uniform", "Value",
    "as_distribution", "choice", "int_uniform", "log_uniform", "uniform", "value_key",
]  # fmt: skip

_EXACT = Context(prec=34)
_MOST_LISTED = 100_000
"""A distribution with more values than this is treated as endless: no sweep runs so many cells of one parameter."""

DISTRIBUTIONS = ("uniform", "log_uniform", "int_uniform", "choice")
"""The names that registries and experiment files use."""


class Distribution(Protocol):
    """A source of random values; all classes here are frozen, hashable and comparable."""

    @property
    def values(self) -> tuple[Value, ...] | None:
        """All values that a draw can give, each once, in order; ``None`` where they are too many to list."""

    def draw(self, rng: random.Random) -> Value:
        """Return one value; this advances ``rng`` and changes no other state."""


class Uniform(Struct, frozen=True):
    """A uniform distribution over the numbers from ``lo`` to ``hi``, both inclusive."""

    lo: float
    hi: float
    name: ClassVar[str] = "uniform"

    def __str__(self) -> str:
        return f"{self.name}({self.lo!r}, {self.hi!r})"

    def __post_init__(self) -> None:
        check_bounds(self.name, self.lo, self.hi)

    @property
    def values(self) -> tuple[Value, ...] | None:
        """The one value of an empty range, else ``None``."""
        return (float(self.lo),) if self.lo == self.hi else None

    def draw(self, rng: random.Random) -> float:
        """Return a float within the bounds, equal to the last bit on every machine."""
        u = rng.random()
        # This form neither overflows for the widest range nor leaves it by rounding.
        return min(max(self.lo * (1.0 - u) + self.hi * u, float(self.lo)), float(self.hi))


class LogUniform(Struct, frozen=True):
    """A uniform distribution over the orders of magnitude from ``lo`` to ``hi``.

    Args:
        lo: lower bound, above 0.
        hi: upper bound.
        zero_probability: share of draws that are exactly 0 (a weight decay switched off), 0 to 1.
        integer: draws are rounded to the nearest integer within the bounds.
    """

    lo: float
    hi: float
    zero_probability: float = 0.0
    integer: bool = False
    name: ClassVar[str] = "log_uniform"

    def __str__(self) -> str:
        zero = f", zero_probability={self.zero_probability!r}" if self.zero_probability else ""
        return f"{self.name}({self.lo!r}, {self.hi!r}{zero})"

    def __post_init__(self) -> None:
        check_bounds(self.name, self.lo, self.hi)
        if self.lo <= 0:
            raise ConfigError(
                f"log_uniform({self.lo!r}, {self.hi!r}): bounds must be above 0, because 0 has no logarithm;"
                " to draw 0 as well, give zero_probability"
            )
        share = check_number(self.name, "zero_probability", self.zero_probability)
        if not 0 <= share <= 1:
            raise ConfigError(f"log_uniform: zero_probability must be from 0 to 1, not {share!r}")
        if self.integer and math.ceil(self.lo) > math.floor(self.hi):
            raise ConfigError(f"log_uniform({self.lo!r}, {self.hi!r}): there is no whole number between the bounds")

    @property
    def values(self) -> tuple[Value, ...] | None:
        """The whole numbers of an integer range, the one value of an empty range, else ``None``."""
        listed: tuple[Value, ...]
        if self.zero_probability == 1:
            listed = ()
        elif self.integer and self.hi - self.lo < _MOST_LISTED:
            listed = tuple(range(math.ceil(self.lo), math.floor(self.hi) + 1))
        elif self.lo == self.hi:
            listed = (float(self.lo),)
        else:
            return None
        zero: tuple[Value, ...] = (0 if self.integer else 0.0,) if self.zero_probability > 0 else ()
        return zero + listed

    def draw(self, rng: random.Random) -> float | int:
        """Return a number within the bounds, or 0 with ``zero_probability``."""
        # Two numbers are taken whatever the outcome, so that zero_probability does not shift the draws after it.
        is_zero, u = rng.random() < self.zero_probability, rng.random()
        if is_zero:
            return 0 if self.integer else 0.0
        low, high = Decimal(self.lo).ln(_EXACT), Decimal(self.hi).ln(_EXACT)
        drawn = _EXACT.exp(_EXACT.add(low, _EXACT.multiply(Decimal(u), _EXACT.subtract(high, low))))
        if self.integer:
            return min(max(round(drawn), math.ceil(self.lo)), math.floor(self.hi))
        return min(max(float(drawn), float(self.lo)), float(self.hi))


class IntUniform(Struct, frozen=True):
    """A uniform distribution over the whole numbers from ``lo`` to ``hi``, both inclusive."""

    lo: int
    hi: int
    name: ClassVar[str] = "int_uniform"

    def __str__(self) -> str:
        return f"{self.name}({self.lo!r}, {self.hi!r})"

    def __post_init__(self) -> None:
        for bound in (self.lo, self.hi):
            if isinstance(bound, bool) or not isinstance(bound, int):
                raise ConfigError(f"int_uniform: bounds must be whole numbers, not {bound!r}")
        check_bounds(self.name, self.lo, self.hi)

    @property
    def values(self) -> tuple[Value, ...] | None:
        """All of them, up to 100,000; ``None`` above."""
        return tuple(range(self.lo, self.hi + 1)) if self.hi - self.lo < _MOST_LISTED else None

    def draw(self, rng: random.Random) -> int:
        """Return a whole number within the bounds."""
        # random() is a multiple of 2**-53: whole-number arithmetic keeps wide ranges exact.
        return self.lo + (int(rng.random() * (1 << 53)) * (self.hi - self.lo + 1) >> 53)


class Choice(Struct, frozen=True):
    """A uniform distribution over a list of options."""

    options: tuple[Value, ...]
    name: ClassVar[str] = "choice"

    def __str__(self) -> str:
        return f"{self.name}({list(self.options)!r})"

    def __post_init__(self) -> None:
        checked_options(self.name, self.options)

    @property
    def values(self) -> tuple[Value, ...]:
        """The options."""
        return self.options

    def draw(self, rng: random.Random) -> Value:
        """Return one option."""
        return self.options[min(int(rng.random() * len(self.options)), len(self.options) - 1)]


class Grid(Choice, Struct, frozen=True):
    """A list in which each value runs, however many samples of other parameters are drawn."""

    name: ClassVar[str] = "grid"


def uniform(lo: float, hi: float) -> Uniform:
    """Return the uniform distribution over the numbers from ``lo`` to ``hi``.

    Raises:
        ConfigError: a bound is not a finite number, or they are reversed.
    """
    return Uniform(lo, hi)


def log_uniform(lo: float, hi: float, zero_probability: float = 0.0) -> LogUniform:
    """Return the log-uniform distribution from ``lo`` to ``hi``; a draw is exactly 0 with ``zero_probability``.

    >>> log_uniform(1e-4, 1e-1)
    LogUniform(lo=0.0001, hi=0.1, zero_probability=0.0, integer=False)

    Raises:
        ConfigError: a bound is not above 0, not finite, or they are reversed.
    """
    return LogUniform(lo, hi, zero_probability)


def int_uniform(lo: int, hi: int) -> IntUniform:
    """Return the uniform distribution over the whole numbers from ``lo`` to ``hi``, both inclusive.

    Raises:
        ConfigError: a bound is not a whole number, or they are reversed.
    """
    return IntUniform(lo, hi)


def choice(options: Sequence[Value]) -> Choice:
    """Return a distribution that draws one of the options; a plain list instead runs all of them.

    Raises:
        ConfigError: there is no option, one is listed twice, or one is not a plain value.
    """
    return Choice(checked_options("choice", options))


def as_distribution(value: object) -> Distribution:
    """Return a distribution as it is, and a plain list or tuple as a grid.

    >>> as_distribution([16, 32])
    Grid(options=(16, 32))

    Raises:
        ConfigError: anything else.
    """
    if isinstance(value, Uniform | LogUniform | IntUniform | Choice):
        return value
    if isinstance(value, list | tuple):
        return Grid(checked_options("grid", value))
    raise ConfigError(
        f"{value!r} is not a distribution; give log_uniform(lo, hi), uniform(lo, hi), int_uniform(lo, hi), choice([…])"
        " or a list of values (a single value belongs to the workload marker)"
    )
