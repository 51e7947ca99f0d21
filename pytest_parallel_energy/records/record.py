"""Everything known about one attempt. Field names are part of the public interface.

A field that is unknown is ``None``, and a flag says why. Versions of the schema:

1. first version.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = [
    "SCHEMA_VERSION",
    "AttributionPart",
    "BackgroundPart",
    "DomainPart",
    "EnergyPart",
    "GpuPart",
    "HostPart",
    "MeterPart",
    "Phase",
    "Record",
    "Status",
    "Value",
    "WorkloadPart",
]

SCHEMA_VERSION = 1

Value = str | int | float | bool | None
"""A hyperparameter's or label's value."""


class Status(enum.StrEnum):
    """How an attempt ended."""

    PASSED = "passed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"
    CRASHED = "crashed"


class Phase(enum.StrEnum):
    """Whether an attempt counts: a warm-up is kept, and left out of statistics."""

    MEASURED = "measured"
    WARMUP = "warmup"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadPart:
    """What was trained, with which values, and what it reported."""

    repository: str
    model: str
    after: str | None = None
    """The repository that an own implementation follows, from the registry; ``None``: the repository itself ran."""
    profile: str | None = None
    """Name of the registry profile whose defaults were used; ``None`` is the published ones."""
    hyperparameters: Mapping[str, Value]
    """The values asked for."""
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
    """What the training reported; ``None`` where it reported a value that is not finite (a diverged loss)."""
    flags: tuple[str, ...] = ()
    """What a reader must know: a value that was asked for and not applied, a metric that is no number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainPart:
    """One domain's energy; see ``energy.result.DomainEnergy``, whose fields these are."""

    name: str
    kind: str
    device: str | None = None
    joules: float | None = None
    u95_j: float | None = None
    quality: str = "missing"
    source: str = ""
    counted: bool = True
    mean_w: float | None = None
    peak_w: float | None = None
    update_interval_s: float | None = None
    samples: int = 0
    resets: int = 0
    wraps: int = 0
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyPart:
    """The energy of one window; windows nest."""

    name: str = "test"
    start_s: float | None = None
    """Seconds from the opening of the outermost window to the opening of this one."""
    window_s: float | None = None
    total_j: float | None = None
    total_u95_j: float | None = None
    quality: str = "missing"
    boundary: str = ""
    cpu_j: float | None = None
    gpu_j: float | None = None
    dram_j: float | None = None
    mean_w: float | None = None
    peak_w: float | None = None
    idle_j: float | None = None
    above_idle_j: float | None = None
    domains: tuple[DomainPart, ...] = ()
    windows: tuple[EnergyPart, ...] = ()
    trace: str | None = None
    """Path of ``trace.csv.gz``, relative to the run's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributionPart:
    """Whose joules."""

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
    """How many times longer the foreground took than alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundPart:
    """One background load during the attempt. ``repository`` and ``model`` are ``None`` for a plain command."""

    name: str
    repository: str | None = None
    model: str | None = None
    hyperparameters: Mapping[str, Value] = field(default_factory=dict)
    conditions: Mapping[str, str] = field(default_factory=dict)
    """How it was asked to be run: what its marker, the fixture's call or the experiment file said."""
    command: tuple[str, ...] = ()
    script: str | None = None
    log_dir: str | None = None
    rounds_completed: int | None = 0
    """``None`` when what counted them was killed."""
    rounds_failed: int | None = 0
    exit_codes: tuple[int, ...] = ()
    round_spans_s: tuple[tuple[float, float], ...] = ()
    """Start and end of each round, seconds since the window opened; one that began before has a negative start."""
    uptime_s: float | None = None
    coverage_ratio: float | None = None
    """Share of the window during which a round really ran, 0 to 1."""
    gap_s: float | None = None
    """Longest time between two rounds."""
    round_mean_s: float | None = None
    round_min_s: float | None = None
    round_max_s: float | None = None
    stalled_s: float | None = None
    """During which all its processes were stopped by somebody else; not covered."""
    cpu_s: float | None = None
    memory_bytes: int | None = None
    """Most resident memory seen."""
    devices: str | None = None
    """``CUDA_VISIBLE_DEVICES`` as the load was given it."""
    gpu_memory_fraction: float | None = None
    """Asked for; ``gpu_memory_bytes`` is the most that it really held."""
    gpu_memory_bytes: int | None = None
    gpu_percent: float | None = None
    """Mean GPU utilisation of the load's own processes."""
    batch_sizes: tuple[int, ...] = ()
    """Where the batch was fitted to the memory: all its sizes, in order, each change once."""
    level: str | None = None
    """What a control loop held: ``intensity`` (a share) or ``target_gpu_utilisation`` (percent)."""
    level_asked: float | None = None
    level_reached: float | None = None
    level_u95: float | None = None
    solo_mean_w: float | None = None
    ready_s: float | None = None
    stop: str | None = None
    """``graceful`` or ``forced``."""
    container: str | None = None
    """What held the processes: ``namespace``, ``cgroup`` or ``subreaper``."""
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterPart:
    """How the measuring itself went."""

    sampler_cpu_s: float | None = None
    max_gap_s: float | None = None
    start_temperatures_c: Mapping[str, float] = field(default_factory=dict)
    """Degrees of CPU packages and GPUs when the window opened; empty where none can be read."""
    end_temperatures_c: Mapping[str, float] = field(default_factory=dict)
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuPart:
    """One GPU of the host."""

    uuid: str
    name: str
    memory_bytes: int | None = None
    power_limit_w: float | None = None
    driver: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPart:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One attempt of one experiment: a line of ``records.jsonl``."""

    schema_version: int = SCHEMA_VERSION
    record_id: str
    """Unique among all records of all machines."""
    run_id: str
    nodeid: str
    cell: str
    """Hash of workload, hyperparameters, background and host class: what a repetition repeats."""
    code: str | None = None
    """Hash of what trains, the workload's script or else the test's file: other code is another measurement."""
    repetition: int = 0
    attempt: int = 1
    phase: Phase = Phase.MEASURED
    status: Status
    reason: str | None = None
    """Why it did not pass, in one line."""
    started_at: str
    """Wall clock, ISO 8601 with offset; a label, never used in arithmetic."""
    duration_s: float
    folder: str | None = None
    """The experiment's folder, relative to the run's."""
    labels: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    """What the test recorded itself with ``record_metric``; ``None`` where the value was not finite."""
    workload: WorkloadPart | None = None
    energy: EnergyPart = field(default_factory=EnergyPart)
    attribution: AttributionPart = field(default_factory=AttributionPart)
    background: tuple[BackgroundPart, ...] = ()
    meter: MeterPart = field(default_factory=MeterPart)
    host: HostPart = field(default_factory=HostPart)
