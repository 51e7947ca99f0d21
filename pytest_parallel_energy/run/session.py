"""The values that the experiments of one pytest process share: workloads, meter, results folder, host facts."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ..errors import ConfigError, RecordError
from .measuring_role import MeasuringRole
from .sensor_words import refusals_in_words, sensors_in_words

if TYPE_CHECKING:
    from ..energy.meter import EnergyMeter
    from ..plan.cells import CellParam, MarkedPlan
    from ..plan.finished import Finished
    from ..plan.settings import Settings
    from ..processes.leftovers import Leftover
    from ..records.energy_values import WindowResult
    from ..records.record import HostPart, Record, SlurmPart
    from ..records.run_info import FleetHost, RunInfo, StudyPart
    from ..records.store import RunStore
    from ..training.registry import Registry
    from ..training.workload import Workload
    from .attempt_journal import AttemptJournal
    from .experiment_cell import ExperimentCell
    from .legs import LegBook
    from .trained_code import TrainedCode

__all__ = ["Run"]

_GOVERNOR_AGE_S = 10.0
"""Reading the governor of each of hundreds of CPUs takes milliseconds, which a suite of short tests must not pay."""


class Run(MeasuringRole):
    """One pytest process; each part is made at its first use, so that a suite without experiments pays for none.

    Args:
        settings: the user's.
        root: the folder that relative paths of results start from.
        run_folder: the results folder that another process (the controller of xdist) has chosen; ``None`` makes one.
        arguments: the command line, for ``run.json``.
        finished: the experiments that the controller has found finished already.
    """

    def __init__(
        self,
        settings: Settings,
        root: Path,
        *,
        run_folder: Path | None = None,
        arguments: tuple[str, ...] = (),
        finished: Finished | None = None,
    ) -> None:
        super().__init__(settings)
        self.root = root
        self.arguments = arguments
        self._given_folder = run_folder
        self.on_own_host = True
        """``False`` in a worker on another host than the process that chose the folder."""
        self.swept: tuple[Leftover, ...] = ()
        """Leftover processes of dead sessions that this one killed,"""
        self.unswept: tuple[Leftover, ...] = ()
        """… and could not kill."""
        self.fleet: tuple[FleetHost, ...] = ()
        """The hosts of this session, where it has several."""
        self.scopes: list[WindowResult] = []
        """The windows of modules and of the session that have ended."""
        self.study: StudyPart | None = None
        """The part of a sweep that this session runs, known after the collection."""
        self._given_finished = finished
        self._codes: dict[Path, str | None] = {}
        self._trained_codes: dict[tuple[Path, str, tuple[Path, ...]], TrainedCode] = {}
        self._meter: EnergyMeter | None = None
        self._store: RunStore | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._host_now: HostPart | None = None
        self._host_read_s = 0.0

    @cached_property
    def registry(self) -> Registry:
        """The workloads of all registries.

        Raises:
            RegistryError: a file cannot be read or is not a valid registry.
        """
        from ..training.registry import load_registry

        return load_registry(self.settings.models)

    @cached_property
    def slurm(self) -> SlurmPart | None:
        """The facts of the Slurm job that this process runs in; ``None`` outside of one."""
        from ..host.slurm_job import slurm_job

        return slurm_job(os.environ)

    def open_meter(self) -> EnergyMeter:
        """Return the meter, its sensors open; the first call opens them.

        Raises:
            ConfigError: ``--energy-sensors`` names one that does not exist.
        """
        if self._meter is None:
            from ..energy.meter import EnergyMeter

            self._meter = EnergyMeter(
                self.settings.sensors,
                sysfs_root=Path(self.settings.sysfs_root),
                interval_s=self.settings.interval,
            )
            self._meter.open()
        return self._meter

    def open_store(self) -> RunStore:
        """Return the results folder of this run; the first call makes it, joins it, or resumes it.

        Raises:
            RecordError: it cannot be written.
        """
        if self._store is None:
            from ..records.store import RunStore

            if not self.owns_store:
                self._store = RunStore.open(self.run_folder, on_own_host=self.on_own_host)
                return self._store
            if self.resumed_folder is not None:
                self._store = RunStore.resume(self.resumed_folder)
            else:
                self._store = RunStore.create(
                    self.results_dir, name=self.settings.name, labels=self.settings.labels(), folder=self.run_folder
                )
                self._store.write_run(self._described(self._store.info))
        return self._store

    def describe_resumed_run(self) -> None:
        """Write into ``run.json`` that this session resumes the run, once it is certain that it does.

        Raises:
            RecordError: it cannot be written.
        """
        if self._store is not None and self.owns_store and self.resumed_folder is not None:
            self._store.write_run(self._described(self._store.info))

    def note_study(self, study: StudyPart) -> None:
        """Note the part of a sweep that this session runs, and write it into ``run.json`` if that is there already."""
        self.study = study
        if self._store is not None and self.owns_store:
            with contextlib.suppress(RecordError):  # closing the run writes it again, and says what is wrong
                self._store.write_run(replace(self._store.info, study=study))

    def note_scope(self, result: WindowResult) -> None:
        """Note the energy of a module or of the session, and write it into ``run.json`` where this process does."""
        self.scopes.append(result)
        if self._store is not None and self.owns_store:
            with contextlib.suppress(RecordError):  # closing the run writes it again, and says what is wrong
                self._store.write_run(replace(self._store.info, scopes=tuple(self.scopes)))

    def _described(self, info: RunInfo) -> RunInfo:
        """Return ``info`` with the facts that are known from the start of this session."""
        meter = self._meter  # xdist's controller measures nothing and opens none
        return replace(
            info,
            arguments=self.arguments,
            sensors=sensors_in_words(meter) if meter else (),
            refusals=refusals_in_words(meter) if meter else (),
            settings=self.settings.as_text(),
            host=self.host,
            study=self.study or info.study,
            fleet=self.fleet or info.fleet,
        )

    @property
    def owns_store(self) -> bool:
        """``True`` in the process that keeps the records of the run; a worker sends its own to the controller."""
        return self._given_folder is None

    @cached_property
    def run_folder(self) -> Path:
        """The folder of this run, chosen now and made with the first thing that is kept in it."""
        from ..records.run_folder import choose_folder

        return self._given_folder or self.resumed_folder or choose_folder(self.results_dir, self.settings.name)

    @cached_property
    def resumed_folder(self) -> Path | None:
        """The folder of the run that this session resumes; ``None`` where it starts a new one.

        Raises:
            ConfigError: ``--energy-resume`` names a run that is not there.
        """
        if self.settings.resume is None or not self.owns_store:
            return None
        from ..plan.finished import find_run

        return find_run(self.results_dir, self.settings.resume)

    @cached_property
    def resumed_records(self) -> tuple[Record, ...]:
        """The records of the resumed run, in the order of writing.

        They are final once :attr:`store` holds the run; before that (``--collect-only``) they are only read.

        Raises:
            RecordError: they cannot be read.
        """
        if self.resumed_folder is None:
            return ()
        if self._store is not None:
            return self._store.resumed
        from ..records.reader import read_records

        return read_records(self.resumed_folder).records

    @cached_property
    def finished(self) -> Finished:
        """The experiments that do not need to run again."""
        from ..plan.finished import Finished

        if self._given_finished is not None:
            return self._given_finished
        return Finished.of(self.resumed_records, git_commit=self.host.git_commit if self.resumed_records else None)

    def cell(self, nodeid: str, settings: Settings, plan: MarkedPlan, param: CellParam) -> ExperimentCell:
        """Return the identity of an experiment; this opens and starts nothing."""
        from .experiment_cell import ExperimentCell

        return ExperimentCell(facts=self, nodeid=nodeid, settings=settings, plan=plan, param=param)

    @cached_property
    def journal(self) -> AttemptJournal:
        """The file of the attempt in progress, made with the first measured attempt of this process.

        Raises:
            RecordError: the results folder cannot be written.
        """
        from .attempt_journal import AttemptJournal

        return AttemptJournal(self.open_store().experiment_folder("in-progress"))

    def code_of(self, file: Path) -> str | None:
        """Return a hash of a file as this session first saw it, 12 hexadecimal digits; ``None`` without a file."""
        if file not in self._codes:
            self._codes[file] = hashlib.sha256(file.read_bytes()).hexdigest()[:12] if file.is_file() else None
        return self._codes[file]

    def trained_code(self, workload: Workload) -> TrainedCode:
        """Return the code of a workload as this session first saw it."""
        from .trained_code import read_trained_code

        key = (workload.path, workload.script, workload.modules)
        if key not in self._trained_codes:
            self._trained_codes[key] = read_trained_code(
                workload.path, workload.path / workload.script, workload.modules
            )
        return self._trained_codes[key]

    @property
    def devices(self) -> str | None:
        """The GPUs that this session may use, as ``CUDA_VISIBLE_DEVICES`` names them; ``None`` where it is not set."""
        return os.environ.get("CUDA_VISIBLE_DEVICES")

    def scratch_folder(self) -> Path:
        """Make a new folder that is removed with the session: for trainings of which nothing is kept.

        Raises:
            RecordError: it cannot be made.
        """
        try:
            if self._scratch is None:
                self._scratch = tempfile.TemporaryDirectory(prefix="pytest-energy-")
            return Path(tempfile.mkdtemp(dir=self._scratch.name))
        except OSError as error:
            raise RecordError(f"no folder for temporary files can be made: {error}; make room or set TMPDIR") from error

    @property
    def has_store(self) -> bool:
        """``True`` when a results folder was made: by this process, or by a worker whose first test did not end."""
        if self._store is not None:
            return True
        return self.resumed_folder is None and "run_folder" in self.__dict__ and self.run_folder.is_dir()

    @property
    def results_dir(self) -> Path:
        """The folder that holds the runs."""
        return self.root / self.settings.dir

    @cached_property
    def host(self) -> HostPart:
        """The facts of this machine."""
        from ..energy.sensors.gpu_facts import read_gpus
        from ..host.facts import host_facts

        return host_facts(gpus=read_gpus(), source=self.root)

    def host_now(self) -> HostPart:
        """Return the facts of this machine, with the governor in force, which is read again every ten seconds."""
        now_s = time.monotonic()
        if self._host_now is None or now_s - self._host_read_s > _GOVERNOR_AGE_S:
            from ..host.governor import read_governors

            governors = sorted(set(read_governors(Path(self.settings.sysfs_root)).values()))
            self._host_now = replace(self.host, governor="+".join(governors)) if governors else self.host
            self._host_read_s = now_s
        return self._host_now

    def note_governor_change(self) -> None:
        """Read the governor again for the next attempt: this session has set or restored it."""
        self._host_now = None

    def kill_leftovers(self) -> None:
        """Kill the leftover processes of crashed sessions, so that they do not disturb the first measurement."""
        from ..processes.leftovers import sweep_leftovers

        self.swept, self.unswept = sweep_leftovers()

    @cached_property
    def legs(self) -> LegBook:
        """The solo legs of this run."""
        from .legs import LegBook
        from .window_watch import WindowWatch

        # of several ranks the launcher's processes are the training: those of its other ranks as well
        root = os.getppid() if self.rank is not None and self.rank.local_size > 1 else None
        return LegBook(
            meter=self.open_meter(),
            leg_s=self.settings.idle if self.has_measured_sensor else 0.0,
            new_watch=partial(WindowWatch, root=root),
        )

    @property
    def has_measured_sensor(self) -> bool:
        """``True`` when any sensor reads energy or power; an estimate does not."""
        return any(sensor.description.quality != "estimated" for sensor in self.open_meter().sensors)

    def check_strict(self) -> None:
        """Raise, under ``--energy-strict``, when there is no counter or power reading.

        Raises:
            ConfigError: there is no sensor, or one of them is only an estimate.
        """
        if not self.settings.strict:
            return
        meter = self.open_meter()
        reasons = "; ".join(f"{refusal.name}: {refusal.reason}" for refusal in meter.refused)
        estimated = [sensor.description.name for sensor in meter.sensors if sensor.description.quality == "estimated"]
        if estimated or not meter.sensors:
            problem = f"{', '.join(estimated)} is only an estimate" if estimated else "no sensor can be read here"
            raise ConfigError(f"--energy-strict: {problem} ({reasons}); --energy-doctor says how to fix it")

    def close(self) -> None:
        """Close the sensors, remove temporary files, and leave the run as a worker does.

        Raises:
            ParallelEnergyError: a sensor could not be closed; everything else is done.
        """
        self.end_announcement()
        if "journal" in self.__dict__:
            self.__dict__.pop("journal").remove()
        meter, self._meter = self._meter, None
        try:
            if meter is not None:
                meter.close()
        finally:
            if self._scratch is not None:
                self._scratch.cleanup()
                self._scratch = None
            if self._store is not None and not self.owns_store:
                self._store.release()

    def release_store(self) -> None:
        """Let other sessions resume the run, where closing it did not; nothing is written."""
        if self._store is not None:
            self._store.release()
