"""The facts of a Slurm job, as its variables give them."""

from __future__ import annotations

import os

import psutil
import pytest

from pytest_parallel_energy.host.slurm_job import shared_node_flag, slurm_job

JOB = {
    "SLURM_JOB_ID": "12", "SLURM_STEP_ID": "0", "SLURM_ARRAY_JOB_ID": "11", "SLURM_ARRAY_TASK_ID": "3",
    "SLURM_JOB_NODELIST": "n[1-2]", "SLURMD_NODENAME": "n2", "SLURM_JOB_PARTITION": "main", "SLURM_NODEID": "1",
}  # fmt: skip


def test_outside_of_slurm_there_is_no_job():
    """Not even an empty one."""
    assert slurm_job({}) is None
    assert shared_node_flag(None) is None


def test_all_facts_are_read():
    """Job, step, array, nodes and partition; exclusive is unknown where the allocated CPUs are."""
    job = slurm_job(JOB)
    assert (job.job, job.step, job.array_job, job.array_task) == ("12", "0", "11", 3)
    assert (job.nodes, job.node, job.partition, job.exclusive) == ("n[1-2]", "n2", "main", None)


@pytest.mark.parametrize("broken", ["", "many", "2(x"])
def test_cpus_that_cannot_be_read_are_unknown(broken):
    """Not shared, and not exclusive."""
    assert slurm_job({**JOB, "SLURM_JOB_CPUS_PER_NODE": broken}).exclusive is None


def test_a_job_with_all_cpus_of_its_node_is_exclusive():
    """The second node counts for the process on it."""
    job = slurm_job({**JOB, "SLURM_JOB_CPUS_PER_NODE": f"0,{os.cpu_count()}"})
    assert job.exclusive is True
    assert shared_node_flag(job) is None


def test_a_job_with_a_part_of_the_node_is_flagged(monkeypatch):
    """Other jobs may run on the rest, and their energy is in the record."""
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: 8 if logical else 4)
    shared = slurm_job({**JOB, "SLURM_JOB_CPUS_PER_NODE": "8,3"})
    assert shared.exclusive is False
    assert "part of the CPUs of node n2" in shared_node_flag(shared)
    # as many as the machine has cores: a cluster that counts cores gives the whole node by this number
    assert slurm_job({**JOB, "SLURM_JOB_CPUS_PER_NODE": "4(x2)"}).exclusive is None
