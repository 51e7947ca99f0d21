"""The launcher that started this process as one of several ranks, recognised by the variables it sets.

Sources: PyTorch, "torchrun (Elastic Launch)", section "Environment Variables"; srun(1), "OUTPUT ENVIRONMENT VARIABLES";
Open MPI, ``mpirun(1)``, "Exported Environment Variables"; Intel MPI and MPICH (Hydra) set ``PMI_*`` and
``MPI_LOCAL*``; DeepSpeed's launcher sets ``CROSS_RANK`` beside PyTorch's variables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from msgspec import Struct

__all__ = ["Rank", "number_from", "rank_from", "tasks_of_node"]


class Rank(Struct, frozen=True, kw_only=True):
    """The place of this process among those that one launcher started. Ranks count from 0."""

    launcher: str
    """``torchrun``, ``deepspeed``, ``srun``, ``mpirun`` (Open MPI) or ``mpiexec`` (MPICH, Intel MPI)."""
    job: str
    """The same text in all ranks of one job, on every node; another one in each other job, as far as the launcher tells
    them apart: ``REPEATED_KEYS`` are those of addresses, which a later job may have too."""
    rank: int
    local_rank: int
    """Rank among those of this machine."""
    local_size: int
    """Ranks on this machine."""
    size: int
    """Ranks on all machines."""
    node: int | None = None
    """Number of this machine; ``None`` where the launcher does not say."""
    nodes: int | None = None
    """Machines of the job; ``None`` where the launcher does not say."""

    @property
    def measures(self) -> bool:
        """``True`` for the rank that measures its machine: the first one on it."""
        return self.local_rank == 0

    def __str__(self) -> str:
        """Return the place in words.

        >>> str(Rank(launcher="torchrun", job="x", rank=3, local_rank=1, local_size=2, size=4))
        'rank 3 of 4 (torchrun), local rank 1 of 2'
        """
        return f"rank {self.rank} of {self.size} ({self.launcher}), local rank {self.local_rank} of {self.local_size}"


def rank_from(environ: Mapping[str, str]) -> Rank | None:
    """Return the rank that the environment describes, or ``None`` for a process on its own.

    A launcher that started a single process counts as none, and so do variables that are incomplete or not numbers.
    The innermost launcher decides: ``srun`` may start ``torchrun``, which starts the ranks.

    >>> rank_from({"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_PROCID": "1", "SLURM_LOCALID": "1",
    ...            "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_TASKS_PER_NODE": "2"}).job
    'srun-7.0'
    """
    for recognise in _LAUNCHERS:
        try:
            rank = recognise(environ)
        except (KeyError, ValueError):
            continue
        if rank is not None and rank.size > 1:
            return rank
    return None


def _torchrun(environ: Mapping[str, str]) -> Rank | None:
    if "TORCHELASTIC_RUN_ID" not in environ:
        return None
    # the run id is "none" unless the user gave one: the rendezvous' address tells two jobs at the same time apart
    address = f"{environ.get('MASTER_ADDR', '')}:{environ.get('MASTER_PORT', '')}{_slurm_job(environ)}"
    return Rank(
        launcher="torchrun",
        job=f"torchrun-{environ['TORCHELASTIC_RUN_ID']}-{address}",
        rank=int(environ["RANK"]),
        local_rank=int(environ["LOCAL_RANK"]),
        local_size=int(environ["LOCAL_WORLD_SIZE"]),
        size=int(environ["WORLD_SIZE"]),
        node=number_from(environ, "GROUP_RANK"),
        nodes=number_from(environ, "GROUP_WORLD_SIZE"),
    )


def _slurm_job(environ: Mapping[str, str]) -> str:
    """Return what to put after an address: the id of the Slurm job, which its nodes share, unlike that of a step."""
    job = environ.get("SLURM_HET_JOB_ID") or environ.get("SLURM_JOB_ID")
    return f"-slurm-{job}" if job else ""


def _deepspeed(environ: Mapping[str, str]) -> Rank | None:
    if "CROSS_RANK" not in environ:
        return None
    return Rank(
        launcher="deepspeed",
        job=f"deepspeed-{environ['MASTER_ADDR']}:{environ['MASTER_PORT']}{_slurm_job(environ)}",
        rank=int(environ["RANK"]),
        local_rank=int(environ["LOCAL_RANK"]),
        local_size=int(environ["LOCAL_SIZE"]),
        size=int(environ["WORLD_SIZE"]),
        node=int(environ["CROSS_RANK"]),
        nodes=number_from(environ, "CROSS_SIZE"),
    )


def _open_mpi(environ: Mapping[str, str]) -> Rank | None:
    job = environ.get("PMIX_NAMESPACE") or environ.get("OMPI_MCA_ess_base_jobid", "")
    return Rank(
        launcher="mpirun",
        job=f"mpirun-{job}",
        rank=int(environ["OMPI_COMM_WORLD_RANK"]),
        local_rank=int(environ["OMPI_COMM_WORLD_LOCAL_RANK"]),
        local_size=int(environ["OMPI_COMM_WORLD_LOCAL_SIZE"]),
        size=int(environ["OMPI_COMM_WORLD_SIZE"]),
        nodes=number_from(environ, "OMPI_MCA_orte_num_nodes"),
    )


def _hydra(environ: Mapping[str, str]) -> Rank | None:
    return Rank(
        launcher="mpiexec",
        job=f"mpiexec-{environ.get('PMI_PORT') or environ.get('HYDI_CONTROL_FD', '')}",
        rank=int(environ["PMI_RANK"]),
        local_rank=int(environ["MPI_LOCALRANKID"]),
        local_size=int(environ["MPI_LOCALNRANKS"]),
        size=int(environ["PMI_SIZE"]),
    )


def _srun(environ: Mapping[str, str]) -> Rank | None:
    # a batch script without srun has SLURM_PROCID too, but no step
    step = environ["SLURM_STEP_ID"]
    nodes = number_from(environ, "SLURM_STEP_NUM_NODES") or number_from(environ, "SLURM_NNODES")
    node = number_from(environ, "SLURM_NODEID")
    per_node = environ.get("SLURM_STEP_TASKS_PER_NODE") or environ["SLURM_TASKS_PER_NODE"]
    return Rank(
        launcher="srun",
        job=f"srun-{environ['SLURM_JOB_ID']}.{step}",
        rank=int(environ["SLURM_PROCID"]),
        local_rank=int(environ["SLURM_LOCALID"]),
        local_size=tasks_of_node(per_node, node or 0),
        size=int(environ.get("SLURM_STEP_NUM_TASKS") or environ["SLURM_NTASKS"]),
        node=node,
        nodes=nodes,
    )


_LAUNCHERS: tuple[Callable[[Mapping[str, str]], Rank | None], ...] = (_torchrun, _deepspeed, _open_mpi, _hydra, _srun)
"""From the innermost to the outermost: Slurm often starts one of the others."""


def tasks_of_node(text: str, node: int) -> int:
    """Return the number of tasks on a node from Slurm's list of them, such as ``2(x3),1``.

    >>> tasks_of_node("2(x3),1", 3), tasks_of_node("4", 0)
    (1, 4)
    """
    counts: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part.strip())
        if match is None:
            raise ValueError(f"not a list of tasks per node: {text!r}")
        counts += [int(match[1])] * int(match[2] or 1)
    return counts[node] if node < len(counts) else counts[-1]


def number_from(environ: Mapping[str, str], name: str) -> int | None:
    """Return a whole number of 0 or more from a variable; ``None`` where it is missing or something else."""
    text = environ.get(name, "")
    return int(text) if text.isdecimal() else None
