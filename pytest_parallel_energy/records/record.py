"""Everything known about one attempt. Field names are part of the public interface.

A field that is unknown is ``None``, and a flag says why. Versions of the schema:

1. first version.
2. a cell is also a test, a command line, a thread budget and devices. Names of parts of the cell, the values of a test
   that trains by itself, and the commit of the trained checkout are new. Records of version 1 are read; no later one
   has their cells.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from msgspec import Struct, field

from .energy_values import DomainEnergy, Quality, WindowResult
from .job_part import JobPart, SlurmPart
from .progress_part import EpochEnergy, Milestone

__all__ = [
    "IDLE_INCLUDED",
    "SCHEMA_VERSION",
    "Attribution",
    "DomainEnergy",
    "EpochEnergy",
    "GpuPart",
    "HostPart",
    "JobPart",
    "LoadReport",
    "MeterPart",
    "Milestone",
    "Phase",
    "Quality",
    "Record",
    "SlurmPart",
    "Status",
    "Value",
    "WindowResult",
    "WorkloadPart",
    "all_metrics",
    "all_values",
]

SCHEMA_VERSION = 2
IDLE_INCLUDED = ", idle power included"
"""The end of an attribution method that splits the whole energy by use, because no idle power was measured: a part
then is not what its owner caused."""

Value = str | int | float | bool | None
"""A hyperparameter's or label's value."""


class Status(enum.StrEnum):
    """The end of an attempt."""

    PASSED = "passed"
    FAILED = "failed"
    XFAILED = "xfailed"
    """Failed as the test's xfail mark expects, which is not a failure; like one, it does not count."""
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"
    CRASHED = "crashed"


class Phase(enum.StrEnum):
    """The role of an attempt: a warm-up is stored, and left out of statistics."""

    MEASURED = "measured"
    WARMUP = "warmup"


class WorkloadPart(Struct, frozen=True, kw_only=True):
    """The training: its workload, its values, and the metrics that it reported."""

    repository: str
    model: str
    after: str | None = None
    """The repository that an own implementation follows, from the registry; ``None``: the repository itself ran."""
    profile: str | None = None
    """Name of the registry profile whose defaults were used; ``None`` is the published ones."""
    hyperparameters: Mapping[str, Value]
    """The values that the cell sets."""
    applied: Mapping[str, Value] = field(default_factory=dict)
    """The values that the training's own log shows; a name is absent where its registry entry has no pattern."""
    mutated: tuple[str, ...] = ()
    """Names of the hyperparameters that this cell mutates."""
    seed: int | None = None
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that the child was given on top of the inherited ones (the thread budget among them)."""
    log: str | None = None
    """Path of the training's log, relative to the run's folder."""
    exit_code: int | None = None
    train_s: float | None = None
    cpu_s: float | None = None
    """CPU seconds of the training and of all its children."""
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    """Metrics that the training reported; ``None`` where it reported a value that is not finite (a diverged loss)."""
    full_epochs: float | None = None
    """Epochs of a full training: the published default, whatever the profile and the cell train."""
    series: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """All values of a metric in its log, the first 1000, where the registry asks for them (``"pick": "each"``)."""
    better: Mapping[str, str] = field(default_factory=dict)
    """``higher`` or ``lower`` by metric, from the registry; a metric is absent where its entry does not say."""
    flags: tuple[str, ...] = ()
    """Remarks: a value that was set and not applied, a metric that is not a number."""
    commit: str | None = None
    """Commit of the trained checkout; ``None`` outside of a repository."""
    dirty: bool | None = None
    """Whether tracked files of the checkout differed from the commit when the session first looked."""


class LoadReport(Struct, frozen=True, kw_only=True):
    """Everything known about one background load during the attempt."""

    name: str
    repository: str | None = None
    """``None`` for a plain command, as ``model``."""
    model: str | None = None
    hyperparameters: Mapping[str, Value] = field(default_factory=dict)
    conditions: Mapping[str, str] = field(default_factory=dict)
    """The conditions that its marker, the fixture's call or the experiment file set."""
    command: tuple[str, ...] = ()
    script: str | None = None
    log_dir: str | None = None
    rounds_completed: int | None = 0
    """``None`` when its guard was killed, so that the number is unknown."""
    rounds_failed: int | None = 0
    exit_codes: tuple[int, ...] = ()
    """Of the first 1000 rounds, as a shell reports them (128 + number of the signal that ended it)."""
    round_spans_s: tuple[tuple[float, float], ...] = ()
    """Start and end of the first 500 rounds, seconds since the window opened; one that began before it has a negative
    start; empty before the window opened."""
    uptime_s: float | None = None
    """Seconds during which a round ran."""
    coverage_ratio: float | None = None
    """Share of the window during which a round really ran, 0 to 1."""
    gap_s: float | None = None
    """Longest time between two rounds; ``None`` before the second."""
    round_mean_s: float | None = None
    """Of the rounds that ended; ``None`` before the first did."""
    round_min_s: float | None = None
    round_max_s: float | None = None
    stalled_s: float | None = None
    """Seconds during which all its processes were stopped by a signal from outside; not covered."""
    hung_s: float | None = None
    """Seconds during which a round ran but used next to nothing of a CPU or a GPU, unlike before; not covered."""
    cpu_s: float | None = None
    memory_bytes: int | None = None
    """Most memory seen, pages that its processes share counted once; ``None`` before the first look (1 s)."""
    devices: str | None = None
    """``CUDA_VISIBLE_DEVICES`` as the load was given it."""
    gpu_memory_fraction: float | None = None
    """The fraction that the user set; ``gpu_memory_bytes`` is the most that the load really held."""
    gpu_memory_bytes: int | None = None
    """``None`` without an NVIDIA GPU."""
    gpu_percent: float | None = None
    """Mean GPU utilisation by all processes of the load together; ``None`` where the driver does not report it."""
    batch_sizes: tuple[int, ...] = ()
    """Where the batch was fitted to the memory: all its sizes, in order, each change once."""
    level: str | None = None
    """Quantity that a control loop held: ``intensity`` (a share), ``target_gpu_utilisation`` (percent) or ``None``."""
    level_asked: float | None = None
    level_reached: float | None = None
    level_u95: float | None = None
    """Half-width of the 95 % interval of ``level_reached``, from its readings; ``None`` for an intensity (a clock)."""
    solo_mean_w: float | None = None
    """Mean power of the machine while only the loads ran, watts."""
    ready_s: float | None = None
    """Seconds from its start until it was ready."""
    busy_s: float | None = None
    """Seconds from its start until it was first seen to be busy; ``None`` where that was not looked for."""
    matched_s: float | None = None
    """Seconds from its start until a readiness pattern first matched in its log: one of its metric or applied patterns,
    unless the user gave one; ``None`` where none did."""
    stop: str | None = None
    """``graceful`` or ``forced``; ``lost`` when its guard was killed."""
    container: str | None = None
    """Means that isolated the processes: ``namespace``, ``cgroup`` or ``subreaper``."""
    flags: tuple[str, ...] = ()


class MeterPart(Struct, frozen=True, kw_only=True):
    """Facts about the measurement itself."""

    sampler_cpu_s: float | None = None
    """CPU seconds that the sampling itself took in the window."""
    max_gap_s: float | None = None
    """Longest time between two readings of the sampler."""
    start_temperatures_c: Mapping[str, float] = field(default_factory=dict)
    """Degrees of CPU packages and GPUs when the window opened; empty where none can be read."""
    end_temperatures_c: Mapping[str, float] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    """Remarks that a reader of the numbers must know."""


class Attribution(Struct, frozen=True, kw_only=True):
    """Joules by owner; ``None`` where unknown.

    ``low_j`` to ``high_j`` is the 95 % interval of the foreground's share: legs, meter and convention together.
    """

    foreground_j: float | None = None
    background_j: float | None = None
    other_j: float | None = None
    idle_j: float | None = None
    low_j: float | None = None
    high_j: float | None = None
    method: str = "none"
    interference_j: float | None = None
    """Joules together beyond the sum of both alone at the same rates; ``None`` without both solo legs."""
    slowdown_ratio: float | None = None
    """Time of the foreground over its time alone."""
    split_u95_j: float | None = None
    """Half-width of the interval of ``foreground_j`` without the gain of the sensors, which cancels between two runs on
    one machine."""
    foreground_cpu_s: float | None = None
    """CPU seconds in the window: of the test, with all processes that it started."""
    background_cpu_s: float | None = None
    other_cpu_s: float | None = None
    """Of all other processes of the machine."""
    other_cpu_ratio: float | None = None
    """The share of the CPU time that other processes used, 0 to 1."""
    other_gpu_ratio: float | None = None
    """The share of the use of a GPU that other processes had, of the GPU where it is largest."""
    flags: tuple[str, ...] = ()
    """Remarks about the division."""


class GpuPart(Struct, frozen=True, kw_only=True):
    """One GPU of the host."""

    uuid: str
    name: str
    memory_bytes: int | None = None
    power_limit_w: float | None = None
    driver: str | None = None


class HostPart(Struct, frozen=True, kw_only=True):
    """The machine and the software; ``None`` where it cannot be known."""

    machine_id: str | None = None
    """A hash of the machine's identity: the same on each run of one machine, and nothing more than that."""
    hostname: str | None = None
    cpu: str | None = None
    sockets: int | None = None
    threads: int | None = None
    memory_bytes: int | None = None
    gpus: tuple[GpuPart, ...] = ()
    virtualised: bool | None = None
    governor: str | None = None
    kernel: str | None = None
    python: str | None = None
    torch: str | None = None
    plugin_version: str | None = None
    git_commit: str | None = None


class Record(Struct, frozen=True, kw_only=True):
    """One attempt of one experiment: a line of ``records.jsonl``."""

    schema_version: int = SCHEMA_VERSION
    record_id: str
    """Unique among all records of all machines."""
    run_id: str
    nodeid: str
    cell: str
    """Hash of test, workload, values, command line, thread budget, devices, loads and host class."""
    planned_cell: str | None = None
    """The same as the markers say it: without what the test itself changed by ``train()`` or by starting loads."""
    foreground_id: str | None = None
    """Hash of the same without test and loads: equal for one training alone, and next to any load."""
    loads_id: str | None = None
    """Hash of the loads alone."""
    code: str | None = None
    """Hash of the code that trains (the modules of the workload's folder, else the test's file)."""
    repetition: int = 0
    attempt: int = 1
    phase: Phase = Phase.MEASURED
    status: Status
    reason: str | None = None
    """The reason why it did not pass, in one line."""
    started_at: str
    """Wall clock, ISO 8601 with offset; a label, which only tells jobs of one key apart, and never used to measure."""
    duration_s: float
    folder: str | None = None
    """The experiment's folder, relative to the run's."""
    labels: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    """Metrics that the test recorded with ``record_metric``; ``None`` where the value was not finite."""
    workload: WorkloadPart | None = None
    hyperparameters: Mapping[str, Value] = field(default_factory=dict)
    """The exact values of a test that trains by itself; a workload's are in ``workload``."""
    mutated: tuple[str, ...] = ()
    """Names of those that this cell mutates."""
    parameters: Mapping[str, Value] = field(default_factory=dict)
    """The values that the test's own ``parametrize`` gives."""
    values_id: str | None = None
    """Hash of the exact values of hyperparameters and parameters: equal on all hosts that ran the same thing."""
    threads: int | None = None
    """Thread budget of the training."""
    devices: str | None = None
    """``CUDA_VISIBLE_DEVICES`` of the session; ``None`` where it is not set."""
    energy: WindowResult = field(default_factory=WindowResult)
    epochs: tuple[EpochEnergy, ...] = ()
    """Epochs of the last training, where its registry entry says which lines of the log name them."""
    milestones: tuple[Milestone, ...] = ()
    """Values that metrics of the last training should reach, by the registry's ``reach``."""
    work: Mapping[str, float] = field(default_factory=dict)
    """Amount of work by unit (``sample``, ``step``), by the registry's ``work``; a unit is absent where it is
    unknown."""
    attribution: Attribution = field(default_factory=Attribution)
    background: tuple[LoadReport, ...] = ()
    meter: MeterPart = field(default_factory=MeterPart)
    host: HostPart = field(default_factory=HostPart)
    job: JobPart | None = None
    """``None`` outside of a launcher that started several ranks."""
    slurm: SlurmPart | None = None
    """``None`` outside of a Slurm job."""


def all_metrics(record: Record) -> dict[str, float | None]:
    """Return the training's metrics and the test's own, which win where both have a name."""
    return {**(record.workload.metrics if record.workload else {}), **record.metrics}


def all_values(record: Record) -> dict[str, Value]:
    """Return the hyperparameters of a record: of its workload, or of a test that trains by itself."""
    return dict(record.hyperparameters if record.workload is None else record.workload.hyperparameters)
