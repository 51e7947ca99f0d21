"""A workload: a registered training, its values, and the command that trains with them."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from ..errors import ConfigError, RegistryError, did_you_mean
from ..mutation.distributions import Distribution, Value, as_distribution
from ..processes.command import Command
from .checkout_copy import copy_checkout, copy_place
from .command_words import filled, placeholders
from .config_file import ConfigFile
from .hyperparameter import Hyperparameter, text_of
from .log_marks import EpochMarks
from .metric_files import MetricFile
from .metrics import LogMetric
from .progress_keys import WorkTerms
from .rank_launcher import RankLauncher

__all__ = ["OUTPUT_VARIABLE", "Output", "Profile", "Workload", "thread_environment"]

OUTPUT_VARIABLE = "PARALLEL_ENERGY_OUTPUT_DIR"
"""Variable that is always set for a child: the path of its own output folder."""


class Profile(Struct, frozen=True, kw_only=True):
    """Named defaults in addition to the published ones, such as ``quick``.

    Args:
        hyperparameters: all of the workload's, with this profile's defaults and ranges.
        args: what is added to the command line.
    """

    hyperparameters: Mapping[str, Hyperparameter]
    args: tuple[str, ...] = ()


class Output(Struct, frozen=True, kw_only=True):
    """The way in which a child is given an output folder of its own.

    Args:
        kind: ``flag`` and ``env`` name it to the script; ``command`` has the placeholder ``{output}``; ``copy`` runs a
            copy of the checkout; ``checkout`` means that the script writes into its own folder.
        name: the flag or the variable.
        file: the name of the file in the output folder that the training writes, where it takes a file.
        share: for ``copy``: paths within the checkout that are linked instead of copied, such as data sets.
    """

    kind: Literal["flag", "env", "copy", "checkout", "command"] = "checkout"
    name: str = ""
    file: str = ""
    share: tuple[str, ...] = ()


def thread_environment(threads: int) -> dict[str, str]:
    """Return the thread budget and the wait policy as environment variables.

    Without them two concurrent CPU trainings slow each other down by factors: each takes all cores, and waiting
    threads spin (two ResNet-20 at batch 32, 65 ms per step alone: 300 ms by default, 172 ms with passive waiting,
    126 ms with one thread each).

    Raises:
        ConfigError: ``threads`` is below 1.
    """
    if threads < 1:
        raise ConfigError(f"the thread budget of a training must be 1 or more, not {threads!r}")
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return dict.fromkeys(names, str(threads)) | {"OMP_WAIT_POLICY": "PASSIVE", "PYTHONUNBUFFERED": "1"}


class Workload(Struct, frozen=True, kw_only=True):
    """A registered training; everything in it was checked when the registry was read."""

    repository: str
    model: str
    path: Path
    """The folder of the checkout; absolute."""
    modules: tuple[Path, ...] = ()
    """Files and folders outside of it that its trainings import; absolute."""
    script: str = ""
    """Relative to ``path``; empty where ``words`` say what runs."""
    words: tuple[str, ...] = ()
    """The command with placeholders, instead of a script."""
    folder: str = ""
    """The working directory, relative to ``path``."""
    config: ConfigFile | None = None
    registry: str = ""
    """The file of the registry, for messages."""
    python: tuple[str, ...] = ()
    """Interpreter of a ``.py`` script, and its arguments; empty for the interpreter that runs the tests."""
    arguments: tuple[str, ...] = ()
    """Model flag and required arguments."""
    environment: Mapping[str, str] = field(default_factory=dict)
    launcher: RankLauncher | None = None
    """Starts the training as several ranks; ``None`` for a single process."""
    output: Output = Output()
    published: Profile
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    patterns: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    """Metric patterns."""
    picks: Mapping[str, str] = field(default_factory=dict)
    """Which match of a metric's pattern counts; ``last`` where a metric is absent."""
    metric_files: Mapping[str, MetricFile] = field(default_factory=dict)
    """Metrics that are read from files in the output folder."""
    better: Mapping[str, str] = field(default_factory=dict)
    """``higher`` or ``lower`` by metric; a metric is absent where the registry does not say."""
    required_metrics: tuple[str, ...] | None = None
    """Metrics without which a run has failed; ``None``: at least one of those that are registered."""
    devices: str | None = None
    """GPUs that the training may use, as ``CUDA_VISIBLE_DEVICES`` writes them; ``None`` leaves them."""
    epoch: EpochMarks | None = None
    """The lines of the log that name an epoch; ``None`` where the registry does not say."""
    work: Mapping[str, WorkTerms] = field(default_factory=dict)
    """Units of work (``sample``, ``step``), each with the factors of its amount."""
    reach: Mapping[str, float] = field(default_factory=dict)
    """Values that metrics should reach."""
    after: str | None = None
    """The repository that an own implementation follows; ``None`` where the repository itself runs."""

    @property
    def name(self) -> str:
        """``repository/model``."""
        return f"{self.repository}/{self.model}"

    @property
    def hyperparameters(self) -> Mapping[str, Hyperparameter]:
        """The published ones, in the order of the registry."""
        return self.published.hyperparameters

    def profile(self, name: str | None) -> Profile:
        """Return a profile by name; ``None`` is the published defaults.

        Raises:
            RegistryError: there is no such profile.
        """
        if name is None:
            return self.published
        if name not in self.profiles:
            remedy = did_you_mean(name, self.profiles) if self.profiles else "it has no profiles: leave the profile out"
            raise RegistryError(f"{self.name} has no profile {name!r} ({self.registry}); {remedy}")
        return self.profiles[name]

    def values(self, profile: str | None = None, /, **fixed: object) -> dict[str, Value]:
        """Return the value of each hyperparameter: the profile's defaults with ``fixed`` laid over them, types checked.

        A range says what mutation draws from; a fixed value may lie outside it (one epoch, for a quick look), but not
        outside the registry's ``limits``.

        Raises:
            RegistryError: no such profile or hyperparameter, or a value of the wrong type or outside the limits.
        """
        known = self.profile(profile).hyperparameters
        self._refuse_unknown(fixed, known)
        values = {name: some.default for name, some in known.items()}
        for name, value in fixed.items():
            try:
                values[name] = known[name].checked(value)
            except ConfigError as problem:
                raise RegistryError(f"{self.name}: {problem}") from problem
        return values

    def space(
        self,
        names: Iterable[str] | None = None,
        given: Mapping[str, object] | None = None,
        *,
        profile: str | None = None,
    ) -> dict[str, Distribution]:
        """Return the distributions from which hyperparameters are drawn.

        Args:
            names: those whose registered range counts; ``None`` is every one that has a range, unless ``given`` names
                some.
            given: distributions or lists instead of the registered ranges.
            profile: whose ranges count.

        Raises:
            RegistryError: no such hyperparameter, one without a range, or a distribution that does not fit its type.
        """
        known = self.profile(profile).hyperparameters
        given = given or {}
        if names is None:
            names = () if given else [name for name, some in known.items() if some.distribution is not None]
        names = list(names)
        self._refuse_unknown([*names, *given], known)
        space = {}
        for name in names:
            distribution = known[name].distribution
            if distribution is None and name not in given:
                raise RegistryError(
                    f"{self.name}: {name} has no range in the registry ({self.registry}), so nothing can be drawn;"
                    f" give one: mutate({name}=uniform(lo, hi)), or a list of values"
                )
            if distribution is not None:
                space[name] = distribution
        for name, value in given.items():
            try:
                space[name] = known[name].adapted(as_distribution(value))
            except ConfigError as problem:
                raise RegistryError(f"{self.name}: {name}: {problem}") from problem
        return space

    def _refuse_unknown(self, names: Iterable[str], known: Mapping[str, Hyperparameter]) -> None:
        for name in names:
            if name not in known:
                raise RegistryError(
                    f"{self.name} has no hyperparameter {name!r} ({self.registry}); {did_you_mean(name, known)}"
                )

    def check(self) -> None:
        """Check that the folder exists and that the script can run.

        Raises:
            RegistryError: with the path, and what to do.
        """
        script = self.path / (self.script or self.folder)
        try:
            self._look(script)
        except OSError as problem:  # a name that is too long, a mount that does not answer
            raise RegistryError(f"{self.registry}: {self.name}: {script} cannot be looked at: {problem}") from problem

    def _look(self, script: Path) -> None:
        if not self.path.is_dir():
            raise RegistryError(
                f"{self.registry}: {self.name}: there is no folder {self.path}; check out the repository there, or"
                ' correct "path" (relative paths start at the folder of the registry file)'
            )
        if not (self.path / self.folder).is_dir():
            raise RegistryError(f'{self.registry}: {self.name}: there is no folder {script}; correct "cwd"')
        launcher = self.launcher
        if launcher is not None and "{" not in launcher.words[0] and launcher.find_program() is None:
            raise RegistryError(
                f'{self.registry}: {self.name}: "launcher" is {launcher.words[0]!r}, which is not found or not'
                " executable; install it, or write its path (relative paths start at the folder of the registry file)"
            )
        if self.words:
            self._look_for_program()
            return
        if not script.is_file():
            raise RegistryError(f'{self.registry}: {self.name}: there is no script {script}; correct "train_script"')
        if script.suffix == ".py":
            self._find_python()
        elif not os.access(script, os.X_OK):
            raise RegistryError(f"{self.registry}: {self.name}: {script} is not executable; run: chmod +x {script}")

    def _find_python(self) -> None:
        if self.python and shutil.which(self.python[0]) is None:
            raise RegistryError(f'{self.registry}: {self.name}: "python" is {self.python[0]!r}, which cannot be run')

    def _look_for_program(self) -> None:
        program = self.words[0]
        if "python" in placeholders(program):
            self._find_python()
        elif not placeholders(program) and shutil.which(_program(program, self.path / self.folder)) is None:
            raise RegistryError(
                f"{self.registry}: {self.name}: the program {program!r} of the command is not found or not executable;"
                " install it, or write its path (relative paths start at the working directory)"
            )

    @property
    def log_metrics(self) -> dict[str, LogMetric]:
        """The metrics of the log, each with the match that counts."""
        return {name: LogMetric(pattern, self.picks.get(name, "last")) for name, pattern in self.patterns.items()}  # type: ignore[arg-type]

    @property
    def writes_into_checkout(self) -> bool:
        """True if two runs at the same time would overwrite each other's files."""
        return self.output.kind == "checkout"

    def isolated(self) -> Workload:
        """Return this workload, running in a copy of its checkout if it would otherwise write into it."""
        return replace(self, output=Output(kind="copy")) if self.writes_into_checkout else self

    def prepare(self, output_dir: Path, values: Mapping[str, Value], *, profile: str | None = None) -> tuple[str, ...]:
        """Make the output folder, the copy of the checkout and of the config file where there are any.

        Call this before the command runs, with the same arguments.

        Returns:
            Remarks for the record: what of the checkout was copied.

        Raises:
            RegistryError: the folder cannot be made, the checkout not copied, or the config template not be used.
        """
        try:
            output_dir.mkdir(parents=True, exist_ok=True)
            copied = None
            if self.output.kind == "copy" and not copy_place(output_dir, self.path).exists():
                needed = self.script or self.folder
                copied = copy_checkout(self.path, output_dir, share=self.output.share, needed=needed)
            if self.config is not None:
                known = self.profile(profile).hyperparameters
                keys = {some.config: values.get(name) for name, some in known.items() if some.config}
                given = {key: value for key, value in keys.items() if value is not None}
                self.config.write(self.path, output_dir, given)
        except (OSError, shutil.Error) as problem:
            raise RegistryError(f"{self.name}: {output_dir} cannot be prepared: {problem}") from problem
        return () if copied is None else (str(copied),)

    def command(
        self, values: Mapping[str, Value], *, output_dir: Path, threads: int, profile: str | None = None
    ) -> Command:
        """Return the argument list that trains with these values, with its folder and added environment.

        Values are passed literally, floats in their shortest exact form; no shell sees them.

        Args:
            values: from ``values()``, for each hyperparameter.
            output_dir: the folder that is the child's own (see ``prepare``).
            threads: its thread budget, 1 or more, which the ranks of a launcher share.
            profile: whose further arguments are added.

        Raises:
            ConfigError: ``threads`` is below 1, or an argument holds a NUL character.
            RegistryError: there is no such profile.
        """
        chosen, output_dir = self.profile(profile).hyperparameters, output_dir.absolute()
        launcher = self.launcher
        if launcher is not None and threads >= 1:  # each rank gets its share
            threads = max(1, threads // launcher.ranks)
        checkout = copy_place(output_dir, self.path) if self.output.kind == "copy" else self.path
        python = self.python or (sys.executable,)
        output = str(output_dir / self.output.file) if self.output.file else str(output_dir)
        config = str(self.config.copy_path(output_dir)) if self.config else ""
        own: dict[str, str | tuple[str, ...]] = {
            "python": python,
            "output": output,
            "threads": str(threads),
            "model": self.model,
            "config": config,
        }
        used = {name for word in self.words for name in placeholders(word)}
        argv = self._program_words(checkout, {**own, **self._texts(used & chosen.keys(), values)}, python)
        argv += self.arguments
        environment = {**thread_environment(threads), OUTPUT_VARIABLE: str(output_dir)}
        if launcher is not None:
            port = launcher.free_port()
            argv = [*launcher.argv(python=python, threads=threads, port=port), *argv]
            environment |= launcher.environment(port)
        for name, hyperparameter in chosen.items():
            value = values.get(name)
            if hyperparameter.env and value is not None:
                environment[hyperparameter.env] = text_of(value)
            elif name not in used:
                argv += hyperparameter.arguments(value)
        argv += self.profile(profile).args
        if self.config is not None and self.config.flag:
            argv += _flagged(self.config.flag, config)
        if self.output.kind == "flag":
            argv += _flagged(self.output.name, output)
        elif self.output.kind == "env":
            environment[self.output.name] = output
        return Command(argv=tuple(argv), cwd=checkout / self.folder, env={**environment, **self.environment})

    def _program_words(
        self, checkout: Path, placeholder_values: Mapping[str, str | tuple[str, ...]], python: tuple[str, ...]
    ) -> list[str]:
        python_runs = self.launcher is not None and self.launcher.starts_python
        if not self.words:
            script = str(checkout / self.script)
            return [*python, script] if script.endswith(".py") and not python_runs else [script]
        words = self.words[1:] if python_runs and placeholders(self.words[0]) == ["python"] else self.words
        argv = filled(words, placeholder_values)
        return [_program(argv[0], checkout / self.folder), *argv[1:]]

    def _texts(self, names: Iterable[str], values: Mapping[str, Value]) -> dict[str, str]:
        texts = {}
        for name in names:
            value = values.get(name)
            if value is None:
                raise RegistryError(
                    f"{self.name}: the command has the placeholder {{{name}}}, but {name} has no value;"
                    f" give it a default ({self.registry})"
                )
            texts[name] = text_of(value)
        return texts


def _program(word: str, folder: Path) -> str:
    """Return a program as it can be started from anywhere: a name is found on PATH, a path starts at the folder."""
    return str(folder / word) if "/" in word else word


def _flagged(flag: str, text: str) -> tuple[str, ...]:
    return (f"{flag}{text}",) if flag.endswith("=") else (flag, text)
