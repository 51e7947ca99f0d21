"""The registry of workloads: read from JSON files, checked whole, before anything starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from ..documents.node import Node, shown
from ..documents.readers import included_file, read_document
from ..errors import RegistryError, did_you_mean
from .command_words import OWN_PLACEHOLDERS
from .entry_metrics import EntryMetrics, read_metrics
from .entry_values import (
    read_config,
    read_environment,
    read_launcher,
    read_modules,
    read_output,
    read_path,
    read_python,
    read_words,
    texts,
)
from .hyperparameter import Hyperparameter, read_hyperparameter
from .progress_keys import read_devices, read_epoch, read_reach, read_work
from .rank_launcher import RankLauncher
from .reference import REFERENCE, registry_files
from .sample_log import Sample, check_samples, sample_of
from .workload import Output, Profile, Workload

__all__ = ["Registry", "load_registry"]

_ENTRY_KEYS = (
    *("path", "modules", "train_script", "command", "cwd", "config", "python", "models", "model_flag", "required_args"),
    *("env", "output", "after", "launcher", "ranks", "devices", "epoch", "work", "reach"),
    *("supported_hyperparams", "model_overrides", "profiles", "performance_metrics", "required_metrics", "sample_log"),
)
_NEEDED = ("path", "models")
_NO_FLAG = "default"
"""A model of this name passes no model flag."""
_RESERVED = ("args", "models")
_Fields = dict[str, dict[str, Node]]


class Registry(Struct, frozen=True, kw_only=True):
    """Workloads by name.

    Args:
        workloads: ``repository/model`` → workload, in the order of the files.
        files: what was read, includes first.
    """

    workloads: Mapping[str, Workload]
    files: tuple[Path, ...] = ()

    def names(self) -> tuple[str, ...]:
        """Return all names, ``repository/model``, in the order of the files."""
        return tuple(self.workloads)

    def get(self, name: str) -> Workload:
        """Return a workload by name, without looking at the disk.

        Raises:
            RegistryError: there is no workload of that name.
        """
        if name not in self.workloads:
            files = ", ".join(map(str, self.files))
            raise RegistryError(
                f"there is no workload {name!r} in {files}; {did_you_mean(name, self.workloads)}; registries are named "
                f"by --energy-models=FILE or energy_models in the ini file, the reference workloads by {REFERENCE!r}"
            )
        return self.workloads[name]

    def workload(self, name: str) -> Workload:
        """Return a workload that can run here: its folder and its script exist.

        Raises:
            RegistryError: there is no workload of that name, or its folder or script is missing or cannot be executed.
        """
        found = self.get(name)
        found.check()
        return found


def load_registry(paths: Sequence[Path]) -> Registry:
    """Return the workloads of all the files; a repository that a later file names replaces the earlier one whole.

    Without paths the reference workloads are returned; a path ``reference`` stands for them too.

    Files that a file includes are read before it. Nothing but the files and their sample logs is looked at: whether a
    checkout is there is checked when a workload is asked for.

    Raises:
        RegistryError: a file cannot be read, or says something that has no meaning: with file, line, place, value
            and remedy.
    """
    entries: dict[str, Node] = {}
    files: list[Path] = []
    for path in registry_files(paths):
        _read_file(Path(path), (), entries, files)
    samples: list[Sample] = []
    workloads = {
        workload.name: workload
        for repository, node in entries.items()
        for workload in _read_repository(repository, node, samples)
    }
    check_samples(samples)
    return Registry(workloads=workloads, files=tuple(files))


def _read_file(path: Path, above: tuple[Path, ...], entries: dict[str, Node], files: list[Path]) -> None:
    try:
        resolved = path.resolve()
    except (OSError, RuntimeError) as problem:
        raise RegistryError(f"{path}: cannot be read: {problem}") from problem
    if resolved in above:
        chain = " -> ".join(str(file) for file in (*above, resolved))
        raise RegistryError(f"{above[-1]}: files include each other in a circle: {chain}; take one include out")
    fields = read_document(path, error=RegistryError).object(("models", "include"))
    if "models" not in fields and "include" not in fields:
        raise RegistryError(f'{path}: has no "models": a registry is {{"models": {{"repository": {{…}}}}}}')
    for include in fields["include"].one_or_more() if "include" in fields else ():
        _read_file(included_file(include), (*above, resolved), entries, files)
    files.append(path)
    if "models" in fields:
        entries.update(fields["models"].entries())


def _read_repository(repository: str, node: Node, samples: list[Sample]) -> list[Workload]:
    base = node.source.file.parent
    fields = node.object(_ENTRY_KEYS)
    for key in _NEEDED:
        if key not in fields:
            node.fail(f"lacks {shown(key)}", f"an entry needs {', '.join(map(shown, _NEEDED))}")
    if ("train_script" in fields) == ("command" in fields):
        node.fail(
            'must have either "train_script" or "command"' if "command" in fields else 'lacks "train_script"',
            'name a script, or give a "command": ["program", "--lr={lr}"]',
        )
    models = [item.text() for item in fields["models"].array()]
    if not models or len(set(models)) < len(models):
        fields["models"].fail(f"must name at least one model, each once, not {shown(fields['models'].value)}")
    described = _members(fields, "supported_hyperparams")
    for name, member in described.items():
        if name in _RESERVED:
            member.fail(f"a hyperparameter cannot be called {shown(name)}", "profiles use that name for something else")
    hyperparameters = {name: member.entries() for name, member in described.items()}
    words, names = read_words(fields["command"]) if "command" in fields else ((), [])
    common = _Common(
        node=node,
        fields=fields,
        base=base,
        hyperparameters=hyperparameters,
        models=tuple(models),
        words=words,
        placeholders=names,
    )
    for key in ("model_overrides", "required_metrics", "sample_log"):
        if key in fields and isinstance(fields[key].value, dict):
            fields[key].object(models)
    workloads = [common.workload(repository, model) for model in models]
    samples += [sample for workload in workloads if (sample := sample_of(workload, fields.get("sample_log"), base))]
    return workloads


def _members(fields: Mapping[str, Node], key: str) -> dict[str, Node]:
    return fields[key].entries() if key in fields else {}


class _Common(Struct, frozen=True, kw_only=True):
    """The parts of a repository's entry that its models share."""

    node: Node
    fields: Mapping[str, Node]
    base: Path
    hyperparameters: _Fields
    models: tuple[str, ...]
    words: tuple[str, ...]
    placeholders: list[str]

    def workload(self, repository: str, model: str) -> Workload:
        fields = self.fields
        overrides = _members(fields, "model_overrides").get(model)
        described = _overlay(self.hyperparameters, overrides.entries() if overrides else {})
        published = self._build(described)
        self._refuse_unknown_placeholders(published)
        metrics = read_metrics(fields["performance_metrics"]) if "performance_metrics" in fields else EntryMetrics()
        measured = [*metrics.patterns, *metrics.files]
        environment = read_environment(fields["env"]) if "env" in fields else {}
        profiles = {name: self._profile(node, model, described) for name, node in _members(fields, "profiles").items()}
        return Workload(
            repository=repository,
            model=model,
            path=read_path(fields["path"], self.base),
            modules=read_modules(fields["modules"], self.base) if "modules" in fields else (),
            script=fields["train_script"].text() if "train_script" in fields else "",
            words=self.words,
            folder=fields["cwd"].text() if "cwd" in fields else "",
            config=read_config(fields["config"]) if "config" in fields else None,
            registry=f"{self.node.source.file}",
            python=read_python(fields["python"], self.base) if "python" in fields else (),
            arguments=(*self._model_arguments(model), *self._required_arguments()),
            environment=environment,
            launcher=self._launcher(environment),
            output=self._output(),
            published=Profile(hyperparameters=published),
            profiles=profiles,
            patterns=metrics.patterns,
            picks=metrics.picks,
            metric_files=metrics.files,
            required_metrics=self._required_metrics(model, measured),
            after=fields["after"].text() if "after" in fields else None,
            better=metrics.better,
            devices=read_devices(fields["devices"]) if "devices" in fields else None,
            epoch=read_epoch(fields["epoch"]) if "epoch" in fields else None,
            work=read_work(fields["work"], [*measured, *published]) if "work" in fields else {},
            reach=read_reach(fields["reach"], [*metrics.patterns]) if "reach" in fields else {},
        )

    def _launcher(self, environment: Mapping[str, str]) -> RankLauncher | None:
        fields = self.fields
        if "launcher" not in fields:
            if "ranks" in fields:
                fields["ranks"].fail('belongs to "launcher"', "name the launcher that starts the ranks")
            return None
        launcher = read_launcher(fields["launcher"], fields.get("ranks"), self.base, environment)
        if launcher.starts_python and "python" in fields and not any("{python}" in word for word in launcher.words):
            fields["python"].fail(
                f"has no effect, because {shown(launcher.words[0])} chooses the interpreter",
                'use the launcher of that environment, or ["{python}", "-m", "torch.distributed.run", …]',
            )
        return launcher

    def _build(self, described: _Fields) -> dict[str, Hyperparameter]:
        place = self.fields.get("supported_hyperparams", self.node)
        return {
            name: read_hyperparameter(name, place.child(name, None), members, in_command=name in self.placeholders)
            for name, members in described.items()
        }

    def _refuse_unknown_placeholders(self, published: Mapping[str, Hyperparameter]) -> None:
        known = [*OWN_PLACEHOLDERS, *published]
        for name in self.placeholders:
            if name not in known:
                self.fields["command"].fail(
                    f"has the placeholder {shown(name)}, which is not known", did_you_mean(name, known)
                )
            if name in published and published[name].default is None:
                self.fields["command"].fail(
                    f"has the placeholder {shown(name)}, which has no default", f"give {shown(name)} a default"
                )

    def _output(self) -> Output:
        in_command = "output" in self.placeholders
        if "output" in self.fields:
            return read_output(self.fields["output"], in_command=in_command)
        return Output(kind="command") if in_command else Output()

    def _profile(self, node: Node, model: str, described: _Fields) -> Profile:
        entries = node.entries()
        args = texts(entries.pop("args")) if "args" in entries else ()
        special = entries.pop("models").object(self.models) if "models" in entries else {}
        for other in special.values():
            others = other.entries()
            others.pop("args", None)
        known = set(self.hyperparameters)
        for name, entry in entries.items():
            if name not in known:
                entry.fail(f"there is no hyperparameter {shown(name)}", did_you_mean(name, [*known, "args", "models"]))
        # A profile speaks for all models of a repository, also for one that lacks a hyperparameter.
        described = _overlay(described, {name: entry for name, entry in entries.items() if name in described})
        if model in special:
            own = special[model].entries()
            args += texts(own.pop("args")) if "args" in own else ()
            described = _overlay(described, own)
        return Profile(hyperparameters=self._build(described), args=args)

    def _model_arguments(self, model: str) -> tuple[str, ...]:
        flag = self.fields.get("model_flag")
        if flag is not None and isinstance(flag.value, dict):
            switches = flag.object(self.models)
            if model not in switches:
                flag.fail(f"says nothing about the model {shown(model)}", "give it a switch, or an empty list")
            return texts(switches[model])
        if model == _NO_FLAG or "model" in self.placeholders:
            return ()
        if "model_flag" not in self.fields:
            self.node.fail(
                f'has a model {shown(model)} and no "model_flag"',
                f"say how the script learns which model to train, or call its only model {shown(_NO_FLAG)}",
            )
        name = self.fields["model_flag"].text()
        return (f"{name}{model}",) if name.endswith("=") else (name, model)

    def _required_arguments(self) -> tuple[str, ...]:
        return tuple(text for node in _members(self.fields, "required_args").values() for text in texts(node))

    def _required_metrics(self, model: str, known: Sequence[str]) -> tuple[str, ...] | None:
        node = self.fields.get("required_metrics")
        if node is not None and isinstance(node.value, dict):
            node = node.entries().get(model)
        if node is None:
            return None
        return tuple(item.one_of(known) for item in node.array())


def _overlay(described: _Fields, changes: Mapping[str, Node]) -> _Fields:
    """Return changed hyperparameters: an object changes members, a value changes the default, null removes."""
    result = dict(described)
    for name, change in changes.items():
        if name not in described:
            change.fail(f"there is no hyperparameter {shown(name)}", did_you_mean(name, described))
        if change.value is None:
            del result[name]
        elif isinstance(change.value, dict):
            result[name] = {**described[name], **change.entries()}
        else:
            result[name] = {**described[name], "default": change}
    return result
