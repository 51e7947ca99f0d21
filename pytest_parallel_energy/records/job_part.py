"""The part of a record about the job that the session belonged to: its ranks and nodes, and Slurm's facts."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["REPEATED_KEYS", "JobPart", "SlurmPart"]

REPEATED_KEYS = ("torchrun-none-", "deepspeed-")
"""Beginnings of the keys that hold only an address and a port, and so may be those of a later job too."""


class JobPart(Struct, frozen=True, kw_only=True):
    """The place of the measuring process among the ranks of one launcher. Ranks and nodes count from 0."""

    launcher: str
    key: str
    """The same text in all ranks of the job, on every node."""
    rank: int
    size: int
    """Ranks on all nodes."""
    local_size: int
    """Ranks on this node: the record holds the energy of all of them."""
    node: int | None = None
    """Number of this node; ``None`` where the launcher does not report it."""
    nodes: int | None = None
    """Nodes of the job; ``None`` where the launcher does not report it."""


class SlurmPart(Struct, frozen=True, kw_only=True):
    """The Slurm job that the session ran in; ``None`` where Slurm does not report a value."""

    job: str
    step: str | None = None
    array_job: str | None = None
    array_task: int | None = None
    nodes: str | None = None
    """The list of nodes as Slurm writes it, such as ``n[1-2]``."""
    node: str | None = None
    """Slurm's name of this node."""
    partition: str | None = None
    exclusive: bool | None = None
    """``False`` where the job has only a part of this node's CPUs, so that other jobs may run on it."""
