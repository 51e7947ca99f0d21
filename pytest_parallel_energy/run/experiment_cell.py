"""The identity of an experiment: what is trained, with which values, next to which loads. Opens and starts nothing."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from ..errors import RegistryError
from ..plan.cells import CellParam, MarkedPlan, profile_of, workload_of
from ..records.cell import CellIdentity, cell_id, host_class, values_id
from ..records.record import Phase
from .record_parts import command_identity, load_identity, training_identity

if TYPE_CHECKING:
    from ..plan.markers import LoadRequest
    from ..plan.settings import Settings
    from ..records.record import HostPart
    from ..training.registry import Registry
    from ..training.workload import Workload
    from .trained_code import TrainedCode

__all__ = ["ExperimentCell", "RunFacts", "registered_load"]

_NO_LOADS = cell_id("", {}, [], "")
_IDENTITY_VERSION = 2
"""Part of each identity: schema version of the first records that have it. A new version makes every cell another."""


class RunFacts(Protocol):
    """The facts of a run that identities are made of; reading them opens no sensor and no results folder."""

    @property
    def root(self) -> Path:
        """The folder that pytest's node ids are relative to."""

    @property
    def registry(self) -> Registry:
        """The registered workloads."""

    @property
    def host(self) -> HostPart:
        """The facts of this machine."""

    @property
    def threads(self) -> int:
        """The thread budget of the measured training."""

    @property
    def devices(self) -> str | None:
        """The GPUs that the session may use, as ``CUDA_VISIBLE_DEVICES`` names them."""

    def code_of(self, file: Path) -> str | None:
        """Return a hash of the file; ``None`` if there is no such file."""

    def trained_code(self, workload: Workload) -> TrainedCode:
        """Return the code of the workload as this session first saw it."""


class ExperimentCell(Struct, frozen=True, kw_only=True, eq=False, dict=True):
    """One repetition of one cell, as its markers and parameters describe it.

    Args:
        facts: the registry, the machine and the code.
        nodeid: pytest's name of the item.
        settings: the run's, with what the test's ``energy`` marker says.
        plan: what the other markers say.
        param: which cell and repetition the item is.
    """

    facts: RunFacts
    nodeid: str
    settings: Settings
    plan: MarkedPlan
    param: CellParam

    @cached_property
    def workload(self) -> Workload | None:
        """The marked workload; ``None`` for a test that trains by itself.

        Raises:
            RegistryError: the workload is not registered.
        """
        return workload_of(self.plan.workload, self.facts.registry) if self.plan.workload else None

    @cached_property
    def profile(self) -> str | None:
        """The profile in force; ``None`` for the published defaults."""
        return profile_of(self.plan.workload.profile if self.plan.workload else None, self.settings)

    @cached_property
    def devices(self) -> str | None:
        """The GPUs that the training may use and that count; ``None``: all that the session may use.

        Those of the marker, the command line, the environment or the ini file, else the workload's.
        """
        if self.settings.devices is not None:
            return self.settings.devices
        return None if self.workload is None else self.workload.devices

    @cached_property
    def hyperparameters(self) -> Mapping[str, Any]:
        """The workload's values, with the fixed values of the marker and the mutated ones.

        Raises:
            ConfigError: an unknown hyperparameter, or a value outside its range.
        """
        if self.plan.workload is None or self.workload is None:
            return dict(self.param.values)
        return self.workload.values(self.profile, **{**self.plan.workload.fixed, **self.param.values})

    @cached_property
    def code(self) -> str | None:
        """The hash of the modules that train; of the test's own file for a test that trains by itself."""
        if self.workload is not None:
            return self.facts.trained_code(self.workload).digest
        return self.facts.code_of(self.facts.root / self.nodeid.partition("::")[0])

    @cached_property
    def id(self) -> str:
        """The cell's name in records, with the loads that the markers name."""
        return self.identity().cell

    def id_with(self, started_loads: Sequence[Mapping[str, Any]]) -> str:
        """Return the cell's name, with the loads that the test itself started (their identities) as well."""
        return self.identity(started_loads).cell if started_loads else self.id

    def identity(
        self, started_loads: Sequence[Mapping[str, Any]] = (), trainings: Sequence[Mapping[str, Any]] = ()
    ) -> CellIdentity:
        """Return the names of the cell and of its parts.

        Args:
            started_loads: identities of the loads that the test itself started.
            trainings: identities of the trainings that the test ran; those that its markers name add nothing.
        """
        others = [training for training in trainings if training != self._command]
        return self._identity_with(started_loads, others) if started_loads or others else self._marked_identity

    @cached_property
    def _marked_identity(self) -> CellIdentity:
        return self._identity_with((), ())

    def _identity_with(
        self, started_loads: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]
    ) -> CellIdentity:
        loads = [*self._marked_loads, *started_loads]
        host = host_class(self.facts.host)
        setting: dict[str, Any] = {
            "schema": _IDENTITY_VERSION,
            "threads": self.facts.threads,
            "devices": self.facts.devices if self.devices is None else self.devices,
            "command": self._command,
        }
        if others:
            setting["trainings"] = [each for i, each in enumerate(others) if each not in others[:i]]
        return CellIdentity(
            cell=cell_id(self._work, self._values, loads, host, {**setting, "test": self.nodeid.partition("[")[0]}),
            foreground=cell_id(self._work, self._values, [], host, setting),
            loads=cell_id("", {}, loads, "") if loads else _NO_LOADS,
        )

    def record_fields(
        self, started_loads: Sequence[Mapping[str, Any]], trainings: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Return the fields of a record that say which experiment it is of; the arguments are as for ``identity``."""
        identity = self.identity(started_loads, trainings)
        return {
            **self._fields_of_plan,
            "cell": identity.cell,
            "foreground_id": identity.foreground,
            "loads_id": identity.loads,
        }

    @cached_property
    def _fields_of_plan(self) -> dict[str, Any]:
        """The fields that are known before the test runs."""
        param = self.param
        return {
            "nodeid": self.nodeid,
            "planned_cell": self.id,
            "code": self.code,
            "repetition": param.repetition,
            "phase": Phase.WARMUP if param.warmup else Phase.MEASURED,
            "labels": self.settings.labels(),
            # those of a workload are in the part of the workload, with the values that were applied
            "hyperparameters": dict(self.hyperparameters) if self.workload is None else {},
            "mutated": tuple(param.values) if self.workload is None else (),
            "parameters": dict(param.parameters),
            "values_id": values_id(self.hyperparameters, param.parameters),
        }

    @cached_property
    def _command(self) -> dict[str, Any] | None:
        if self.workload is None:
            return None
        return training_identity(self.workload, self.hyperparameters, profile=self.profile, threads=self.facts.threads)

    @cached_property
    def work_and_values(self) -> str:
        """A text that is the same for tests that do the same work, alone or next to any load."""
        return self.identity().foreground

    @cached_property
    def _work(self) -> str:
        work = self.plan.workload.name if self.plan.workload else self.nodeid.partition("[")[0]
        return f"{work}@{self.profile}" if self.profile else work

    @cached_property
    def _values(self) -> dict[str, Any]:
        """The hyperparameters, and the parameters of the test's own ``parametrize``, which may be any values."""
        return {**self.hyperparameters, **{f"[{name}]": value for name, value in self.param.parameters.items()}}

    @cached_property
    def _marked_loads(self) -> list[dict[str, Any]]:
        return [self.load_identity(mark) for mark in self.plan.loads for _ in range(mark.n)]

    def load_identity(self, mark: LoadRequest) -> dict[str, Any]:
        """Return the part of a load in the identity of the cell.

        Raises:
            ConfigError: an unknown workload, profile or hyperparameter.
        """
        if mark.command:
            return command_identity(mark.command, mark.conditions)
        workload = registered_load(self.facts.registry, mark.name)
        profile = profile_of(mark.profile, self.settings)
        return load_identity(workload, workload.values(profile, **mark.hyperparameters), profile, mark.conditions)


def registered_load(registry: Registry, name: str) -> Workload:
    """Return the workload that runs as a load.

    Raises:
        RegistryError: it is not registered; if the name looks like a command, the message says how to write one.
    """
    try:
        return registry.workload(name)
    except RegistryError as error:
        if " " not in name:
            raise
        raise RegistryError(f"{error}; a command is a list of words: {shlex.split(name)}") from error
