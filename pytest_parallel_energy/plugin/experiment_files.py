"""Experiment files as test modules: each entry is a test function with the markers that a person would write.

So fixtures, marks, ``-k``, ``--lf``, xdist and timeouts work on them as on any test.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ..errors import ParallelEnergyError

if TYPE_CHECKING:
    from ..study.study import Entry, Study
    from ..training.registry import Registry

__all__ = ["ExperimentFile", "is_experiment_file"]

_SUFFIXES = frozenset({".json", ".toml", ".yaml", ".yml"})
_OWN = ".energy"
"""Files called ``*.energy.json`` and so on are collected wherever they lie."""
_SETTINGS = ("repeats", "max_retries", "governor")
"""Settings that an entry may set as the ``energy`` marker does."""
_TIMEOUT_SLACK_S = 900.0
"""Seconds for set-up, tear-down and the load, in addition to the trainings, before pytest-timeout ends the test."""


def is_experiment_file(path: Path, *, named: bool, patterns: Iterable[str]) -> bool:
    """Return whether pytest collects a file: for its name, because the command line names it, or by the ini setting.

    A YAML file that was named counts only if it looks like an experiment file: other plugins have YAML tests too.
    """
    if path.suffix.lower() not in _SUFFIXES:
        return False
    if Path(path.stem).suffix == _OWN or any(fnmatch(str(path), pattern) for pattern in patterns):
        return True
    return named and (path.suffix.lower() in {".json", ".toml"} or _looks_like_experiments(path))


def _looks_like_experiments(path: Path) -> bool:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True  # reading it says what is wrong
    return any(word in text for word in ("experiments", "repo:", "repository:"))


class ExperimentFile(pytest.Module):
    """One experiment file; its tests are made from its entries when it is collected."""

    def __init__(self, *, registry: Callable[[], Registry], profile: str | None, strict: bool, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._registry = registry
        self._profile = profile
        self._strict = strict
        self.history_notes: tuple[str, ...] = ()
        """Per file of older results the rows that were read and skipped."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """One test function an entry.

        Raises:
            CollectError: the file says something that is not understood; nothing of it runs.
        """
        from ..study.experiment_file import read_study

        try:
            study = read_study(
                self.path,
                self._registry(),
                profile=self._profile,
                root=self.config.rootpath,
                strict=self._strict,
            )
        except ParallelEnergyError as error:
            raise self.CollectError(str(error)) from error
        self.history_notes = study.history_notes
        self.obj = _module_of(study)
        self.extra_keyword_matches.add(study.name)
        for note in study.notes:
            self.warn(pytest.PytestWarning(note))
        return super().collect()


def _module_of(study: Study) -> types.ModuleType:
    module = types.ModuleType(study.file.stem, f"Experiments of {study.file}.")
    for entry in study.entries:
        name = f"test_{entry.name}"
        setattr(module, name, _test_of(entry, name, study.file))
    return module


def _train(train: Callable[..., Any], timeout_s: float | None = None) -> None:
    """Train what the markers say; success is the exit code and the metrics."""
    __tracebackhide__ = True
    train(timeout_s=timeout_s)


def _test_of(entry: Entry, name: str, file: Path) -> Any:
    # The code says that it stands in the experiment file: reports name that, not this module.
    code = _train.__code__.replace(co_filename=str(file), co_firstlineno=1, co_name=name, co_qualname=name)
    function: Any = types.FunctionType(code, {}, name, (entry.timeout_s,))
    function.__doc__ = f"{entry.place}."
    for mark in _marks(entry):
        function = mark(function)
    return function


def _marks(entry: Entry) -> Iterable[pytest.MarkDecorator]:
    from ..plan.markers import MutateMark, WorkloadMark

    # Ready values instead of keywords: a hyperparameter may be called `seed`, and so is an argument of the marker.
    yield pytest.mark.workload(WorkloadMark(name=entry.workload, profile=entry.profile, fixed=entry.values))
    if entry.draw is not None:
        yield pytest.mark.mutate(MutateMark(draw=entry.draw, spaces=entry.space, drawn=entry.mutations))
    # pytest applies decorators from the innermost; the first load of the entry must stand at the top.
    for load in reversed(entry.loads):
        yield pytest.mark.background_load(load)
    if own := {name: value for name in _SETTINGS if (value := getattr(entry, name)) is not None}:
        yield pytest.mark.energy(**own)
    if entry.timeout_s is not None:
        attempts = 1 + (entry.max_retries or 0)
        yield pytest.mark.timeout(entry.timeout_s * attempts + _TIMEOUT_SLACK_S)
