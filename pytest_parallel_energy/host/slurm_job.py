"""The Slurm job that this process runs in, from the variables that sbatch(1) and srun(1) document."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ..records.job_part import SlurmPart
from .launcher import number_from, tasks_of_node

__all__ = ["shared_node_flag", "slurm_job"]


def slurm_job(environ: Mapping[str, str]) -> SlurmPart | None:
    """Return the facts of the Slurm job; ``None`` outside of one."""
    job = environ.get("SLURM_JOB_ID")
    if not job:
        return None
    return SlurmPart(
        job=job,
        step=environ.get("SLURM_STEP_ID"),
        array_job=environ.get("SLURM_ARRAY_JOB_ID"),
        array_task=number_from(environ, "SLURM_ARRAY_TASK_ID"),
        nodes=environ.get("SLURM_JOB_NODELIST"),
        node=environ.get("SLURMD_NODENAME"),
        partition=environ.get("SLURM_JOB_PARTITION"),
        exclusive=_is_exclusive(_allocated_cpus(environ)),
    )


def shared_node_flag(job: SlurmPart | None) -> str | None:
    """Return the remark that the energy may include other jobs; ``None`` where the node is this job's alone."""
    if job is None or job.exclusive is not False:
        return None
    return (
        f"the Slurm job {job.job} has only a part of the CPUs of node {job.node or '(unknown)'}: the energy may "
        "include other jobs; submit it with --exclusive"
    )


def _allocated_cpus(environ: Mapping[str, str]) -> int | None:
    """Return the CPUs of this node that the job has; ``None`` where Slurm does not report them."""
    per_node = environ.get("SLURM_JOB_CPUS_PER_NODE")
    if not per_node:
        return None
    try:
        return tasks_of_node(per_node, number_from(environ, "SLURM_NODEID") or 0)
    except ValueError:
        return None


def _is_exclusive(allocated: int | None) -> bool | None:
    threads = os.cpu_count()
    if allocated is None or threads is None:
        return None
    if allocated >= threads:
        return True
    import psutil

    # a cluster may be configured to count cores instead of hardware threads: then this is the whole node
    return None if allocated == psutil.cpu_count(logical=False) else False
